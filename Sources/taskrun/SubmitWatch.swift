// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage

/// Tells attempts that something was dropped. One inotify(7) for all: closing one waits for the kernel.
///
/// Each watch is for one event: whoever hears it looks at all names, so that a task that makes events
/// without end is heard no more often than it is looked at.
final class SubmitWatch {
    private let inotify: Inotify
    private var attempts: [Int32: Attempt] = [:]

    init(_ loop: EventLoop) throws(Errno) {
        inotify = try Inotify()
        // As long as the loop.
        _ = try loop.add(inotify.number, .readable) { [unowned self] _ in read() }
    }

    /// - Returns: nil where there can't be one more (ENOSPC).
    func add(_ directory: OpenFile, _ attempt: Attempt) -> Int32? {
        let watch = try? inotify.watch(
            directory: directory.number, for: [.movedTo, .closedAfterWriting, .once])
        if let watch { attempts[watch] = attempt }
        return watch
    }

    func remove(_ watch: Int32) {
        if attempts.removeValue(forKey: watch) != nil { inotify.forget(watch) }
    }

    private func read() {
        guard let events = try? inotify.read() else { return }
        for event in events {
            if event.isOverflow {
                for attempt in attempts.values { attempt.hasNewDrops() }
            } else if let attempt = attempts.removeValue(forKey: event.watch) {
                attempt.submit?.watch = nil
                attempt.hasNewDrops()
            }
        }
    }
}

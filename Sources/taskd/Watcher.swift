// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskSpool

/// Watches the spool's directories. Hints only: an overflow, or no watches at all, leads to the
/// same scan that start-up does.
struct Watcher {
    /// One hint.
    enum Hint {
        case came(SpoolDirectory, [UInt8])
        case left(SpoolDirectory, [UInt8])
        /// Anything may have happened.
        case overflow
        /// A directory of the spool was moved or deleted.
        case gone(SpoolDirectory)
    }

    private let inotify: Inotify
    private var directories: [Int32: SpoolDirectory] = [:]

    init(_ spool: Spool) throws(Errno) {
        inotify = try Inotify()
        // A link, a directory or a FIFO only says that it was made.
        let arrivals: Inotify.Mask = [.movedTo, .closedAfterWriting, .created, .selfGone]
        let incoming = try inotify.watch(directory: spool.number(.incoming), for: arrivals)
        directories[incoming] = .incoming
        for directory in SpoolDirectory.states {
            let mask: Inotify.Mask = [.movedTo, .movedFrom, .deleted, .selfGone]
            directories[try inotify.watch(directory: spool.number(directory), for: mask)] =
                directory
        }
    }

    var number: Int32 { inotify.number }

    /// The hints that wait.
    func read() throws(Errno) -> [Hint] {
        try inotify.read().compactMap { event in
            if event.isOverflow { return .overflow }
            guard let directory = directories[event.watch] else { return nil }
            if event.name.isEmpty { return event.isGone ? .gone(directory) : nil }
            return event.isDeparture ? .left(directory, event.name) : .came(directory, event.name)
        }
    }
}

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
        /// The spool itself was moved, or something in it was, or was given another mode.
        case touched(isMoved: Bool)
    }

    private let inotify: Inotify
    private let root: Int32
    private var directories: [Int32: SpoolDirectory] = [:]

    init(_ spool: Spool) throws(Errno) {
        inotify = try Inotify()
        // A directory that somebody holds open tells of its own removal only when he closes it: it is
        // the spool above that tells (inotify(7)).
        // What is made there may be outgoing/.
        let changes: Inotify.Mask = [.selfGone, .attributes, .deleted, .movedFrom, .created]
        root = try inotify.watch(directory: spool.rootNumber, for: changes)
        // A link, a directory or a FIFO only says that it was made.
        let arrivals: Inotify.Mask = [.movedTo, .closedAfterWriting, .created]
        let incoming = try inotify.watch(directory: spool.number(.incoming), for: arrivals)
        directories[incoming] = .incoming
        let edits: Inotify.Mask = [
            .movedTo, .closedAfterWriting, .movedFrom, .deleted, .attributes,
        ]
        let units = try inotify.watch(directory: spool.number(.units), for: edits)
        directories[units] = .units
        for directory in SpoolDirectory.states {
            let mask: Inotify.Mask = [.movedTo, .movedFrom, .deleted]
            directories[try inotify.watch(directory: spool.number(directory), for: mask)] =
                directory
        }
    }

    var number: Int32 { inotify.number }

    /// The hints that wait.
    func read() throws(Errno) -> [Hint] {
        try inotify.read().compactMap { event in
            if event.isOverflow { return .overflow }
            if event.watch == root {
                return .touched(isMoved: event.name.isEmpty && event.isGone)
            }
            guard let directory = directories[event.watch], !event.name.isEmpty else { return nil }
            return event.isDeparture ? .left(directory, event.name) : .came(directory, event.name)
        }
    }
}

/// What watches the spool: events, or a look each second where the kernel gives none
/// (fs.inotify.max_user_watches, max_user_instances, descriptors).
struct SpoolWatch {
    private static let every: Int64 = 1_000_000

    private(set) var watcher: Watcher?
    /// Why there are no events.
    private(set) var failure: Errno?
    /// CLOCK_BOOTTIME of the next look; `.max` with events.
    private(set) var nextLook = Int64.max

    init(_ spool: Spool) {
        tryAgain(spool)
    }

    /// There are no events after all.
    mutating func lose(_ error: Errno) {
        watcher = nil
        failure = error
        nextLook = Clock.boot() + Self.every
    }

    /// Asks for events; without them the next look is in a second.
    mutating func tryAgain(_ spool: Spool) {
        do {
            watcher = try Watcher(spool)
            nextLook = .max
        } catch {
            lose(error)
        }
    }
}

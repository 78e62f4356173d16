// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskModel

/// The socket that the pool listens on: systemd's (sd_listen_fds(3)), or `run.sock` in the spool.
///
/// One pool a spool: it holds flock on `run.lock` for life, and only under that lock `run.sock` is
/// unlinked and bound. It is not unlinked at exit: by then it may be another's.
final class PoolSocket {
    private let listener: Descriptor
    private let lock: OpenFile?
    /// Whether the socket is this spool's own.
    var isOwn: Bool { lock != nil }
    var number: Int32 { listener.number }

    private init(_ listener: consuming Descriptor, lock: OpenFile?) {
        self.listener = listener
        self.lock = lock
    }

    /// Those that another program needs to go on: the listener, and the lock where there is one.
    var descriptors: [Int32] { [listener.number] + (lock.map { [$0.number] } ?? []) }

    /// Of an earlier program.
    init?(resuming record: HandoverTable.Record) {
        let numbers = record.texts("descriptor").compactMap { Int32($0) }
        guard let first = numbers.first else { return nil }
        listener = Descriptor(owning: first)
        lock = numbers.count > 1 ? OpenFile(Descriptor(owning: numbers[1])) : nil
    }

    /// The socket that was passed, or the spool's own; nil when another pool holds the lock.
    ///
    /// - Throws: `.notSocket`, `.badFileDescriptor` where what was passed does not listen.
    static func open(spool: String?) throws(Errno) -> PoolSocket? {
        if let passed = try passedSocket() { return passed }
        guard let spool else { throw .invalidArgument }
        let directory = try File.openDirectory(spool)
        let lock = OpenFile(
            try File.open("run.lock", at: directory.number, flags: [.readWrite, .create]))
        guard try File.tryLock(lock.number) else { return nil }
        do throws(Errno) {
            try File.unlink("run.sock", at: directory.number)
        } catch .noSuchFileOrDirectory {
            // The first pool of this spool.
        }
        let listener = try MessageSocket.listen("run.sock", at: directory.number)
        return PoolSocket(listener, lock: lock)
    }

    private static func passedSocket() throws(Errno) -> PoolSocket? {
        guard let count = getenv("LISTEN_FDS"), let pid = getenv("LISTEN_PID"),
            String(cString: pid) == String(getpid()), String(cString: count) == "1"
        else { return nil }
        let first: Int32 = 3
        guard try MessageSocket.isListener(first) else { throw .notSocket }
        try File.setInherited(first, false)
        try File.setNonBlocking(first)
        return PoolSocket(Descriptor(owning: first), lock: nil)
    }
}

// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
public import SystemPackage

/// Unix sockets of type SEQPACKET: whole messages, which may carry descriptors. Non-blocking.
public enum MessageSocket {
    /// The largest message of the protocol, in bytes.
    public static let largestMessage = 64 * 1024

    /// Binds `name` in a directory and listens.
    public static func listen(_ name: String, at directory: Int32) throws(Errno) -> Descriptor {
        Descriptor(owning: try checked { cl_seqpacket_listen(directory, name) })
    }

    public static func connect(_ name: String, at directory: Int32) throws(Errno) -> Descriptor {
        let fd = try checked { cl_seqpacket_connect(directory, name) }
        _ = cl_set_buffers(fd, 4 << 20)
        return Descriptor(owning: fd)
    }

    public static func pair() throws(Errno) -> (first: Int32, second: Int32) {
        var fds: [Int32] = [-1, -1]
        _ = try checked { cl_seqpacket_pair(&fds) }
        return (fds[0], fds[1])
    }

    /// Whether it is a listening Unix socket of this type.
    ///
    /// - Throws: `.badFileDescriptor`, `.notSocket`.
    public static func isListener(_ socket: Int32) throws(Errno) -> Bool {
        try checked { cl_seqpacket_listens(socket) } == 1
    }

    /// The next connection; nil when none waits.
    public static func accept(_ listener: Int32) throws(Errno) -> Descriptor? {
        do {
            let fd = try checked { cl_accept(listener) }
            _ = cl_set_buffers(fd, 4 << 20)
            return Descriptor(owning: fd)
        } catch Errno.wouldBlock {
            return nil
        }
    }

    /// Who connected (SO_PEERCRED, unix(7)).
    public static func peer(_ socket: Int32) throws(Errno) -> (pid: Int32, uid: UInt32, gid: UInt32)
    {
        var pid: Int32 = 0
        var uid: UInt32 = 0
        var gid: UInt32 = 0
        _ = try checked { cl_peer(socket, &pid, &uid, &gid) }
        return (pid, uid, gid)
    }

    /// Sends one message, with a copy of a descriptor when `passing` is not negative.
    ///
    /// - Returns: false when the socket is full: wait until it is writable.
    public static func send(
        _ bytes: ArraySlice<UInt8>, to socket: Int32, passing: Int32 = -1
    ) throws(Errno) -> Bool {
        do {
            _ = try checkedCount {
                bytes.withUnsafeBytes { cl_send(socket, $0.baseAddress, $0.count, passing) }
            }
            return true
        } catch Errno.wouldBlock {
            return false
        } catch Errno.noBufferSpace {
            return false
        }
    }

    /// The peer can send no more (EPIPE); what it has sent can still be received (shutdown(2)).
    public static func stopReceiving(_ socket: Int32) {
        _ = shutdown(socket, Int32(SHUT_RD))
    }

    /// Ends a connection. Where messages were not received, it is closed aside.
    public static func close(_ socket: consuming Descriptor, _ aside: AsideCloser) {
        let number = socket.release()
        if cl_seqpacket_end(number) == 1 {
            aside.close([number])
        } else {
            _ = Descriptor(owning: number)
        }
    }

    /// What one receive brought. The caller owns the descriptors, of which a stranger may send as many
    /// as 253 (SCM_MAX_FD).
    public enum Received {
        /// A message in the first `count` bytes of the buffer, and what came with it.
        case message(count: Int, descriptors: [Int32])
        /// A message that the buffer does not hold.
        case tooLong(descriptors: [Int32])
        case nothing
        case closed
    }

    /// Receives one message into the buffer.
    public static func receive(
        from socket: Int32, into bytes: inout [UInt8]
    ) throws(Errno) -> Received {
        var count = 0
        var error: Int32 = 0
        let descriptors = withUnsafeTemporaryAllocation(
            of: Int32.self, capacity: Int(CL_MOST_PASSED)
        ) { room in
            var passed: Int32 = 0
            count = bytes.withUnsafeMutableBytes {
                cl_receive(socket, $0.baseAddress, $0.count, room.baseAddress, &passed)
            }
            if count < 0 { error = errno }
            return passed == 0 ? [] : Array(room.prefix(Int(passed)))
        }
        if count > 0 || count == 0 && !descriptors.isEmpty {
            return .message(count: count, descriptors: descriptors)
        }
        switch error {
        case 0, ECONNRESET: return .closed
        case EMSGSIZE: return .tooLong(descriptors: descriptors)
        case EAGAIN, EINTR: return .nothing
        default: throw Errno(rawValue: error)
        }
    }

    /// A datagram to a socket in the file system; false when nobody takes it. Never blocks.
    public static func datagram(_ bytes: [UInt8], to path: String) -> Bool {
        bytes.withUnsafeBytes { cl_datagram_send(path, $0.baseAddress, $0.count) } >= 0
    }
}

/// Memory that travels as a descriptor and cannot change any more (memfd_create(2), F_ADD_SEALS).
public enum SealedMemory {
    public static func make(_ bytes: [UInt8], name: String) throws(Errno) -> Descriptor {
        Descriptor(
            owning: try checked {
                bytes.withUnsafeBytes { cl_memfd_sealed(name, $0.baseAddress, $0.count) }
            })
    }

    /// The bytes of a received descriptor; nil unless it is sealed and no longer than the limit.
    public static func read(_ descriptor: Int32, limit: Int) throws(Errno) -> [UInt8]? {
        guard cl_memfd_is_sealed(descriptor) == 1 else { return nil }
        let size = try File.status(of: descriptor).size
        guard size <= limit else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(size))
        var done = 0
        while done < bytes.count {
            var rest = [UInt8](repeating: 0, count: bytes.count - done)
            let got = try File.read(descriptor, into: &rest, at: Int64(done))
            if got == 0 { return nil }
            bytes.replaceSubrange(done..<done + got, with: rest[..<got])
            done += got
        }
        return bytes
    }
}

/// A pipe; the reading end is non-blocking.
public enum Pipe {
    public static func make() throws(Errno) -> (read: Int32, write: Int32) {
        var fds: [Int32] = [-1, -1]
        _ = try checked { cl_pipe(&fds, 1) }
        return (fds[0], fds[1])
    }

    /// Bytes that wait in a pipe (FIONREAD, pipe(7)): at most F_GETPIPE_SZ, which whoever has an end
    /// of it may have changed.
    public static func waiting(in descriptor: Int32) throws(Errno) -> Int {
        var count: Int32 = 0
        _ = try checked { ioctl(descriptor, UInt(FIONREAD), &count) }
        return Int(count)
    }
}

// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
public import SystemPackage

/// Watches directories (inotify(7)). A hint only: whoever uses it also scans.
public final class Inotify {
    /// One event of a watched directory.
    public struct Event: Sendable {
        public var watch: Int32
        public var mask: UInt32
        /// The name in the directory; empty for the directory itself.
        public var name: [UInt8]

        /// The queue overflowed: anything may have happened.
        public var isOverflow: Bool { mask & UInt32(CL_IN_Q_OVERFLOW) != 0 }
        /// The directory itself was moved or deleted, or its file system unmounted.
        public var isGone: Bool {
            mask & UInt32(CL_IN_MOVE_SELF | CL_IN_DELETE_SELF | CL_IN_IGNORED) != 0
        }
        /// The name left the directory.
        public var isDeparture: Bool {
            mask & UInt32(CL_IN_MOVED_FROM | CL_IN_DELETE) != 0
        }
    }

    /// What to be told of.
    public struct Mask: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static let movedTo = Mask(rawValue: UInt32(CL_IN_MOVED_TO))
        public static let movedFrom = Mask(rawValue: UInt32(CL_IN_MOVED_FROM))
        public static let closedAfterWriting = Mask(rawValue: UInt32(CL_IN_CLOSE_WRITE))
        public static let created = Mask(rawValue: UInt32(CL_IN_CREATE))
        public static let deleted = Mask(rawValue: UInt32(CL_IN_DELETE))
        public static let modified = Mask(rawValue: UInt32(CL_IN_MODIFY))
        public static let attributes = Mask(rawValue: UInt32(CL_IN_ATTRIB))
        /// One event, and the watch is gone.
        public static let once = Mask(rawValue: 1 << 31)
        public static let selfGone = Mask(
            rawValue: UInt32(CL_IN_DELETE_SELF) | UInt32(CL_IN_MOVE_SELF))
    }

    private let descriptor: Descriptor
    private var buffer = [UInt8](repeating: 0, count: 64 * 1024)

    public init() throws(Errno) {
        descriptor = Descriptor(owning: try checked { cl_inotify_init() })
    }

    /// For the loop: readable when events wait.
    public var number: Int32 { descriptor.number }

    /// Watches a directory by its open descriptor, so that a rename above it changes nothing.
    public func watch(directory: Int32, for mask: Mask) throws(Errno) -> Int32 {
        try watch(path: "/proc/self/fd/\(directory)", for: mask)
    }

    public func watch(path: String, for mask: Mask) throws(Errno) -> Int32 {
        try checked { cl_inotify_add(descriptor.number, path, mask.rawValue) }
    }

    /// Ends a watch; one that is gone by now is none.
    public func forget(_ watch: Int32) { _ = cl_inotify_remove(descriptor.number, watch) }

    /// The events that one read brings; empty when none wait.
    public func read() throws(Errno) -> [Event] {
        let count: Int
        do {
            count = try File.read(descriptor.number, into: &buffer)
        } catch Errno.wouldBlock {
            return []
        }
        return Self.parse(buffer, count)
    }

    private static func parse(_ buffer: [UInt8], _ count: Int) -> [Event] {
        var events: [Event] = []
        buffer.withUnsafeBytes { raw in
            var at = 0
            let header = MemoryLayout<inotify_event>.size
            while at + header <= count {
                let watch = raw.loadUnaligned(fromByteOffset: at, as: Int32.self)
                let mask = raw.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self)
                let length = Int(raw.loadUnaligned(fromByteOffset: at + 12, as: UInt32.self))
                let name = raw[(at + header)..<(at + header + length)].prefix { $0 != 0 }
                events.append(Event(watch: watch, mask: mask, name: Array(name)))
                at += header + length
            }
        }
        return events
    }
}

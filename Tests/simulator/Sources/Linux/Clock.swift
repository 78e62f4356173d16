// SPDX-License-Identifier: Apache-2.0
import CLinux
public import SystemPackage

/// The model's clocks: microseconds that pass by calls and when taskd waits.
public enum Clock {
    public static func real() -> Int64 { Machine.current.bootTime + Machine.current.realOffset }
    public static func boot() -> Int64 { Machine.current.bootTime }
    public static func yield(until time: Int64) {
        Machine.current.bootTime = max(Machine.current.bootTime, time)
    }

    /// Time stamps of files have the granularity of the kernel's tick.
    static func coarse(_ machine: Machine) -> Int64 {
        (machine.bootTime + machine.realOffset) / 4000 * 4000
    }
}

public struct RandomSource {
    public init() {}
    public mutating func bits64() -> UInt64 { Machine.current.random.next() }
}

public enum Checksum {
    public static func crc32c(
        _ bytes: UnsafeRawBufferPointer, continuing crc: UInt32 = 0
    ) -> UInt32 {
        cl_crc32c(crc, bytes.baseAddress, bytes.count)
    }

    public static func crc32c(_ bytes: ArraySlice<UInt8>, continuing crc: UInt32 = 0) -> UInt32 {
        bytes.withUnsafeBytes { cl_crc32c(crc, $0.baseAddress, $0.count) }
    }
}

public enum Memory {
    public static func trim() {}
    public static func forgetStart() {}
    public static let total: Int64 = 8 << 30
}

public enum Caller {
    public static func environment(_ name: String) -> String? { nil }
    public static func environment() -> [String] { [] }
    public static func notifyManager(_ text: String) {}
    public static var uid: UInt32 { 0 }
    public static var home: String? { nil }
    public static func workingDirectory() throws(Errno) -> String { "/" }
}

/// As in the real module; a number belongs to the process that got it.
public struct Descriptor: ~Copyable {
    public let number: Int32
    public init(owning number: Int32) { self.number = number }

    public consuming func close() throws(Errno) {
        let number = self.number
        discard self
        try Machine.current.enter(.close)
        Machine.current.close(number)
    }

    deinit { Machine.current.close(number) }
}

extension Errno {
    public var isShortage: Bool {
        switch self {
        case .tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory, .interrupted,
            .resourceTemporarilyUnavailable, .noBufferSpace:
            true
        default: false
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Linux
public import SystemPackage

/// Disk space kept for the time when there is no other: `journal/.reserve`, 16 MiB but at most a
/// 32nd of what is free. When the journal meets ENOSPC it takes from here, so that what runs can
/// end and be recorded.
public final class SpaceReserve {
    static let name = ".reserve"
    static let wanted: Int64 = 16 << 20
    private static let step: Int64 = 1 << 20

    private let descriptor: Descriptor
    private let whole: Int64
    /// Bytes that are left.
    public private(set) var bytes: Int64 = 0

    /// Some of it was used: accept nothing until `refill` says true.
    public var isShort: Bool { bytes < whole }

    /// Allocates the reserve in a journal directory. Without the space it begins short.
    public init(at directory: Int32) throws(Errno) {
        descriptor = try File.open(Self.name, at: directory, flags: [.readWrite, .create])
        let had = try File.status(of: descriptor.number).size
        let free = try File.freeSpace(descriptor.number).bytes
        whole = min(Self.wanted, (free + had) / 32)
        if had > whole { try File.truncate(descriptor.number, to: whole) }
        _ = refill()
    }

    /// Gives a part back to the file system; false when nothing is left.
    func release() -> Bool {
        guard bytes > 0 else { return false }
        bytes = max(0, bytes - Self.step)
        try? File.truncate(descriptor.number, to: bytes)
        return true
    }

    /// Takes back what was given away, once there is space again; true when it is whole.
    public func refill() -> Bool {
        guard isShort else { return true }
        do {
            try File.allocate(descriptor.number, offset: 0, length: whole)
            bytes = whole
        } catch {
            return false
        }
        return true
    }
}

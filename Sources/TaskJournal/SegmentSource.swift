// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage

/// An open segment, plain or compressed: offsets are those of its plain bytes either way.
final class SegmentSource {
    /// Behind the name of a compressed segment.
    static let compressed = ".zst"

    private let descriptor: Descriptor
    private let packed: CompressedBytes?

    /// The file's descriptor, for locks and times.
    var number: Int32 { descriptor.number }
    var isCompressed: Bool { packed != nil }
    /// The seek table is as it was written, or there is none.
    var isTableWhole: Bool { packed?.isTableWhole ?? true }

    private init(_ descriptor: consuming Descriptor, _ packed: CompressedBytes?) {
        self.descriptor = descriptor
        self.packed = packed
    }

    /// Opens a segment under the first of these suffixes that it has, and `.zst` at last. A seal, or a
    /// compression, may come between two of them: each goes on to a later one.
    ///
    /// - Parameter place: what the directory is called in messages.
    /// - Returns: nil when it has none.
    /// - Throws: `.format` when it is compressed and no frame can be found in it.
    static func open(
        _ name: SegmentName, _ suffixes: [String], at directory: Int32, in place: String = ""
    ) throws(JournalError) -> SegmentSource? {
        for suffix in suffixes + [compressed] {
            let file = name.stem + suffix
            do {
                let descriptor = try File.open(file, at: directory, flags: .noFollow)
                guard suffix == compressed else { return SegmentSource(descriptor, nil) }
                guard let packed = try CompressedBytes(descriptor.number, name) else {
                    throw JournalError.format(name: place + file)
                }
                return SegmentSource(descriptor, packed)
            } catch Errno.noSuchFileOrDirectory {
                continue
            } catch let error as JournalError {
                throw error
            } catch {
                throw .io(verb: "open", name: place + file, errno: (error as? Errno) ?? .ioError)
            }
        }
        return nil
    }

    /// As pread(2). Of a compressed segment fewer bytes come only at the end.
    func read(into bytes: inout [UInt8], at position: Int64) throws(Errno) -> Int {
        guard let packed else { return try File.read(number, into: &bytes, at: position) }
        return try packed.read(number, into: &bytes, at: position)
    }

    /// Plain bytes.
    func size() throws(Errno) -> Int64 {
        guard let packed else { return try File.status(of: number).size }
        return packed.table.plainBytes
    }
}

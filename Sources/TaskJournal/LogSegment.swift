// SPDX-License-Identifier: Apache-2.0
public import Linux
import SystemPackage
import TaskModel

/// A log segment: `log/SEGMENT.log`, a first line `taskoutput 1 segment=SEGMENT` and log records.
public enum LogSegment {
    /// A new segment is begun at this size, in bytes.
    public static let full: Int64 = 48 << 20
    /// Nothing is appended beyond this size, in bytes.
    public static let largest: Int64 = 64 << 20

    /// Creates a segment by O_EXCL, for appending (O_APPEND) by whoever gets the descriptor. Output
    /// is not synced: what an `end` names is on its way to the disk.
    ///
    /// - Parameter directory: `log/`.
    public static func create(
        _ name: SegmentName, at directory: Int32
    ) throws(JournalError) -> Descriptor {
        let file = name.stem + ".log"
        return try JournalError.io("create", "log/" + file) { () throws(Errno) in
            let descriptor = try File.open(
                file, at: directory, flags: [.readWrite, .create, .exclusive, .append])
            do throws(Errno) {
                try File.writeAll(
                    Array("taskoutput 1 segment=\(name.stem)\n".utf8), to: descriptor.number)
            } catch {
                // The disk is full. Nobody else makes it again: O_EXCL would refuse the name for ever.
                try? File.unlink(file, at: directory)
                throw error
            }
            return descriptor
        }
    }

    /// The names of the segments in `log/`, plain or compressed, sorted by epoch, writer and number.
    public static func names(in directory: Int32) throws(JournalError) -> [SegmentName] {
        let names = try JournalDirectory.names(in: directory).compactMap {
            SegmentName(file: $0, suffix: "log") ?? SegmentName(file: $0, suffix: "zst")
        }
        return Set(names).sorted()
    }

    /// When something was last appended to a segment, in microseconds since 1970; nil when it is gone.
    public static func modified(_ name: SegmentName, at directory: Int32) -> Int64? {
        for suffix in [".log", SegmentSource.compressed] {
            if let status = try? File.status(name.stem + suffix, at: directory) {
                return status.modified
            }
        }
        return nil
    }
}

/// Writes log records into segments of its own, for those who hold the output themselves
/// (`tasklog append`).
public final class LogWriter {
    private let directory: Int32
    private var name: SegmentName
    private var file: OpenFile?
    private var buffer: [UInt8] = []
    /// Where the buffer's first byte will stand.
    private var offset: Int64 = 0

    private final class OpenFile {
        let descriptor: Descriptor
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
        var number: Int32 { descriptor.number }
    }

    /// The first segment is made with the first record.
    public init(at directory: Int32, epoch: Int, writer: String) {
        self.directory = directory
        name = SegmentName(epoch: epoch, writer: writer, number: 1)
    }

    /// Appends a record; `flush` writes it.
    ///
    /// - Returns: where it stands.
    public func append(_ record: LogRecord) throws(JournalError) -> LogPlace {
        try begin()
        let start = buffer.count
        record.append(to: &buffer)
        let place = LogPlace(
            segment: name, offset: offset + Int64(start), length: Int64(buffer.count - start))
        if buffer.count > 256 << 10 { try flush() }
        return place
    }

    /// Hands all records to the kernel.
    public func flush() throws(JournalError) {
        guard !buffer.isEmpty, let number = file?.number else { return }
        let bytes = buffer
        try JournalError.io("write", "log/\(name).log") { () throws(Errno) in
            try File.writeAll(bytes, to: number)
        }
        offset += Int64(buffer.count)
        buffer.removeAll(keepingCapacity: true)
    }

    private func begin() throws(JournalError) {
        if file != nil {
            guard offset + Int64(buffer.count) >= LogSegment.full else { return }
            try flush()
            name = name.next
        }
        let created = OpenFile(try LogSegment.create(name, at: directory))
        let number = created.number
        offset = try JournalError.io("read", "log/\(name).log") { () throws(Errno) in
            try File.status(of: number).size
        }
        file = created
    }
}

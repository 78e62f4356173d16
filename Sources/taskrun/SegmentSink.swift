// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskModel

/// Output as records in the log segment that taskd gave: all of one turn in one write.
///
/// taskrun knows no path: taskd passes a descriptor, and the next one when a segment is full.
final class SegmentSink: OutputSink {
    private let owner: TaskOwner
    private var file: OpenFile?
    private var segment: SegmentName?
    private var buffer: [UInt8] = []
    /// Where the buffer's first byte will stand.
    private var offset: Int64 = 0
    /// Bytes that the file system did not take, and why.
    private(set) var lost = 0
    private(set) var failure: Errno?

    /// Whether there is a segment to write to.
    var isOpen: Bool { file != nil }

    /// Beyond this nothing is read any more: tasks wait in their writes until the next segment.
    var isFull: Bool { offset + Int64(buffer.count) >= LogSegment.largest }

    /// The next segment is due.
    var wantsNext: Bool { offset + Int64(buffer.count) >= LogSegment.full }

    /// Whose disk space it takes: written with his rights, so that his quota and root's reserve hold.
    init(owner: TaskOwner) { self.owner = owner }

    /// Goes on in another segment, of which `file` is a description of our own.
    func open(_ name: SegmentName, _ file: OpenFile) throws(Errno) {
        flush()
        offset = try File.status(of: file.number).size
        segment = name
        self.file = file
    }

    /// For another program that goes on; call it after `flush`. The descriptor that must stay open.
    func handOver(_ record: inout HandoverTable.Record) -> Int32? {
        guard let file, let segment else { return nil }
        record.add("segment", segment.stem)
        record.add("log", file.number)
        record.add("offset", offset)
        return file.number
    }

    func resume(_ record: HandoverTable.Record) {
        guard let name = record.text("segment").flatMap({ SegmentName(stem: $0) }),
            let number: Int32 = record.number("log"), let place: Int64 = record.number("offset")
        else { return }
        segment = name
        file = OpenFile(Descriptor(owning: number))
        offset = place
    }

    func take(_ bytes: ArraySlice<UInt8>, of attempt: Attempt, step: Int, fd: Int) {
        guard let place = append(bytes, of: attempt, step: step, stream: fd) else { return }
        if let last = attempt.logPlaces.last, last.segment == place.segment {
            attempt.logPlaces[attempt.logPlaces.count - 1].length =
                place.offset + place.length - last.offset
        } else {
            attempt.logPlaces.append(place)
        }
        if buffer.count > 256 * 1024 { flush() }
    }

    func takeResult(_ bytes: [UInt8], of attempt: Attempt) -> LogPlace? {
        append(bytes[...], of: attempt, step: 0, stream: LogRecord.result)
    }

    private func append(
        _ bytes: ArraySlice<UInt8>, of attempt: Attempt, step: Int, stream: Int
    ) -> LogPlace? {
        guard let segment else { return nil }
        let start = buffer.count
        let record = LogRecord(
            ref: attempt.job.ref, attempt: attempt.job.attempt, step: step, stream: stream,
            microseconds: Clock.real(), payload: bytes)
        record.append(to: &buffer)
        return LogPlace(
            segment: segment, offset: offset + Int64(start), length: Int64(buffer.count - start))
    }

    /// Hands all records to the kernel. On an error (a full disk) they are lost and counted: a task
    /// must be able to end. What follows takes their place.
    func flush() {
        guard !buffer.isEmpty, let number = file?.number else { return }
        do throws(Errno) {
            try ForOwner.accessing(owner.uid, owner.gid) { () throws(Errno) in
                try File.writeAll(buffer, to: number, at: offset)
            }
            offset += Int64(buffer.count)
        } catch {
            lost += buffer.count
            failure = error
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// The bytes lost since the last call, and why.
    func takeLoss() -> (bytes: Int, errno: Errno)? {
        guard lost > 0, let failure else { return nil }
        defer { lost = 0 }
        return (lost, failure)
    }
}

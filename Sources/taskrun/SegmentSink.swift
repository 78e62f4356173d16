// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskModel

/// Output as records in the log segment that taskd gave: all of one turn in one write.
///
/// taskrun knows no path: taskd passes a descriptor, and the next one when a segment is full.
final class SegmentSink: OutputSink {
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

    /// Goes on in another segment.
    ///
    /// - Returns: false for a descriptor that is none of a regular file.
    func open(_ name: SegmentName, _ file: OpenFile) throws(Errno) -> Bool {
        flush()
        let status = try File.status(of: file.number)
        guard status.isRegular else { return false }
        offset = status.size
        segment = name
        self.file = file
        return true
    }

    func take(_ bytes: ArraySlice<UInt8>, of attempt: Attempt, step: Int, fd: Int) {
        guard let segment else { return }
        let start = buffer.count
        let record = LogRecord(
            ref: attempt.job.ref, attempt: attempt.job.attempt, step: step, stream: fd,
            microseconds: Clock.real(), payload: bytes)
        record.append(to: &buffer)
        let from = offset + Int64(start)
        let end = offset + Int64(buffer.count)
        if let last = attempt.logPlaces.last, last.segment == segment {
            attempt.logPlaces[attempt.logPlaces.count - 1].length = end - last.offset
        } else {
            attempt.logPlaces.append(
                LogPlace(segment: segment, offset: from, length: end - from))
        }
        if buffer.count > 256 * 1024 { flush() }
    }

    /// Hands all records to the kernel. On an error (a full disk) they are lost and counted: a task
    /// must be able to end.
    func flush() {
        guard !buffer.isEmpty, let number = file?.number else { return }
        do throws(Errno) {
            try File.writeAll(buffer, to: number)
            offset += Int64(buffer.count)
        } catch {
            lost += buffer.count
            failure = error
            // What was written in part is there; what follows must know where it begins.
            offset = (try? File.status(of: number).size) ?? offset
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

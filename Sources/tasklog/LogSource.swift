// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskHistory
import TaskJournal
import TaskModel
import TaskTool

/// Which pieces of output are wanted.
struct LogFilter {
    var ref: TaskRef
    var attempt: Int?
    /// 1 or 2; nil both.
    var stream: Int?

    func wants(_ record: LogRecord) -> Bool {
        guard record.ref.run == ref.run else { return false }
        if let task = ref.task, record.ref.task != task { return false }
        if let item = ref.item, record.ref.item != item { return false }
        if let attempt, record.attempt != attempt { return false }
        // The streams are the command's; a check's words are neither.
        if let stream, record.stream != stream || record.step != 0 { return false }
        return true
    }
}

/// The output of ended attempts, read where their ends say that it lies.
struct PlacedLogs {
    let directory: Int32
    let filter: LogFilter
    /// Segments that are not there any more.
    private(set) var missing: [SegmentName] = []

    init(at directory: Int32, _ filter: LogFilter) {
        self.directory = directory
        self.filter = filter
    }

    mutating func each(
        _ attempt: AttemptRow, _ body: (LogRecord) throws(ToolError) -> Void
    ) throws(ToolError) {
        guard let ref = TaskRef(attempt.task) else { return }
        for place in attempt.logs {
            do {
                guard
                    let reader = try LogReader(
                        place.segment, at: directory, offset: place.offset, length: place.length)
                else {
                    missing.append(place.segment)
                    continue
                }
                while let record = try reader.next(of: ref, attempt: attempt.number) {
                    if filter.wants(record) { try body(record) }
                }
            } catch let error as ToolError {
                throw error
            } catch {
                throw ToolError.reading(error)
            }
        }
    }
}

/// The output of a run from all log segments that may have some: finds also what running attempts
/// have written, and goes on with what comes.
final class ScannedLogs {
    private let directory: Int32
    private let filter: LogFilter
    private let since: Int64
    private var readers: [SegmentName: LogReader] = [:]
    private var old: Set<SegmentName> = []

    /// - Parameter since: when the run was made: segments that were last written before have
    ///   nothing of it.
    init(at directory: Int32, _ filter: LogFilter, since: Int64) {
        self.directory = directory
        self.filter = filter
        self.since = since
    }

    /// Everything that has come since the last call.
    func each(_ body: (LogRecord) throws(ToolError) -> Void) throws(ToolError) {
        do {
            for name in try LogSegment.names(in: directory) {
                guard let reader = try reader(name) else { continue }
                while let record = try reader.next() {
                    if filter.wants(record) { try body(record) }
                }
            }
        } catch let error as ToolError {
            throw error
        } catch {
            throw ToolError.reading(error)
        }
    }

    private func reader(_ name: SegmentName) throws -> LogReader? {
        if let reader = readers[name] { return reader }
        if old.contains(name) { return nil }
        let status = try? File.status(name.stem + ".log", at: directory)
        if let status, status.modified < since {
            old.insert(name)
            return nil
        }
        let reader = try LogReader(name, at: directory)
        readers[name] = reader
        return reader
    }
}

extension ToolError {
    static func reading(_ error: any Error) -> ToolError {
        let sentence =
            switch error {
            case let error as JournalError: error.sentence
            case let error as HistoryError: error.sentence
            default: "read the spool: \(error)"
            }
        return ToolError(
            "unable to \(sentence), the answer is not complete", status: ExitStatus.ioError)
    }
}

// SPDX-License-Identifier: Apache-2.0
public import TaskJournal
public import TaskModel

/// Which pieces of output are wanted.
public struct LogFilter: Sendable {
    public var ref: TaskRef
    public var attempt: Int?
    /// 1 or 2; nil both.
    public var stream: Int?

    public init(ref: TaskRef, attempt: Int? = nil, stream: Int? = nil) {
        self.ref = ref
        self.attempt = attempt
        self.stream = stream
    }

    func wants(_ record: LogRecord) -> Bool {
        guard record.ref.run == ref.run else { return false }
        if let task = ref.task, record.ref.task != task { return false }
        if let item = ref.item, record.ref.item != item { return false }
        if let attempt, record.attempt != attempt { return false }
        if record.stream == LogRecord.result { return false }
        // The streams are the command's; a check's words are neither.
        if let stream, record.stream != stream || record.step != 0 { return false }
        return true
    }
}

/// The output of ended attempts, read where their ends say that it lies.
public struct PlacedLogs {
    private let directory: Int32
    private let filter: LogFilter
    /// Segments that are not there any more.
    public private(set) var missing: [SegmentName] = []

    /// - Parameter directory: `log/`.
    public init(at directory: Int32, _ filter: LogFilter) {
        self.directory = directory
        self.filter = filter
    }

    /// Calls the body for every piece of an attempt, in order.
    ///
    /// - Throws: JournalError, and what the body throws.
    public mutating func each(
        _ attempt: AttemptRow, _ body: (LogRecord) throws -> Void
    ) throws {
        guard let ref = TaskRef(attempt.task) else { return }
        for place in attempt.logs {
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
        }
    }
}

/// The output of a run from all log segments that may have some: finds also what running attempts
/// have written, and goes on with what comes.
public final class ScannedLogs {
    private let directory: Int32
    private let filter: LogFilter
    private let since: Int64
    private var readers: [SegmentName: LogReader] = [:]
    private let latest: Int

    /// - Parameters:
    ///   - directory: `log/`.
    ///   - since: when the run was made, in microseconds since 1970: segments that were last written
    ///     before have nothing of it yet.
    ///   - latest: at most that many segments are read, those that were written last.
    public init(
        at directory: Int32, _ filter: LogFilter, since: Int64, latest: Int = .max
    ) {
        self.latest = latest
        self.directory = directory
        self.filter = filter
        self.since = since
    }

    /// Passes over what is there: for a run that is still to be made.
    public func skipPresent() throws {
        for name in try LogSegment.names(in: directory) {
            readers[name] = try LogReader(endOf: name, at: directory)
        }
    }

    /// Everything that has come since the last call.
    ///
    /// - Throws: JournalError, and what the body throws.
    public func each(_ body: (LogRecord) throws -> Void) throws {
        for name in try names() {
            guard let reader = try reader(name) else { continue }
            while let record = try reader.next() {
                if filter.wants(record) { try body(record) }
            }
        }
    }

    private func names() throws -> [SegmentName] {
        let all = try LogSegment.names(in: directory)
        guard all.count > latest else { return all }
        let dated = all.map { name in
            (name, LogSegment.modified(name, at: directory) ?? 0)
        }
        let chosen = Set(dated.sorted { $0.1 > $1.1 }.prefix(latest).map { $0.0 })
        return all.filter { chosen.contains($0) }
    }

    private func reader(_ name: SegmentName) throws -> LogReader? {
        if let reader = readers[name] { return reader }
        if let modified = LogSegment.modified(name, at: directory), modified < since { return nil }
        let reader = try LogReader(name, at: directory)
        readers[name] = reader
        return reader
    }
}

/// What an attempt wrote and `LogLimit=` did not keep.
public struct CutOutput: Equatable, Sendable {
    /// `RUN.K`.
    public var task: String
    public var attempt: Int
    /// Bytes that are in no log.
    public var dropped: Int64

    // The number in a note's `kept=… dropped=…`.
    static func dropped(in detail: some StringProtocol) -> Int64? {
        detail.split(separator: " ").first { $0.hasPrefix("dropped=") }
            .flatMap { Int64($0.dropFirst("dropped=".count)) }
    }
}

extension History {
    /// The attempts of a run or a task of whose output a part was not kept.
    public func cutOutput(of ref: TaskRef) throws(HistoryError) -> [CutOutput] {
        let rows = try database.prepare(
            """
            select e.job_id, e.attempt, e.detail from event e
            where \(Self.belongs("e.job_id")) and e.verb = 'note'
                and e.detail like '%what=log.limit%'
            order by e.id
            """)
        rows.bind(1, ref.description)
        var found: [CutOutput] = []
        while try rows.step() {
            guard let dropped = CutOutput.dropped(in: rows.text(2) ?? "") else { continue }
            found.append(
                CutOutput(
                    task: rows.text(0) ?? "", attempt: rows.int(1) ?? 1, dropped: dropped))
        }
        return found
    }
}

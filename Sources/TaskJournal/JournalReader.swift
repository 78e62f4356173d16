// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// Reads a whole journal, all writers merged by time; within one writer's chain the order is as it
/// was written. After `next` has said nil, `refresh` goes on with what was written since.
public final class JournalReader {
    private let directory: Int32
    private var chains: [String: JournalChain] = [:]
    /// Chains that have a next record, or did when they were last asked.
    private var active: [JournalChain] = []
    /// Chains that begin later, the earliest last: their files are not open yet.
    private var sleeping: [(chain: JournalChain, time: Int64)] = []
    private let start: JournalPosition?
    private var found: [Damage] = []
    /// What is missing and may have been retired.
    private var gaps: [JournalChain.Gap] = []
    /// By writer: the last segment of which a record said that it was retired.
    private var retired: [String: SegmentName] = [:]

    /// - Parameters:
    ///   - directory: `journal/`, open for as long as the reader lives.
    ///   - position: skip what this record's writer wrote up to and with it, and other writers'
    ///     segments of earlier epochs; nil reads all.
    public init(at directory: Int32, after position: JournalPosition? = nil) throws(JournalError) {
        self.directory = directory
        start = position
        try refresh()
    }

    /// Looks for new segments, and again into those that had ended.
    public func refresh() throws(JournalError) {
        for entry in try JournalDirectory(reading: directory).segments {
            add(entry.name)
        }
        active = []
        sleeping = []
        for chain in chains.values {
            if chain.cursor != nil {
                active.append(chain)
            } else if let time = try chain.firstTime() {
                sleeping.append((chain, time))
            }
            collect(chain)
        }
        sleeping.sort { $0.time > $1.time }
    }

    private func add(_ name: SegmentName) {
        if let start {
            if name.writer == start.segment.writer
                ? name < start.segment
                : name.epoch < start.segment.epoch
            {
                return
            }
        }
        if let chain = chains[name.writer] { return chain.add(name) }
        let chain = JournalChain([name], at: directory, isWhole: start == nil)
        if let start, start.segment.writer == name.writer { chain.skip(through: start) }
        chains[name.writer] = chain
    }

    /// The next record, nil at the end for now.
    public func next() throws(JournalError) -> JournalRecord? {
        while true {
            let first = try earliest()
            guard let waiting = sleeping.last, waiting.time <= first?.time ?? .max else {
                let record = first?.chain.take()
                if !gaps.isEmpty, let record { noteRetired(record) }
                return record
            }
            active.append(waiting.chain)
            sleeping.removeLast()
        }
    }

    private func collect(_ chain: JournalChain) {
        found += chain.takeDamages()
        gaps += chain.takeGaps()
    }

    // A gap is read before the record that explains it: that came when the segment went.
    private func noteRetired(_ record: JournalRecord) {
        guard record.segment.writer == "taskd", let name = RetiredNote.segment(record.line),
            retired[name.writer].map({ $0 < name }) ?? true
        else { return }
        retired[name.writer] = name
    }

    // The active chain with the earliest record; those that have come to their end leave.
    private func earliest() throws(JournalError) -> (chain: JournalChain, time: Int64)? {
        var first: (chain: JournalChain, time: Int64)?
        var index = 0
        while index < active.count {
            let chain = active[index]
            let time = try chain.nextTime()
            collect(chain)
            guard let time else {
                active.remove(at: index)
                continue
            }
            if first.map({ time < $0.time }) ?? true { first = (chain, time) }
            index += 1
        }
        return first
    }

    /// One event and where it stands.
    public struct Event: Sendable {
        public var line: EventLine
        public var at: JournalPosition
        /// The boot id of the machine when its segment was made.
        public var boot: String
    }

    /// The next record as an event; what is no event line is damage.
    public func nextEvent() throws(JournalError) -> Event? {
        while let record = try next() {
            do {
                let line = try EventLine(parsing: record.line)
                return Event(line: line, at: record.position, boot: record.boot)
            } catch {
                found.append(
                    Damage(
                        .corrupt, record.segment, offset: record.end - Int64(record.line.count),
                        bytes: Int64(record.line.count),
                        sequences: record.sequence...record.sequence))
            }
        }
        return nil
    }

    /// What is wrong with what was read so far. A missing segment is not, where a record that was read says
    /// that it was retired.
    public func takeDamages() -> [Damage] {
        for gap in gaps where retired[gap.missing.writer].map({ $0 < gap.missing }) ?? true {
            found.append(gap.damage)
        }
        gaps = []
        defer { found = [] }
        return found
    }
}

// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// The ends of a part of one segment, as one call of `ship` (task-ledger(7)).
public struct Shipment: Equatable, Sendable {
    /// The segment's name without a suffix.
    public var segment: String
    /// Where the ledger's cursor of that segment is to be: the number of the record before the first one.
    public var from: Int64
    /// The number of the last record that was looked at: the cursor afterwards.
    public var to: Int64
    public private(set) var ends: [LedgerEnd] = []
    /// About as many bytes as its arrays take.
    public private(set) var bytes = 0

    public init(segment: String, from: Int64) {
        self.segment = segment
        self.from = from
        to = from
    }

    public mutating func append(_ end: LedgerEnd) {
        ends.append(end)
        bytes += 90 + (end.parent == nil ? 0 : 37)
        bytes += (end.name?.utf8.count ?? 4) + (end.unit?.utf8.count ?? 4)
    }

    /// A question where the cursor is: no cursor is below zero, so nothing is written.
    public static func question(_ segment: String) -> Shipment {
        Shipment(segment: segment, from: -1)
    }

    /// Numbers that do not fit a column, as only a foreign line has them, are brought into its range: one line must
    /// not keep all others away.
    private func int(_ value: (LedgerEnd) -> Int?) -> [UInt8] {
        ArrayText.of(ends.map { value($0).map { Int32(clamping: $0) } }, ArrayText.number)
    }

    private func short(_ value: (LedgerEnd) -> Int?) -> [UInt8] {
        ArrayText.of(ends.map { value($0).map { Int16(clamping: $0) } }, ArrayText.number)
    }

    private func long(_ value: (LedgerEnd) -> Int64?) -> [UInt8] {
        ArrayText.of(ends.map(value), ArrayText.number)
    }

    private func text(_ value: (LedgerEnd) -> String?) -> [UInt8] {
        ArrayText.of(ends.map(value), ArrayText.text)
    }

    private func uuid(isWhole: Bool = false, _ value: (LedgerEnd) -> TaskID?) -> [UInt8] {
        ArrayText.of(ends.map { value($0).map { UUID($0) } }, isWhole: isWhole) {
            $0.append(to: &$1)
        }
    }

    /// The call in the session of that epoch.
    func statement(epoch: Int64, spool: UUID) -> Statement {
        let arrays: [[UInt8]] = [
            // How many there are is how many runs it has.
            uuid(isWhole: true) { $0.run }, int { $0.generation }, int { $0.item }, int { $0.gen },
            int { $0.attempt }, int { $0.task }, int { $0.first }, text { $0.name },
            text { $0.unit }, short { Int($0.state.rawValue) }, short { $0.reason?.number },
            short { $0.code },
            ArrayText.of(ends.map(\.isFinal)) { $1.append(UInt8(ascii: $0 ? "t" : "f")) },
            long { $0.ended }, long { $0.span }, uuid { $0.parent }, long { $0.cpu },
            long { $0.memory },
        ]
        return Statement(
            "ship",
            [.number(epoch), .uuid(spool), .text(segment), .number(from), .number(to)]
                + arrays.map { .bytes($0) })
    }
}

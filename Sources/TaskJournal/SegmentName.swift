// SPDX-License-Identifier: Apache-2.0

/// The name of a segment: `EPOCH-WRITER-NUMBER`, in journal/ with `.open` while it is written and
/// `.sealed` afterwards, in log/ with `.log`. See task.journal(5).
///
/// Names sort as text in the order in which one writer made them.
public struct SegmentName: Hashable, Sendable {
    /// The epoch of the spool's owner, from 1.
    public var epoch: Int
    /// Who writes: `taskd`, or `PID.START` of a tasklog. Neither `-` nor `/` is in it.
    public var writer: String
    /// Counts the segments of one writer in one epoch, from 1.
    public var number: Int

    public init(epoch: Int, writer: String, number: Int) {
        self.epoch = epoch
        self.writer = writer
        self.number = number
    }

    /// Larger numbers are no segment's: the next one is counted from them.
    static let most = 1 << 53

    /// Parses the name without its suffix.
    public init?(stem: some StringProtocol) {
        let parts = stem.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, let epoch = Int(parts[0]), let number = Int(parts[2]),
            (1...Self.most).contains(epoch), (1...Self.most).contains(number), !parts[1].isEmpty
        else { return nil }
        self.init(epoch: epoch, writer: String(parts[1]), number: number)
        guard self.stem == stem else { return nil }
    }

    /// Parses a file's name, which ends in a dot and one of the suffixes.
    public init?(file: some StringProtocol, suffix: String) {
        guard file.hasSuffix("." + suffix) else { return nil }
        self.init(stem: file.dropLast(suffix.utf8.count + 1))
    }

    /// The name without a suffix, as `log=` and headers spell it.
    public var stem: String { Self.pad(epoch, 8) + "-" + writer + "-" + Self.pad(number, 6) }

    /// The segment that the same writer makes next.
    public var next: SegmentName {
        SegmentName(epoch: epoch, writer: writer, number: number + 1)
    }

    private static func pad(_ number: Int, _ digits: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }
}

extension SegmentName: Comparable {
    public static func < (left: SegmentName, right: SegmentName) -> Bool {
        (left.epoch, left.writer, left.number) < (right.epoch, right.writer, right.number)
    }
}

extension SegmentName: CustomStringConvertible {
    public var description: String { stem }
}

/// One record's place in the journal: what a checkpoint's `pos SEGMENT SEQ` says.
public struct JournalPosition: Hashable, Sendable {
    public var segment: SegmentName
    /// The record's number.
    public var sequence: UInt64

    public init(segment: SegmentName, sequence: UInt64) {
        self.segment = segment
        self.sequence = sequence
    }
}

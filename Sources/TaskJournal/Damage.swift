// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// Something that is wrong with a journal, as a value: it is reported, never repaired in place.
public struct Damage: Equatable, Sendable {
    /// What kind of damage it is; the raw value is the word of the note.
    public enum Kind: String, Sendable {
        /// A bad tail with nothing valid behind it: a write that a crash cut off.
        case torn
        /// Bad bytes with valid records behind them.
        case corrupt
        /// Records, or a whole segment, are missing.
        case gap
        /// No correct header: nothing of the segment can be read.
        case header
        /// The seek table of a compressed segment is bad: its frames were found one after another.
        case table
    }

    public var kind: Kind
    public var segment: SegmentName
    /// Where the bad bytes begin.
    public var offset: Int64
    /// How many bytes are bad; 0 for a gap.
    public var bytes: Int64
    /// The record numbers that are lost, where they are known.
    public var sequences: ClosedRange<UInt64>?

    public init(
        _ kind: Kind, _ segment: SegmentName, offset: Int64 = 0, bytes: Int64 = 0,
        sequences: ClosedRange<UInt64>? = nil
    ) {
        self.kind = kind
        self.segment = segment
        self.offset = offset
        self.bytes = bytes
        self.sequences = sequences
    }

    /// `note - what=journal.torn segment=… bytes=n`, as the next owner journals it.
    public func note(at microseconds: Int64) -> EventLine {
        var line = EventLine(
            microseconds, .note, "-",
            [.init("what", "journal.\(kind.rawValue)"), .init("segment", segment.stem)])
        if kind != .gap, kind != .table {
            line.set("offset", String(offset))
            line.set("bytes", String(bytes))
        }
        if let sequences {
            line.set("seq", "\(sequences.lowerBound)..\(sequences.upperBound)")
        }
        return line
    }

    /// One sentence for people.
    public var sentence: String {
        let lost = sequences.map { ", records \($0.lowerBound) to \($0.upperBound) are lost" } ?? ""
        return switch kind {
        case .torn: "\(segment): \(bytes) bytes at offset \(offset) were cut off by a crash"
        case .corrupt: "\(segment): \(bytes) bytes at offset \(offset) are corrupt\(lost)"
        case .gap: "\(segment): something is missing before it\(lost)"
        case .header: "\(segment): it has no correct header, nothing in it can be read"
        case .table: "\(segment): the seek table of its compressed form is corrupt"
        }
    }
}

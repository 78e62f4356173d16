// SPDX-License-Identifier: Apache-2.0
import TaskJournal
import TaskModel

/// How far a journal was read, and what is remembered of it: the file `outgoing/read`, so that a start does not read
/// the whole journal. A memory, nothing more: without it all is read again, and comes to the same.
struct TailMemory: Equatable {
    /// How far one segment was read.
    struct Place: Equatable {
        var segment: SegmentName
        /// What the ledger had looked at. One that has less lost some, and the memory is of no use.
        var told: Int64
        var isRead: Bool
        var offset: Int64
        var sequence: UInt64
    }

    var places: [Place] = []
    var lines: [EventLine] = []

    private static let heading = "taskread 1"

    init() {}

    /// `taskread 1`, a line `place SEGMENT TOLD READ OFFSET SEQ` a segment, event lines, `digest SHA256`.
    var bytes: [UInt8] {
        var bytes = Array("\(Self.heading)\n".utf8)
        for place in places {
            let read = place.isRead ? 1 : 0
            bytes += Array(
                "place \(place.segment) \(place.told) \(read) \(place.offset) \(place.sequence)\n"
                    .utf8)
        }
        for line in lines {
            line.append(to: &bytes)
            bytes.append(UInt8(ascii: "\n"))
        }
        DigestLine.append(to: &bytes)
        return bytes
    }

    /// nil for what is not whole.
    init?(_ bytes: [UInt8]) {
        guard let body = DigestLine.body(of: bytes) else { return nil }
        var all = body.split(separator: UInt8(ascii: "\n"))[...]
        guard let first = all.popFirst(), first.elementsEqual(Self.heading.utf8) else { return nil }
        while let line = all.first, line.starts(with: "place ".utf8) {
            guard let place = Self.place(line) else { return nil }
            places.append(place)
            all.removeFirst()
        }
        for line in all {
            guard let event = try? EventLine(parsing: line) else { return nil }
            lines.append(event)
        }
    }

    private static func place(_ line: ArraySlice<UInt8>) -> Place? {
        let words = line.split(separator: UInt8(ascii: " ")).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard words.count == 6, let segment = SegmentName(stem: words[1]),
            let told = Int64(words[2]), let offset = Int64(words[4]), offset >= 0,
            let sequence = UInt64(words[5])
        else { return nil }
        return Place(
            segment: segment, told: told, isRead: words[3] == "1", offset: offset,
            sequence: sequence)
    }
}

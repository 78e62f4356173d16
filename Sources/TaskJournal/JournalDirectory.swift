// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage

/// The segments that stand in `journal/`.
public struct JournalDirectory: Sendable {
    /// One segment's name and whether it is complete: sealed, or compressed since.
    public struct Entry: Equatable, Sendable {
        public var name: SegmentName
        public var isSealed: Bool
    }

    /// Sorted by epoch, writer and number.
    public var segments: [Entry]

    /// Reads the names; nothing is opened.
    public init(reading directory: Int32) throws(JournalError) {
        var found: [SegmentName: Bool] = [:]
        let names = try Self.names(in: directory)
        for name in names {
            if let segment = SegmentName(file: name, suffix: "sealed")
                ?? SegmentName(file: name, suffix: "zst")
            {
                found[segment] = true
            } else if let segment = SegmentName(file: name, suffix: "open") {
                found[segment] = found[segment] ?? false
            }
        }
        segments = found.map { Entry(name: $0.key, isSealed: $0.value) }
            .sorted { $0.name < $1.name }
    }

    /// The largest epoch that a segment has, 0 without any.
    public var lastEpoch: Int { segments.map(\.name.epoch).max() ?? 0 }

    static func names(in directory: Int32) throws(JournalError) -> [String] {
        var names: [String] = []
        do {
            let stream = try DirectoryStream(".", at: directory)
            while let name = try stream.next() {
                names.append(String(decoding: name, as: UTF8.self))
            }
        } catch {
            throw .io(verb: "read", name: "journal/", errno: error)
        }
        return names
    }
}

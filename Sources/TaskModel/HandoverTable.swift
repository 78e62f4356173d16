// SPDX-License-Identifier: Apache-2.0

/// What a taskrun tells its next self when it becomes another program (SIGHUP): lines
/// `KIND key=value ...`, percent-encoded, behind `taskruntable VERSION` and before `end COUNT`.
///
/// Only processes of one machine and user exchange it, over a sealed memfd; a reader of another
/// version refuses it.
public struct HandoverTable: Equatable, Sendable {
    /// Of the whole: records, their keys, and what launchers of the program say (cl_jail.h).
    public static let version = 1

    /// One line. A key may come several times.
    public struct Record: Equatable, Sendable {
        public var kind: String
        private var fields: [String: [[UInt8]]] = [:]
        private var order: [String] = []

        public init(_ kind: String) { self.kind = kind }

        public mutating func add(_ key: String, _ value: some Collection<UInt8>) {
            if fields[key] == nil { order.append(key) }
            fields[key, default: []].append(Array(value))
        }
        public mutating func add(_ key: String, _ value: String) { add(key, Array(value.utf8)) }
        public mutating func add(_ key: String, _ value: some BinaryInteger) {
            add(key, String(value))
        }

        public func list(_ key: String) -> [[UInt8]] { fields[key] ?? [] }
        public func texts(_ key: String) -> [String] {
            list(key).map { String(decoding: $0, as: UTF8.self) }
        }
        public func bytes(_ key: String) -> [UInt8]? { fields[key]?.first }
        public func text(_ key: String) -> String? { texts(key).first }
        /// nil where it is absent, or no number of that type.
        public func number<Number: FixedWidthInteger>(_ key: String) -> Number? {
            text(key).flatMap { Number($0) }
        }
        public func flag(_ key: String) -> Bool { text(key) == "1" }

        fileprivate func append(to bytes: inout [UInt8]) {
            bytes.append(contentsOf: kind.utf8)
            for key in order {
                for value in list(key) {
                    bytes.append(UInt8(ascii: " "))
                    bytes.append(contentsOf: key.utf8)
                    bytes.append(UInt8(ascii: "="))
                    PercentCoding.append(value, to: &bytes)
                }
            }
            bytes.append(UInt8(ascii: "\n"))
        }

        fileprivate init?(parsing line: ArraySlice<UInt8>) {
            var words = line.split(separator: UInt8(ascii: " "))[...]
            guard let first = words.popFirst() else { return nil }
            self.init(String(decoding: first, as: UTF8.self))
            for word in words {
                guard let equals = word.firstIndex(of: UInt8(ascii: "=")),
                    let value = PercentCoding.decode(word[(equals + 1)...])
                else { return nil }
                add(String(decoding: word[..<equals], as: UTF8.self), value)
            }
        }
    }

    public var records: [Record] = []

    public init() {}

    public var encoded: [UInt8] {
        var bytes = Array("taskruntable \(Self.version)\n".utf8)
        for record in records { record.append(to: &bytes) }
        bytes.append(contentsOf: "end \(records.count)\n".utf8)
        return bytes
    }

    /// nil unless it is whole and of this version.
    public init?(parsing bytes: ArraySlice<UInt8>) {
        var lines = bytes.split(separator: UInt8(ascii: "\n"))
        guard lines.count >= 2,
            lines.removeFirst().elementsEqual("taskruntable \(Self.version)".utf8),
            lines.removeLast().elementsEqual("end \(lines.count)".utf8)
        else { return nil }
        for line in lines {
            guard let record = Record(parsing: line) else { return nil }
            records.append(record)
        }
    }
}

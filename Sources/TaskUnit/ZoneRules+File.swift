// SPDX-License-Identifier: Apache-2.0

extension ZoneRules {
    /// Reads the bytes of a TZif file; nil for what is none, or is of version 1.
    ///
    /// Leap seconds are refused (`right/…`): the machine's clock does not count them.
    public init?(parsing bytes: [UInt8]) {
        var reader = BigEndian(bytes: bytes[...])
        // The same in 32 bits comes first.
        guard let old = Header(&reader), old.version >= 2, reader.skip(old.size(of: 4)),
            let header = Header(&reader), header.leaps == 0,
            let (changes, first) = Self.body(header, &reader)
        else { return nil }
        let footer = reader.bytes
        guard footer.first == 0x0a, let end = footer.dropFirst().firstIndex(of: 0x0a) else {
            return nil
        }
        let text = String(decoding: footer[(footer.startIndex + 1)..<end], as: UTF8.self)
        guard text.isEmpty || ZoneRule(text) != nil else { return nil }
        self.init(changes: changes, first: first, rule: ZoneRule(text))
    }

    private struct Header {
        var version: Int
        var isUTC: Int
        var isStandard: Int
        var leaps: Int
        var times: Int
        var types: Int
        var characters: Int

        init?(_ reader: inout BigEndian) {
            guard reader.take(4) == Array("TZif".utf8)[...], let version = reader.take(1)?.first,
                reader.skip(15)
            else { return nil }
            // A missing one (version 1) is a zero byte.
            self.version = version == 0 ? 1 : Int(version) - 48
            var counts: [Int] = []
            for _ in 0..<6 {
                guard let count = reader.number(4), (0...1 << 20).contains(count) else {
                    return nil
                }
                counts.append(Int(count))
            }
            (isUTC, isStandard, leaps) = (counts[0], counts[1], counts[2])
            (times, types, characters) = (counts[3], counts[4], counts[5])
        }

        func size(of time: Int) -> Int {
            times * (time + 1) + types * 6 + characters + leaps * (time + 4) + isStandard + isUTC
        }
    }

    private static func body(
        _ header: Header, _ reader: inout BigEndian
    ) -> (changes: [(at: Int64, offset: Int64)], first: Int64)? {
        var instants: [Int64] = []
        var offsets: [Int64] = []
        for _ in 0..<header.times {
            // RFC 8536: not before -2^59, which is older than the universe.
            guard let at = reader.number(8), at.magnitude <= 1 << 59, at > instants.last ?? .min
            else { return nil }
            instants.append(at)
        }
        guard let kinds = reader.take(header.times), header.types > 0 else { return nil }
        for _ in 0..<header.types {
            guard let offset = reader.number(4), abs(offset) < 26 * 3600, reader.skip(2) else {
                return nil
            }
            offsets.append(offset)
        }
        guard kinds.allSatisfy({ Int($0) < header.types }),
            reader.skip(header.characters + header.isStandard + header.isUTC)
        else { return nil }
        let changes = zip(instants, kinds).map { (at: $0, offset: offsets[Int($1)]) }
        return (changes, offsets[0])
    }
}

/// Numbers of a file, most significant byte first.
private struct BigEndian {
    var bytes: ArraySlice<UInt8>

    mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard bytes.count >= count else { return nil }
        defer { bytes = bytes.dropFirst(count) }
        return bytes.prefix(count)
    }

    mutating func skip(_ count: Int) -> Bool { take(count) != nil }

    /// A signed number of 4 or 8 bytes.
    mutating func number(_ width: Int) -> Int64? {
        guard let taken = take(width) else { return nil }
        let value = taken.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return width == 4
            ? Int64(Int32(truncatingIfNeeded: value)) : Int64(bitPattern: value)
    }
}

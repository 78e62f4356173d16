// SPDX-License-Identifier: Apache-2.0

/// Percent encoding of event lines and plans: bytes outside `[!-~]`, `%` and `=` become `%XX`
/// (upper-case digits), so that a field has neither blanks nor line ends and splits at its first `=`.
public enum PercentCoding {
    private static let digits = Array("0123456789ABCDEF".utf8)

    /// Appends the encoded bytes to a buffer.
    public static func append(_ raw: some Sequence<UInt8>, to bytes: inout [UInt8]) {
        for byte in raw {
            switch byte {
            case UInt8(ascii: "%"), UInt8(ascii: "="), 0...0x20, 0x7f...0xff:
                bytes.append(UInt8(ascii: "%"))
                bytes.append(digits[Int(byte >> 4)])
                bytes.append(digits[Int(byte & 15)])
            default:
                bytes.append(byte)
            }
        }
    }

    public static func encode(_ text: String) -> String {
        var bytes: [UInt8] = []
        append(text.utf8, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The raw bytes; nil when a `%` is not followed by two hexadecimal digits.
    public static func decode(_ bytes: ArraySlice<UInt8>) -> [UInt8]? {
        var raw: [UInt8] = []
        raw.reserveCapacity(bytes.count)
        var at = bytes.startIndex
        while at < bytes.endIndex {
            if bytes[at] != UInt8(ascii: "%") {
                raw.append(bytes[at])
                at += 1
                continue
            }
            guard at + 2 < bytes.endIndex, let high = Hex.digit(bytes[at + 1]),
                let low = Hex.digit(bytes[at + 2])
            else { return nil }
            raw.append(high << 4 | low)
            at += 3
        }
        return raw
    }

    /// As `decode`, as text; bytes that are not UTF-8 become U+FFFD.
    public static func decodeText(_ bytes: ArraySlice<UInt8>) -> String? {
        decode(bytes).map { String(decoding: $0, as: UTF8.self) }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Percent encoding of event lines and plans: bytes outside `[!-~]`, `%` and `=` become `%XX`
/// (upper-case digits), so that a field has neither blanks nor line ends and splits at its first `=`.
public enum PercentCoding {
    private static let digits = Array("0123456789ABCDEF".utf8)

    /// Appends the encoded bytes to a buffer.
    public static func append(_ raw: some Sequence<UInt8>, to bytes: inout [UInt8]) {
        let isDone: Void? = raw.withContiguousStorageIfAvailable { append($0, to: &bytes) }
        if isDone == nil { append(Array(raw), to: &bytes) }
    }

    /// The same, not generic: most bytes stay as they are, and go over in runs.
    public static func append(_ raw: UnsafeBufferPointer<UInt8>, to bytes: inout [UInt8]) {
        var from = 0
        for (at, byte) in raw.enumerated() where isCoded(byte) {
            bytes.append(contentsOf: raw[from..<at])
            bytes.append(UInt8(ascii: "%"))
            bytes.append(digits[Int(byte >> 4)])
            bytes.append(digits[Int(byte & 15)])
            from = at + 1
        }
        bytes.append(contentsOf: raw[from...])
    }

    private static func isCoded(_ byte: UInt8) -> Bool {
        byte <= 0x20 || byte >= 0x7f || byte == UInt8(ascii: "%") || byte == UInt8(ascii: "=")
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

// SPDX-License-Identifier: Apache-2.0

/// The last line of a text file that is read whole or not at all: `digest SHA256`, of all bytes before it.
/// `head -n -1 FILE | sha256sum` verifies it.
public enum DigestLine {
    /// Bytes of the line: `digest `, 64 digits, the line end.
    public static let length = 7 + 64 + 1

    /// Ends a file; its bytes so far end with a line feed. O(bytes).
    public static func append(to bytes: inout [UInt8]) {
        let digest = SHA256.hex(bytes)
        bytes.append(contentsOf: "digest \(digest)\n".utf8)
    }

    /// What stands before the line; nil where there is no such line, or it is of other bytes. O(bytes).
    public static func body(of bytes: [UInt8]) -> ArraySlice<UInt8>? {
        guard let said = said(in: bytes[...]) else { return nil }
        let body = bytes.dropLast(length)
        return SHA256.hex(body) == said ? body : nil
    }

    /// The digits of the line, be they right or wrong; nil where there is no such line.
    public static func said(in bytes: ArraySlice<UInt8>) -> String? {
        let last = bytes.suffix(length)
        guard last.count == length, last.starts(with: "digest ".utf8), last.last == 0x0a
        else { return nil }
        return String(decoding: last.dropFirst(7).dropLast(), as: UTF8.self)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What libpq says when it cannot connect: text alone, of one or several lines.
enum ConnectionText {
    /// The SQLSTATE, where a server told one, and the sentence without it. In verbose words both stand in the line of
    /// the error, as `SEVERITY:  CODE: SENTENCE`, whatever language the server speaks.
    static func failure(_ text: String) -> LedgerFailure {
        let whole = line(text)
        guard let mark = code(whole) else { return LedgerFailure(code: nil, message: whole) }
        let bytes = Array(whole.utf8)
        let sentence = String(decoding: bytes[(mark + 9)...], as: UTF8.self)
        return LedgerFailure(
            code: String(decoding: bytes[(mark + 2)..<(mark + 7)], as: UTF8.self), message: sentence
        )
    }

    /// The first line that says something.
    static func line(_ text: String) -> String {
        let lines = text.split(separator: "\n").map { Substring($0) }
        let first = lines.first { !$0.allSatisfy(\.isWhitespace) } ?? "no reason was given"
        return String(first.drop(while: \.isWhitespace))
    }

    // Where `  CODE: ` begins: two blanks, five of A-Z and 0-9, a colon, a blank.
    private static func code(_ line: String) -> Int? {
        let bytes = Array(line.utf8)
        guard bytes.count > 9 else { return nil }
        let blank = UInt8(ascii: " ")
        return (0..<(bytes.count - 9)).first { at in
            bytes[at] == blank && bytes[at + 1] == blank
                && bytes[(at + 2)..<(at + 7)].allSatisfy {
                    (48...57).contains($0) || (65...90).contains($0)
                }
                && bytes[at + 7] == UInt8(ascii: ":") && bytes[at + 8] == blank
        }
    }
}

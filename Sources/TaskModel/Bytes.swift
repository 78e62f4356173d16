// SPDX-License-Identifier: Apache-2.0

// What the text formats mean by a blank, a digit and a letter: ASCII, whatever the locale says.
extension UInt8 {
    package var isBlank: Bool { self == 0x20 || self == 0x09 || self == 0x0d }
    package var isASCIIDigit: Bool { self >= 0x30 && self <= 0x39 }
    package var isASCIILetter: Bool { (self | 0x20) >= 0x61 && (self | 0x20) <= 0x7a }
    /// A byte of a unit's name: `[A-Za-z0-9@._:-]`.
    package var isNameByte: Bool {
        isASCIILetter || isASCIIDigit || self == UInt8(ascii: "@") || self == UInt8(ascii: ".")
            || self == UInt8(ascii: "_") || self == UInt8(ascii: ":") || self == UInt8(ascii: "-")
    }
}

extension StringProtocol where SubSequence == Substring {
    /// What stands before and behind the first such byte; nil where there is none.
    ///
    /// By the byte: as a Character a mark that joins what stands before it would hide it.
    package func divided(at byte: Unicode.Scalar) -> (before: Substring, behind: Substring)? {
        guard let at = utf8.firstIndex(of: UInt8(ascii: byte)) else { return nil }
        return (self[..<at], self[utf8.index(after: at)...])
    }
}

extension ArraySlice<UInt8> {
    /// The bytes without blanks at either end.
    package func trimmingBlanks() -> ArraySlice<UInt8> {
        var (start, end) = (startIndex, endIndex)
        while start < end, self[start].isBlank { start += 1 }
        while start < end, self[end - 1].isBlank { end -= 1 }
        return self[start..<end]
    }
}

extension [UInt8] {
    /// The bytes without blanks at either end.
    package func trimmingBlanks() -> ArraySlice<UInt8> { self[...].trimmingBlanks() }
}

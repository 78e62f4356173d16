// SPDX-License-Identifier: Apache-2.0

/// Foreign text on its way to a terminal.
public enum SafeText {
    /// Text of a task, a unit or a file name, made harmless: control characters become `\xNN`, so that
    /// nothing can move the cursor or forge a line.
    public static func printable(_ text: String) -> String {
        if text.unicodeScalars.allSatisfy({ !isControl($0) }) { return text }
        var safe = ""
        for scalar in text.unicodeScalars {
            if isControl(scalar) {
                let digits = String(scalar.value, radix: 16)
                safe += "\\x" + (digits.utf8.count < 2 ? "0" : "") + digits
            } else {
                safe.unicodeScalars.append(scalar)
            }
        }
        return safe
    }

    // C0, DEL, C1, and the marks that reverse the direction of text.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7f..<0xa0, 0x202a...0x202e, 0x2066...0x2069: true
        default: false
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

extension DirectiveType {
    /// A boolean as systemd.syntax(7) writes them.
    public static func flag(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "yes", "true", "on", "1", "y", "t": true
        case "no", "false", "off", "0", "n", "f": false
        default: nil
        }
    }

    /// Whether a text may name a unit: `[A-Za-z0-9@._:-]{1,128}`, not `.` first; `systemd:` may
    /// stand before it.
    public static func isUnitName(_ text: some StringProtocol) -> Bool {
        var text = String(text)
        return text.withUTF8 { bytes in
            (1...128).contains(bytes.count) && bytes[0] != UInt8(ascii: ".")
                && bytes.allSatisfy { $0.isNameByte }
        }
    }

    /// `SIZE` or `SIZE:fail`.
    static func outputSize(_ text: String) -> String? {
        guard text.hasSuffix(":fail") else { return ByteLimit(text)?.description }
        return ByteLimit(text.dropLast(5)).map { "\($0):fail" }
    }

    /// A signal's canonical name, from `TERM`, `SIGTERM` or `15`.
    static func signal(_ text: String) -> String? {
        if let number = number(text, 1...31) {
            return signals.first { "\($0.number)" == number }?.name
        }
        let name = text.hasPrefix("SIG") ? text : "SIG" + text
        return signals.first { $0.name == name }?.name
    }

    /// The number of a signal's canonical name.
    public static func signalNumber(_ name: String) -> Int? {
        signals.first { $0.name == name }?.number
    }

    /// Linux on x86-64 and arm64: signal(7).
    private static let signals: [(name: String, number: Int)] = [
        ("SIGHUP", 1), ("SIGINT", 2), ("SIGQUIT", 3), ("SIGILL", 4), ("SIGTRAP", 5),
        ("SIGABRT", 6), ("SIGBUS", 7), ("SIGFPE", 8), ("SIGKILL", 9), ("SIGUSR1", 10),
        ("SIGSEGV", 11), ("SIGUSR2", 12), ("SIGPIPE", 13), ("SIGALRM", 14), ("SIGTERM", 15),
        ("SIGSTKFLT", 16), ("SIGCHLD", 17), ("SIGCONT", 18), ("SIGSTOP", 19), ("SIGTSTP", 20),
        ("SIGTTIN", 21), ("SIGTTOU", 22), ("SIGURG", 23), ("SIGXCPU", 24), ("SIGXFSZ", 25),
        ("SIGVTALRM", 26), ("SIGPROF", 27), ("SIGWINCH", 28), ("SIGIO", 29), ("SIGPWR", 30),
        ("SIGSYS", 31),
    ]

    static func number(_ text: String, _ range: ClosedRange<Int>) -> String? {
        guard let value = Int(text), range.contains(value), !text.hasPrefix("+") else { return nil }
        return "\(value)"
    }

    static func restart(_ text: String) -> String? {
        switch text {
        case "never", "no", "0": "never"
        case "on-failure": text
        default: number(text, 1...1_000_000)
        }
    }

    static func share(_ text: String) -> String? {
        if text == "infinity" { return text }
        guard text.hasSuffix("%"), let value = number(String(text.dropLast()), 1...1_000_000)
        else { return nil }
        return value + "%"
    }

    static func hasBlank(_ text: String) -> Bool { text.utf8.contains { $0 <= 0x20 } }

    static func collapsed(_ text: String) -> String {
        text.utf8.split(whereSeparator: \.isBlank).map {
            String(decoding: Array($0), as: UTF8.self)
        }
        .joined(separator: " ")
    }

    /// Whether no mark joins a `/` or `:`: what a file system takes for a separator is one here as well,
    /// where text is split by Characters.
    static func isPlainlyDivided(_ text: String) -> Bool {
        let isASCII = text.utf8.allSatisfy { $0 < 0x80 }
        return isASCII
            || (["/", ":"] as [Character]).allSatisfy { mark in
                text.count { $0 == mark } == text.unicodeScalars.count { Character($0) == mark }
            }
    }

    /// A path without doubled, trailing and `.` parts.
    static func cleaned(_ path: String) -> String {
        let parts = path.split(separator: "/").filter { $0 != "." }
        return (path.hasPrefix("/") ? "/" : "") + parts.joined(separator: "/")
    }

    static func relative(_ path: String) -> String? {
        let clean = cleaned(path)
        guard !path.hasPrefix("/"), !clean.isEmpty, clean.utf8.count < 4096,
            !clean.split(separator: "/").contains("..")
        else { return nil }
        return clean
    }

    static func bind(_ text: String) -> String? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count) else { return nil }
        var rest = parts[0]
        if rest.hasPrefix("-") { rest = rest.dropFirst() }
        guard rest.hasPrefix("/"), parts.dropFirst().allSatisfy({ $0.hasPrefix("/") }) else {
            return nil
        }
        return text
    }

    static func file(_ text: String) -> String? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count >= 3, let digest = parts.last, digest.utf8.count == 64,
            digest.utf8.allSatisfy({ Hex.digit($0) != nil }),
            let mode = Int(parts[parts.count - 2], radix: 8), (0...0o777).contains(mode),
            relative(parts.dropLast(2).joined(separator: ":")) != nil
        else { return nil }
        return text
    }

    static func namedCommand(_ text: String) -> String? {
        guard let (name, value) = divided(text),
            name.allSatisfy({ $0.isNameByte && $0 != UInt8(ascii: "@") && $0 != UInt8(ascii: ":") }
            ),
            name.count <= 64, (try? ShellWords.split(value))?.isEmpty == false
        else { return nil }
        return text
    }

    static func assignment(_ text: String) -> String? {
        guard let (name, _) = divided(text), let first = name.first, !first.isASCIIDigit,
            name.allSatisfy({ $0.isASCIILetter || $0.isASCIIDigit || $0 == UInt8(ascii: "_") }),
            name.count <= 256, !name.starts(with: "TASK_".utf8)
        else { return nil }
        return text
    }

    private static func divided(_ text: String) -> (ArraySlice<UInt8>, String)? {
        let bytes = Array(text.utf8)
        guard let equals = bytes.firstIndex(of: UInt8(ascii: "=")), equals > 0 else { return nil }
        return (bytes[..<equals], String(decoding: bytes[(equals + 1)...], as: UTF8.self))
    }

    static func stream(_ text: String, _ words: [String], _ prefixes: [String]) -> String? {
        words.contains(text) || prefixes.contains(where: { text.hasPrefix($0) }) ? text : nil
    }

    static func credential(_ text: String) -> String? {
        guard let colon = text.firstIndex(of: ":"), colon > text.startIndex,
            isUnitName(text[..<colon]), text[colon...].dropFirst().hasPrefix("/")
        else { return nil }
        return text
    }

    static func semaphore(_ text: String) -> String? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), isUnitName(parts[0]) else { return nil }
        return parts.count == 1 || number(String(parts[1]), 1...1_000_000) != nil ? text : nil
    }

    static func systemCall(_ text: String) -> String? {
        let name = text.drop { $0 == "~" || $0 == "@" }
        let isPlain = name.utf8.allSatisfy {
            $0.isASCIILetter || $0.isASCIIDigit || "_-:".utf8.contains($0)
        }
        return !name.isEmpty && isPlain ? text : nil
    }
}

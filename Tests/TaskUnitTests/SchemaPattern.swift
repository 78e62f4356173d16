// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// The regular expressions of a directive's values: what ECMA-262 and Python read alike, and take the same
/// time for, however long the text. No `\d`, `\s`, `$`: those differ.
struct SchemaPattern {
    /// Whether it is a word among others of one text, where blanks divide and quotes are not read.
    let isWord: Bool

    /// The end of the text.
    static let end = "(?![\\s\\S])"
    static let blank = "[ \\t\\r\\n]"
    /// A whole text.
    static func whole(_ pattern: String) -> String { "^(?:\(pattern))\(end)" }

    /// Where the value ends.
    private var stop: String { isWord ? "(?![^ \\t\\r\\n])" : Self.end }

    /// One byte or character of a value, but these; with `%%`, `%n` and `%i`, which are read before.
    func any(but excluded: String = "") -> String {
        let own = isWord ? " \\t\\r'\"\\\\" : ""
        return "(?:[^%\\n\\u0000\(own)\(excluded)]|%[%ni])"
    }

    /// A name in which nothing is put in.
    static let literalName = "(?!\\.)[A-Za-z0-9@._:-]{1,128}"
    private static let nameByte = "(?:[A-Za-z0-9@._:-]|%n)"
    private static let plainName = "(?!\\.)(?:[A-Za-z0-9@._-]|%n){1,128}"

    /// A value of a type; nil for what is no text of a pipeline.
    func value(_ type: DirectiveType) -> String? {
        switch type {
        case .text: any() + (isWord ? "+" : "*")
        case .flag:
            Self.anyCase(["yes", "true", "on", "1", "y", "t", "no", "false", "off", "0", "n", "f"])
        case .span: Self.span
        case .size: Self.size
        case .outputSize: "\(Self.size)(?::fail)?"
        case .share: "infinity|\(Self.number(1...1_000_000))%"
        case .restart: "never|no|0|on-failure|\(Self.number(1...1_000_000))"
        case .exitStatus: "\(Self.number(0...255))|\(Self.signal)"
        case .signal: Self.signal
        case .integer(let range): Self.number(range)
        case .limit(let range): "infinity|\(Self.number(range))"
        case .choice(let words): words.joined(separator: "|")
        case .commandLine: Self.command
        default: named(type)
        }
    }

    private static let flags = [
        "yes", "true", "on", "1", "y", "t", "no", "false", "off", "0", "n", "f",
    ]

    private func named(_ type: DirectiveType) -> String? {
        switch type {
        case .user, .token: "(?:[^\\u0000- %\(isWord ? "'\"\\\\" : "")]|%[%ni])+"
        case .path: "/\(any())*"
        case .relativePath: relative
        case .bind: "-?/\(any(but: ":"))*(?::/\(any(but: ":"))*)?"
        case .unitName: "(?!\\.)\(Self.nameByte){1,128}"
        case .input: "null|file:/\(any())*|text:\(any())*"
        case .output: "log|journal|null|file:/\(any())*"
        case .credential: "\(Self.plainName):/\(any())*"
        case .semaphore: "\(Self.plainName)(?::\(Self.number(1...1_000_000)))?"
        case .systemCall: "@debug|~[~@]*[A-Za-z0-9_:-]+"
        default: nil
        }
    }

    /// Not absolute, without `..`, with a part that is no `.`.
    private var relative: String {
        let part = any(but: "/")
        return "(?!/)(?!(?:\(part)*/)*\\.\\.(?:/|\(stop)))(?!(?:\\.?/)*\\.?\(stop))\(any())+"
    }

    /// Words as a shell's quotes hold them together: quotes close, and no word has a line end.
    static let line = {
        let sign = "%[%ni]"
        let plain = "[^'\"\\\\%\\u0000]|\(sign)"
        let escaped = "\\\\(?:[^\\n%\\u0000]|\(sign))"
        let single = "'(?:[^'\\n%\\u0000]|\(sign))*'"
        let double = "\"(?:[^\"\\\\\\n%\\u0000]|\(sign)|\(escaped))*\""
        return "(?:\(plain)|\(escaped)|\(single)|\(double))*"
    }()

    /// A program and its arguments: at least a word.
    static let command = "(?=\(blank)*[^ \\t\\r\\n])\(line)"

    /// A command without a line end, as a check is; or nothing.
    static let check = "(?![\\s\\S]*\\n)\(command)|\(end)"

    /// Words that quotes hold together: what each is worth only the parser tells.
    static let quotedWords = "(?=[\\s\\S]*['\"\\\\])\(line)"

    private static let span = {
        let units =
            "usec|us|\u{b5}s|\u{3bc}s|msec|ms|seconds|second|sec|s|minutes|minute|min|m|hours|hour|hr|h|"
            + "days|day|d|weeks|week|w|months|month|M|years|year|y"
        let gap = "[ \\t\\r]*"
        let number = "[0-9]{1,18}(?![0-9])(?:\\.[0-9]+(?![0-9]))?"
        return "\(gap)(?:infinity\(gap)|(?:\(number)\(gap)(?:(?:\(units))\(gap))?)+)"
    }()

    private static let size = {
        let gap = "[ \\t\\r]*"
        return "\(gap)(?:infinity\(gap)|[0-9]{1,18}(?:\\.[0-9]+)?\(gap)(?:[KMGT]\(gap))?)"
    }()

    private static let signals = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
        "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
        "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ]
    private static let signal = "\(number(1...31))|(?:SIG)?(?:\(signals.joined(separator: "|")))"

    static func anyCase(_ words: [String]) -> String {
        words.map { word in
            word.map { $0.isLetter ? "[\($0.uppercased())\($0)]" : "\($0)" }.joined()
        }
        .joined(separator: "|")
    }

    // MARK: Numbers of a range, with zeros before them

    static func number(_ range: ClosedRange<Int>) -> String {
        var parts: [String] = []
        if range.lowerBound < 0 { parts.append("-0*(?:\(upTo(-range.lowerBound)))") }
        if range.contains(0) { parts.append("-?0+") }
        if range.upperBound > 0 { parts.append("0*(?:\(upTo(range.upperBound)))") }
        return "(?:\(parts.joined(separator: "|")))"
    }

    /// 1 to `most`, without zeros before them: fewer digits, or as many and none too high.
    private static func upTo(_ most: Int) -> String {
        let digits = String(most).map { $0.wholeNumberValue ?? 0 }
        var parts: [String] = []
        if digits.count > 1 { parts.append("[1-9]" + some(digits.count - 2, orFewer: true)) }
        var before = ""
        for (at, digit) in digits.enumerated() {
            let lowest = at == 0 ? 1 : 0
            if digit > lowest {
                let set = digit - 1 == lowest ? "\(lowest)" : "[\(lowest)-\(digit - 1)]"
                parts.append(before + set + some(digits.count - at - 1))
            }
            before += "\(digit)"
        }
        return (parts + [before]).joined(separator: "|")
    }

    private static func some(_ count: Int, orFewer: Bool = false) -> String {
        if count == 0 { return "" }
        return orFewer ? "[0-9]{0,\(count)}" : count == 1 ? "[0-9]" : "[0-9]{\(count)}"
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Splits a command line into words as a POSIX shell's quoting does, and expands nothing.
///
/// `'…'` is literal; in `"…"` a backslash quotes `"`, `\`, `$` and a backquote; outside, any byte.
/// `$x`, `*`, `~`, `;`, `|` and the like are ordinary bytes: no shell runs.
public enum ShellWords {
    /// Why a line cannot be split, and where (a byte offset into the line).
    public struct Problem: Error, Equatable, Sendable {
        public let offset: Int
        public let what: String
        public let allowed: String
    }

    /// The words of a line; none for a line of blanks.
    public static func split(_ line: String) throws(Problem) -> [String] {
        var splitter = Splitter(bytes: Array(line.utf8))
        return try splitter.words()
    }

    /// A line that `split` turns into these words again.
    public static func join(_ words: [String]) -> String {
        words.map(quote).joined(separator: " ")
    }

    private static func quote(_ word: String) -> String {
        let plain = word.utf8.allSatisfy {
            $0.isNameByte || $0 >= 0x80 || "/=+,%^~*?[]{}!".utf8.contains($0)
        }
        if plain && !word.isEmpty { return word }
        // By the byte: a mark that joins a quote makes another Character of it.
        let parts = word.utf8.split(
            separator: UInt8(ascii: "'"), omittingEmptySubsequences: false)
        return "'" + parts.map { String(Substring($0)) }.joined(separator: "'\\''") + "'"
    }

    private struct Splitter {
        let bytes: [UInt8]
        var at = 0
        var word: [UInt8] = []
        var isInWord = false
        var found: [String] = []

        init(bytes: [UInt8]) { self.bytes = bytes }

        mutating func words() throws(Problem) -> [String] {
            while at < bytes.count {
                let byte = bytes[at]
                switch byte {
                case UInt8(ascii: "'"): try single()
                case UInt8(ascii: "\""): try double()
                case UInt8(ascii: "\\"): try escaped()
                case _ where byte.isBlank || byte == 0x0a:
                    finishWord()
                    at += 1
                default: take(byte)
                }
            }
            finishWord()
            return found
        }

        private mutating func take(_ byte: UInt8) {
            word.append(byte)
            isInWord = true
            at += 1
        }

        private mutating func finishWord() {
            guard isInWord else { return }
            found.append(String(decoding: word, as: UTF8.self))
            word.removeAll(keepingCapacity: true)
            isInWord = false
        }

        private mutating func single() throws(Problem) {
            let start = at
            at += 1
            isInWord = true
            while at < bytes.count, bytes[at] != UInt8(ascii: "'") { take(bytes[at]) }
            try close(start)
        }

        private mutating func double() throws(Problem) {
            let start = at
            at += 1
            isInWord = true
            while at < bytes.count, bytes[at] != UInt8(ascii: "\"") {
                if bytes[at] == UInt8(ascii: "\\"), at + 1 < bytes.count,
                    "\"\\$`".utf8.contains(bytes[at + 1])
                {
                    at += 1
                }
                take(bytes[at])
            }
            try close(start)
        }

        private mutating func close(_ start: Int) throws(Problem) {
            guard at < bytes.count else {
                throw Problem(
                    offset: start, what: "a quote is not closed",
                    allowed: "close it, or write \\ before it to mean the character")
            }
            at += 1
        }

        private mutating func escaped() throws(Problem) {
            guard at + 1 < bytes.count else {
                throw Problem(
                    offset: at, what: "the line ends in \\",
                    allowed: "\\ stands before the byte that it quotes")
            }
            at += 1
            take(bytes[at])
        }
    }
}

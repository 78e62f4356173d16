// SPDX-License-Identifier: Apache-2.0
import Linux

/// One line on standard error that is drawn over itself: how far a wait is, and when it may end.
/// Silent where standard error is no terminal.
public struct Progress {
    private let isShown: Bool
    private let started: Int64
    private var drawnAt: Int64
    private var isDrawn = false

    /// - Parameter delay: microseconds in which nothing is drawn: what is done by then needs no line.
    public init(isQuiet: Bool = false, delay: Int64 = 0) {
        isShown = !isQuiet && Terminal.isTerminal(2)
        started = Clock.boot()
        drawnAt = started + delay - Self.interval
    }

    /// Between two drawings, microseconds.
    private static let interval: Int64 = 100_000

    /// Draws the line, at most ten times a second.
    ///
    /// - Parameters:
    ///   - done: of `total`; a total of 0 draws no bar.
    ///   - label: what is being waited for.
    public mutating func show(done: Int, total: Int, label: String) {
        let now = Clock.boot()
        guard isShown, now - drawnAt >= Self.interval else { return }
        drawnAt = now
        isDrawn = true
        let line = Self.line(
            done: done, total: total, label: label, elapsed: now - started,
            width: Terminal.columns(2) ?? 80)
        try? File.writeAll(Array("\r\u{1b}[K\(line)".utf8), to: 2)
    }

    /// Wipes the line out: before other output, and at the end.
    public mutating func clear() {
        guard isDrawn else { return }
        isDrawn = false
        drawnAt -= Self.interval
        try? File.writeAll(Array("\r\u{1b}[K".utf8), to: 2)
    }

    static func line(done: Int, total: Int, label: String, elapsed: Int64, width: Int) -> String {
        var text = HumanText.printable(label)
        if total > 0 { text = "\(bar(done, total)) \(done)/\(total) \(text)" }
        text += "  \(HumanText.span(elapsed / 1_000_000 * 1_000_000))"
        if done > 0, total > done {
            let left = elapsed / Int64(done) * Int64(total - done)
            text += "  ETA \(HumanText.span(max(1, left / 1_000_000) * 1_000_000))"
        }
        return String(text.prefix(max(20, width - 1)))
    }

    private static func bar(_ done: Int, _ total: Int) -> String {
        let cells = 20
        let full = min(cells, done * cells / total)
        return "[" + String(repeating: "#", count: full)
            + String(repeating: ".", count: cells - full) + "]"
    }
}

// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskTool

/// Says what keeps the ledger away, a line a minute at most, and when that is over.
struct Alarm {
    private let report: Reporter
    /// Since when, in CLOCK_BOOTTIME; nil: all is well.
    private var since: Int64?
    private var said: Int64?
    /// It was said since then.
    private var isSaid = false

    private static let pause: Int64 = 60_000_000

    init(_ report: Reporter) { self.report = report }

    mutating func raise(_ sentence: String) {
        let now = Clock.boot()
        since = since ?? now
        if let said, now - said < Self.pause { return }
        said = now
        isSaid = true
        report.warning(sentence)
    }

    mutating func clear() {
        guard let since else { return }
        if isSaid {
            report.notice("the ledger is there again after \((Clock.boot() - since) / 1_000_000) s")
        }
        self.since = nil
        isSaid = false
    }
}

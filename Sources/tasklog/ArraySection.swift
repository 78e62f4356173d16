// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskHistory
import TaskModel
import TaskTool

/// The items of an array for people: how many are in each state, how long they take, when they will
/// have ended, which failed first. As long for a million of them as for ten.
struct ArraySection {
    let array: ArrayRow
    let task: TaskRow?
    let style: Style
    /// Microseconds since 1970.
    var now = Clock.real()

    /// Classes of times that are shown.
    private static let mostClasses = 10

    /// `Items: …` and what follows it; empty where nothing is known of them.
    func facts() -> [(String, String)] {
        var facts = [("Items", states())]
        if let rate { facts.append(("Pace", rate)) }
        return facts
    }

    private func count(_ state: TaskState) -> Int { array.states[state] ?? 0 }

    private var isOver: Bool { task?.state.isFinal ?? false }
    private var ended: Int {
        count(.success) + count(.failure) + count(.cancelled) + count(.skipped)
    }
    /// Those that no event is about.
    private var fresh: Int? { array.total.map { max(0, $0 - array.states.values.reduce(0, +)) } }

    /// `7 of 8 items ended`, for a line among other tasks.
    var brief: String {
        let of = array.total.map { " of \(Self.grouped($0))" } ?? ""
        return "\(Self.grouped(ended))\(of) items ended"
    }

    private func states() -> String {
        var words: [String] = []
        for state in [TaskState.success, .failure, .skipped, .cancelled, .running, .lost] {
            if count(state) > 0 {
                words.append(style.paint("\(Self.grouped(count(state))) \(state.word)", as: state))
            }
        }
        let waiting = count(.pending) + count(.ready)
        if waiting > 0 { words.append("\(Self.grouped(waiting)) wait for their next attempt") }
        if let fresh, fresh > 0 {
            words.append(Self.grouped(fresh) + (isOver ? " never began" : " to come"))
        }
        let of = array.total.map { " of \(Self.grouped($0))" } ?? ""
        return "\(Self.grouped(ended))\(of) ended" + (words.isEmpty ? "" : ": ")
            + words.joined(separator: ", ")
    }

    /// How many end in what time, and how long the rest will take at that.
    private var rate: String? {
        guard let began = array.began, array.done > 0 else { return nil }
        let span = max(1, (isOver ? array.latest ?? now : now) - began)
        let perSecond = Double(array.done) * 1e6 / Double(span)
        var text =
            perSecond >= 1
            ? "\(Self.rounded(perSecond)) a second" : "\(Self.rounded(perSecond * 60)) a minute"
        let rest = (fresh ?? 0) + count(.pending) + count(.ready) + count(.running)
        if !isOver, rest > 0 {
            text += ", about \(HumanText.span(Int64(Double(rest) / perSecond * 1e6))) left"
        }
        return text
    }

    private static func rounded(_ value: Double) -> String {
        if value >= 100 { return grouped(Int(value.rounded())) }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    /// 1,234,567.
    static func grouped(_ number: Int) -> String {
        var text = ""
        for (at, digit) in String(number).reversed().enumerated() {
            if at > 0, at % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }

    // MARK: Run times

    // A span is shown in whole units, cut off: 2^20 µs would be `< 1s` over tasks that took a little longer.
    private static func roundedUp(_ microseconds: Int64) -> Int64 {
        let unit: Int64 = microseconds < 1_000 ? 1 : microseconds < 1_000_000 ? 1_000 : 1_000_000
        return (microseconds + unit - 1) / unit * unit
    }

    /// A line for each class of run times.
    func histogram() -> [String] {
        guard let first = array.times.keys.min(), let last = array.times.keys.max() else {
            return []
        }
        let step = (last - first) / Self.mostClasses + 1
        var classes: [(upTo: Int64, count: Int)] = []
        for bucket in stride(from: first, through: last, by: step) {
            let members = bucket..<(bucket + step)
            let count = members.reduce(0) { $0 + (array.times[$1] ?? 0) }
            classes.append((Int64(1) << Int64(min(62, members.upperBound - 1)), count))
        }
        let most = classes.map(\.count).max() ?? 1
        let spans = classes.map { "< " + HumanText.span(Self.roundedUp($0.upTo)) }
        let width = spans.map(\.count).max() ?? 0
        let numbers = classes.map { Self.grouped($0.count) }
        let digits = numbers.map(\.count).max() ?? 0
        return classes.indices.map { at in
            let bar = (classes[at].count * 30 + most - 1) / max(1, most)
            return String(repeating: " ", count: width - spans[at].count) + spans[at] + "  "
                + String(repeating: " ", count: digits - numbers[at].count) + numbers[at] + "  "
                + String(repeating: "█", count: bar)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import TaskModel
import TaskSpool
import TaskTool
import TaskUnit

/// `taskdep next`: when a unit, or a cron expression, is due.
struct NextCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "next",
        abstract: "Prints when a unit's cron= is due next.",
        discussion: """
            One time a line, in the zone's own clock. An operand that is no file is a cron \
            expression. Exits 1 when it is never due. Example: taskdep next -n 3 -- '0 2 * * mon'
            """)

    @Option(name: [.customShort("n")], help: ArgumentHelp("How many.", valueName: "count"))
    var count = 5

    @Option(help: ArgumentHelp("Times after this one: RFC 3339, now, -1d.", valueName: "time"))
    var from = "now"

    @Option(
        help: ArgumentHelp(
            "The zone, as Europe/Berlin; else the unit's TimeZone=, else the machine's.",
            valueName: "zone"))
    var tz: String?

    @Argument(
        help: ArgumentHelp("A unit with cron=, or an expression.", valueName: "unit"),
        completion: .file())
    var words: [String]

    func run() throws {
        guard (1...100_000).contains(count) else {
            throw ToolError("-n \(count): 1 to 100000", status: ExitStatus.usage)
        }
        guard let start = Timestamp.parse(from, now: Clock.real()) else {
            throw ToolError(
                "--from=\(from) is no time: write 2026-11-25T02:00:00Z, now, or -1d",
                status: ExitStatus.usage)
        }
        let schedule = try Schedule(words, zone: tz)
        let output = Output(paged: false)
        var second = start.floored(by: 1_000_000).quotient
        for printed in 0..<count {
            guard let due = schedule.next(after: second) else {
                try output.finish()
                if printed == 0 { throw schedule.neverDue }
                return
            }
            try output.write(
                Timestamp.text(second: due, offset: schedule.zone.offset(at: due)) + "\n")
            second = due
        }
        try output.finish()
    }
}

/// What is due: the cron= lines of a unit, or one expression, by the clocks of one zone.
private struct Schedule {
    let expressions: [CronExpression]
    let zone: ZoneRules

    init(_ words: [String], zone name: String?) throws(ToolError) {
        let isFile = words.count == 1 && !words[0].contains(" ") && !words[0].hasPrefix("@")
        var named = name
        if isFile {
            (expressions, named) = try Self.unit(words[0], name)
        } else {
            expressions = [try Self.expression(words.joined(separator: " "))]
        }
        guard let rules = ZoneSearch.rules(of: named) else {
            throw ToolError(
                "no time zone \(named ?? "/etc/localtime") on this machine: name a file below "
                    + "/usr/share/zoneinfo, as Europe/Berlin (package tzdata)",
                status: ExitStatus.usage)
        }
        zone = rules
    }

    func next(after second: Int64) -> Int64? {
        expressions.compactMap { $0.next(after: second, in: zone) }.min()
    }

    var neverDue: ToolError {
        let text = expressions.map(\.text).joined(separator: ", ")
        let isBoot = expressions.allSatisfy { $0.fields == nil }
        return ToolError(
            isBoot
                ? "\(text) is due when taskd starts after a boot of the machine, at no time"
                : "\(text) is never due: no such day comes", status: ExitStatus.no)
    }

    private static func expression(_ text: String) throws(ToolError) -> CronExpression {
        do throws(ValueProblem) {
            return try CronExpression(text)
        } catch {
            throw ToolError("\(text): \(error.what): \(error.allowed)", status: ExitStatus.usage)
        }
    }

    private static func unit(
        _ path: String, _ zone: String?
    ) throws(ToolError) -> ([CronExpression], String?) {
        let source = try UnitSource(path)
        let file = UnitFile(file: source.file, bytes: source.bytes)
        let (unit, problems) = UnitParser.parse(UnitText(name: source.name, main: file))
        reporter.lines(problems.map(\.text))
        if problems.contains(where: { $0.severity == .error }) {
            throw ToolError("\(path) is refused: see above", status: ExitStatus.usage)
        }
        let settings = unit.settings(.cron)
        if settings.isEmpty {
            throw ToolError(
                "\(path) has no cron= in [RunIf]: nothing fires it by time",
                status: ExitStatus.usage)
        }
        var expressions: [CronExpression] = []
        for setting in settings { expressions.append(try expression(setting.value)) }
        return (expressions, zone ?? unit.settings(.timeZone).last?.value)
    }
}

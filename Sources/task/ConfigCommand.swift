// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import TaskModel
import TaskOptions
import TaskSpool
import TaskTool
import TaskUnit

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Shows every setting of task.conf, and where it is from.",
        discussion: """
            What a taskd of yours reads at its start and at SIGHUP: /etc/task/task.conf, \
            $XDG_CONFIG_HOME/task/task.conf, and the task.conf.d/*.conf beside each. Exits 2 where one \
            of them is wrong, naming all errors. See task.conf(5).
            """)

    @OptionGroup var format: FormatOptions

    @Flag(name: [.customShort("n"), .long], help: "Only what is not as by default.")
    var changed = false

    func run() throws {
        let (found, problems) = ConfigurationSearch(owner: Caller.uid).read()
        for problem in problems {
            let text = HumanText.printable(problem.text)
            if problem.severity == .error { reporter.error(text) } else { reporter.warning(text) }
        }
        if problems.contains(where: { $0.severity == .error }) { throw ExitCode(ExitStatus.usage) }
        let output = format.makeOutput()
        var table = format.makeTable([
            Column("section"), Column("name"), Column("value"), Column("default"),
            Column("origin"), Column("help", "MEANING", isExtra: true),
        ])
        for setting in Setting.allCases {
            let traits = setting.traits
            if changed, found[setting] == traits.defaultText { continue }
            let place = found.place(of: setting)
            table.add([
                .text(traits.section.rawValue), .text(setting.rawValue), .text(found[setting]),
                .text(traits.defaultText), .text(place?.description ?? "default"),
                .text(traits.help),
            ])
        }
        table.finish()
        try output.write(table.take())
        try output.finish()
    }
}

// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import SystemPackage
import TaskModel
import TaskOptions
import TaskSpool
import TaskTool
import TaskUnit

/// `task import-crontab`: a crontab becomes units.
struct ImportCrontabCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import-crontab", abstract: "Turns a crontab into units, one a job.",
        discussion: """
            Each is called FILE-LINE.task and does what cron does: the shell runs the line, nothing \
            is made up for, jobs run beside each other. They are written into the spool's units/, \
            where taskd fires them: take the job out of the crontab. All are written, or none. \
            Example: crontab -l | task import-crontab -n -
            """)

    @OptionGroup var spool: SpoolOptions

    @Flag(name: .long, help: "The file names a user behind the times, as /etc/crontab does.")
    var system = false

    @Flag(name: [.customShort("n"), .long], help: "Print the units, write nothing.")
    var dryRun = false

    @Option(
        help: ArgumentHelp("Where to write, instead of the spool's units/.", valueName: "dir"),
        completion: .directory)
    var output: String?

    @Argument(
        help: ArgumentHelp("The crontab; - is standard input.", valueName: "file"),
        completion: .file())
    var file: String = "-"

    func run() throws {
        let units = try units()
        if dryRun {
            let output = Output(paged: false)
            for unit in units { try output.write("# ---- \(unit.name)\n\(unit.text)\n") }
            return try output.finish()
        }
        let directory = try output ?? "\(LiveRuns(spool.choice).spool.path)/units"
        try Self.write(units, to: directory)
        for unit in units { print("\(directory)/\(unit.name)") }
    }

    private struct Unit {
        var name: String
        var text: String
    }

    private func units() throws(ToolError) -> [Unit] {
        let table = Crontab(try bytes(), file: file, isSystem: system)
        reporter.lines(table.problems.map(\.text))
        let owner = Caller.userName
        var isWrong = !table.problems.isEmpty
        var units: [Unit] = []
        for job in table.jobs {
            if let zone = job["CRON_TZ"], !zone.isEmpty, ZoneSearch.rules(of: zone) == nil {
                reporter.error("\(job.place): CRON_TZ=\(zone): no such zone on this machine")
                isWrong = true
            }
            guard let text = job.unit(owner: owner) else {
                reporter.error("\(job.place): a unit cannot say this command or its variables")
                isWrong = true
                continue
            }
            units.append(Unit(name: "\(stem)-\(job.place.line).task", text: text))
        }
        if isWrong {
            throw ToolError(
                "nothing was written: correct what stands above", status: ExitStatus.usage)
        }
        return units
    }

    private func bytes() throws(ToolError) -> [UInt8] {
        do {
            let limit = UnitLimits.bytes
            let found: [UInt8]?
            if file == "-" {
                found = try File.readAll(0, limit: limit)
            } else {
                let opened = try File.open(file)
                found = try File.readAll(opened.number, limit: limit)
            }
            if let found { return found }
        } catch {
            throw ToolError(unableTo: "read", file, error, "nothing was written")
        }
        throw ToolError(
            "unable to read \(file): it has more than \(UnitLimits.bytes) bytes",
            status: ExitStatus.usage)
    }

    /// What the units are called by: the file's name, as far as it may be one.
    private var stem: String {
        if file == "-" { return "crontab" }
        let name = file.split(separator: "/").last.map { Array($0.utf8) } ?? []
        return DropName.safe(name)
    }

    /// All or none: a name that is taken ends it before anything is there.
    private static func write(_ units: [Unit], to directory: String) throws(ToolError) {
        var written: [String] = []
        do {
            let place = try File.openDirectory(directory)
            for unit in units where (try? File.status(unit.name, at: place.number)) != nil {
                throw ToolError(
                    "\(directory)/\(unit.name) is there already: nothing was written",
                    status: ExitStatus.no)
            }
            for unit in units {
                let temporary = ".\(unit.name).new"
                let file = try File.open(
                    temporary, at: place.number, flags: [.writeOnly, .create, .truncate])
                try File.writeAll(Array(unit.text.utf8), to: file.number)
                try File.sync(file.number)
                try File.renameNew(temporary, at: place.number, to: unit.name, at: place.number)
                written.append(unit.name)
            }
            try File.sync(place.number)
        } catch let error as ToolError {
            throw error
        } catch let error as Errno {
            let done =
                written.isEmpty
                ? "nothing was written" : "written: \(written.joined(separator: " "))"
            throw ToolError(unableTo: "write into", directory, error, done)
        } catch {
            throw ToolError(
                "unable to write into \(directory): \(error)", status: ExitStatus.ioError)
        }
    }
}

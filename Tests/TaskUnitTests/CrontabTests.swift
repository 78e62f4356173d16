// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@testable import TaskUnit

@Suite struct Crontabs {
    private func read(_ text: String, isSystem: Bool = false) -> Crontab {
        Crontab(Array(text.utf8), file: "tab", isSystem: isSystem)
    }

    private func spec(_ text: String, isSystem: Bool = false) throws -> TaskSpec {
        let job = try #require(read(text, isSystem: isSystem).jobs.first)
        let unit = try #require(job.unit(owner: "me"))
        let file = UnitFile(file: "x.task", bytes: Array(unit.utf8))
        return UnitParser.parse(UnitText(name: "x.task", main: file)).unit.spec
    }

    @Test func `a line of a user's table`() throws {
        let spec = try spec(
            "# c\n\n  5 4\t* * mon-fri\t/usr/bin/backup --all \"x y\" > /dev/null 2>&1\n")
        #expect(spec[.cron] == ["5 4 * * mon-fri"])
        #expect(spec[.command] == ["/bin/sh"])
        #expect(spec[.arg] == ["-c", "/usr/bin/backup --all \"x y\" > /dev/null 2>&1"])
        #expect(spec[.misfire] == ["skip"] && spec[.overlap] == ["allow"] && spec[.jail] == ["no"])
    }

    @Test func `a line of the system's table names a user`() throws {
        #expect(try spec("@daily root true", isSystem: true)[.user] == ["root"])
        #expect(try spec("@daily me true", isSystem: true)[.user] == [])
    }

    @Test func `variables hold for the lines below them`() throws {
        let text = """
            PATH=/usr/sbin:/usr/bin
            SHELL = /bin/bash
            MAILTO="ops@example.org"
            CRON_TZ=Europe/Berlin
            NOTE = 'a $b "c" 5% \\d'
            PATH=/bin
            @hourly x
            """
        let spec = try spec(text)
        #expect(spec[.env] == [#"NOTE=a $b "c" 5% \d"#, "PATH=/bin"])
        #expect(spec[.command] == ["/bin/bash"] && spec[.timeZone] == ["Europe/Berlin"])
        #expect(read("@hourly a\nX=1\n@hourly b").jobs.map(\.variables.count) == [0, 1])
    }

    @Test func `percent signs divide standard input, unless quoted`() throws {
        #expect(try spec("@daily date +\\%F")[.arg] == ["-c", "date +%F"])
        let spec = try spec("@daily mail me%Hello,%%you%")
        #expect(
            spec[.arg] == [
                "-c", "printf '%s\\n' \"$@\" | /bin/sh -c \"$0\"", "mail me", "Hello,", "", "you",
            ])
    }

    @Test(arguments: [
        ("61 * * * * x", "tab:1:1: minute 61"),
        ("\n* * * *", "tab:2:8: 4 fields"),
        ("* * * * *", "tab:1:10: no command"),
        ("H * * * * x", "tab:1:1: minute H"),
        ("@every 5m x", "tab:1:1: unknown @every"),
        ("0 0 L * * x", "tab:1:1: day L"),
        ("a\u{0}b", "tab:1:1: it is no text"),
    ])
    func `what cannot be said is refused where it stands`(_ text: String, _ sentence: String) {
        let table = read(text)
        #expect(table.jobs.isEmpty)
        #expect(table.problems.first?.text.hasPrefix(sentence) == true, "\(table.problems)")
    }

    @Test func `a system's line without a user`() {
        #expect(read("@daily", isSystem: true).problems.first?.what == "no user")
    }

    @Test(arguments: [
        "[ -x /usr/lib/php/sessionclean ] && if [ ! -d /run/systemd/system ]; then /usr/lib/php/sessionclean; fi",
        "test -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.daily )",
        "command -v debian-sa1 > /dev/null && debian-sa1 60 2",
        "echo '#' ; echo \"; x\" `date` $(id) \\\\ ${A:-b}",
        "if [ `date +\\%d` -le 7 ]; then true; fi # the first",
    ])
    func `the shell gets the very line`(_ command: String) throws {
        let spec = try spec("17 * * * * \(command)")
        #expect(spec[.arg] == ["-c", command.replacing("\\%", with: "%")])
    }
}

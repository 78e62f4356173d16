// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskUnit
import Testing

@Suite struct ConfigurationTests {
    private func read(_ texts: String...) -> (configuration: Configuration, problems: [String]) {
        let files = texts.enumerated().map {
            UnitFile(file: "\($0.offset).conf", bytes: Array($0.element.utf8))
        }
        let (configuration, problems) = ConfigurationParser.parse(files)
        return (configuration, problems.map(\.text))
    }

    @Test func nothingIsAllDefaults() {
        let (found, problems) = read()
        #expect(problems.isEmpty && found == Configuration())
        #expect(found.slots == nil)
        #expect(found.bytes(.journalMax, of: 1000) == 100)
        #expect(found.bytes(.logMax, of: 1000) == 200)
        #expect(found.count(.failedMax) == 10_000)
    }

    @Test func laterFilesWinAndPlacesAreKnown() {
        let (found, problems) = read(
            "# of the site\n[Node]\nSlots=8\n[Retention]\nFailedMax=5 # few\nLogMax=1024K\n",
            "[Retention]\nX-Owner=ops\nFailedMax=7\nLogMax=\n[X-Site]\nRack=9\n")
        #expect(problems.isEmpty)
        #expect(found.slots == 8)
        #expect(found.place(of: .slots) == Place(file: "0.conf", line: 3))
        #expect(found[.failedMax] == "7")
        #expect(found.place(of: .failedMax) == Place(file: "1.conf", line: 3))
        #expect(found[.logMax] == "20%" && found.place(of: .logMax) == nil)
    }

    @Test func aLedgerIsNamedOrNone() {
        #expect(read().configuration.ledger == nil)
        let (found, problems) = read(
            "[Ledger]\nURL=postgresql://n1@a,b/ledger?sslmode=verify-full\n")
        #expect(problems.isEmpty)
        #expect(found.ledger == "postgresql://n1@a,b/ledger?sslmode=verify-full")
        #expect(read("[Ledger]\nURL=host=a\n", "[Ledger]\nURL=\n").configuration.ledger == nil)
    }

    @Test func sizesAndPercentages() {
        let (found, problems) = read(
            "[Retention]\nJournalMax=1.5G\nLogMax=7%\nFailedMax=infinity\n")
        #expect(problems.isEmpty)
        #expect(found.bytes(.journalMax, of: 10) == 1536 << 20)
        #expect(
            found.bytes(.logMax, of: 1 << 62) == (1 << 62) / 100 * 7 + (1 << 62) % 100 * 7 / 100)
        #expect(found.bytes(.logMax, of: 99) == 6)
        #expect(found.count(.failedMax) == .max)
        #expect(DiskSize.bytes(.infinity).bytes(of: 5) == .max)
    }

    @Test(arguments: [
        (
            "[Retention]\n  JornalMax=1\n",
            "0.conf:2:3: unknown key JornalMax= in [Retention]: write JournalMax="
        ),
        (
            "[Node]\nJournalMax=1\n",
            "0.conf:2:1: unknown key JournalMax= in [Node]: JournalMax= stands in [Retention]"
        ),
        ("[Node]\nQueues=x\n", "0.conf:2:1: unknown key Queues= in [Node]: one of Slots="),
        ("[Nod]\nSlots=x\n", "0.conf:1:1: unknown section [Nod]: write [Node]"),
        (
            "[Cluster]\nURL=x\n",
            "0.conf:1:1: unknown section [Cluster]: one of [Node] [Retention] [Ledger]"
        ),
        ("Slots=1\n", "0.conf:1:1: Slots= before any section: [Section] first, then its keys"),
        (
            "[Node]\nSlots= 0\n",
            "0.conf:2:8: Slots=: 0 is not understood: a whole number from 1 to 4096, or auto"
        ),
        (
            "[Retention]\nJournalMax=101%\n",
            "0.conf:2:12: JournalMax=: 101% is not understood: a size such as 512M, 8G "
                + "(K M G T = 1024), a percentage such as 10%, or infinity"
        ),
        (
            "[Retention]\nLogMax=1GB\n",
            "0.conf:2:8: LogMax=: 1GB is no size (write 1G): a size such as 512M, 8G "
                + "(K M G T = 1024), a percentage such as 10%, or infinity"
        ),
        (
            "[Retention]\nFailedMax=-1\n",
            "0.conf:2:11: FailedMax=: -1 is not understood: a whole number from 0 to 100000000, or "
                + "infinity"
        ),
        (
            "[Node]\nSlots=1\nSlots=2\n",
            "0.conf:3:1: warning: Slots= in line 2 counts no more: one value; the last one counts"
        ),
        (
            "[Retention]\nLogMax=1G # all\nFailedMax 7\n",
            "0.conf:3:1: no = in FailedMax 7: KEY=VALUE, [Section], or a comment after #"
        ),
    ])
    func whatIsWrongIsSaid(text: String, problem: String) {
        #expect(read(text).problems == [problem])
    }

    @Test func allErrorsAreSaidAtOnce() {
        let (_, problems) = read("[Node]\nSlots=no\n", "[Retention]\nLogMax=x\nFailedMax=y\n")
        #expect(problems.count == 3)
        #expect(problems.map { $0.prefix(8) } == ["0.conf:2", "1.conf:2", "1.conf:3"])
    }
}

/// man/task.conf.5 and the table of settings say the same.
@Suite struct ConfigurationPageTests {
    @Test func everySettingIsInThePageAndNoOther() throws {
        let page = try ManPage.lines("task.conf.5")
        let items = page.filter { $0.hasPrefix(".It Va ") }.map { String($0.dropFirst(7)) }
        #expect(Set(items) == Set(Setting.allCases.map { "\($0.rawValue)=" }))
        let text = page.joined(separator: " ")
        for setting in Setting.allCases {
            #expect(text.contains("the default is \(setting.traits.defaultText)."), "\(setting)")
        }
        let sections = page.filter { $0.hasPrefix(".Ss [") }.map { String($0.dropFirst(4)) }
        #expect(sections == SettingSection.allCases.map { "[\($0.rawValue)]" })
    }

    @Test(arguments: Setting.allCases) func everyRowIsWhole(setting: Setting) throws {
        let traits = setting.traits
        #expect(!traits.help.isEmpty && !traits.help.hasSuffix("."))
        #expect(Setting(section: traits.section, key: setting.rawValue) == setting)
        #expect(try traits.type.canonical(traits.defaultText) == traits.defaultText)
    }
}

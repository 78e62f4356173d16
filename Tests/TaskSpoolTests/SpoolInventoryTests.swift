// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskSpool
import Testing

@Suite struct SpoolInventoryTests {
    private let run = "01hzy3v7k8m2n4p6q8r0s2t4v6"

    private func inventory(_ files: [(String, SpoolDirectory)]) throws -> SpoolInventory {
        let temporary = try TemporarySpool()
        for (name, directory) in files {
            try temporary.spool.write([], to: name, directory, durable: false)
        }
        return try SpoolInventory(reading: temporary.spool)
    }

    @Test func findsEachKindOfFile() throws {
        let id = try #require(TaskID(run))
        let found = try inventory([
            ("\(run)@site.task", .tmp), (run, .tmp), ("\(run).full", .tmp), ("other", .tmp),
            ("\(run):2+1", .active), ("\(run)+1", .failed), ("README", .failed),
            ("\(run)@again.task", .incoming), ("plain", .incoming), (".hidden", .incoming),
        ])
        #expect(found.taken == [id: TakenName(id: id, name: "site.task")])
        #expect(found.building == [id] && found.full == [id])
        #expect(
            found.plans == [
                id: [
                    PlanPlace(.active, RunFileName(run: id, attempt: 2, generation: 1)),
                    PlanPlace(.failed, RunFileName(run: id, generation: 1)),
                ]
            ])
        #expect(found.ids == [id])
    }

    /// A run whose plan is gone is written again, though a half-built plan or its drop is there.
    @Test(
        arguments: [
            ("RUN", SpoolDirectory.ready, true), ("RUN+1", .failed, true), ("RUN:2", .hold, true),
            ("RUN@a", .tmp, true), ("RUN.full", .tmp, true), ("RUN", .tmp, false),
            ("RUN@a", .incoming, false), ("RUN.cancel", .incoming, false),
        ])
    func onlySomeFilesStandForARun(
        name: String, directory: SpoolDirectory, stands: Bool
    ) throws {
        let id = try #require(TaskID(run))
        let found = try inventory([(name.replacing("RUN", with: run), directory)])
        #expect(found.hasRun(id) == stands)
    }

    @Test func aPlanThatMovesMeanwhileIsSeen() throws {
        let temporary = try TemporarySpool()
        let id = try #require(TaskID(run))
        var found = try SpoolInventory(reading: temporary.spool)
        try temporary.spool.write([], to: run, .ready, durable: false)
        try found.addPlans(temporary.spool)
        try found.addPlans(temporary.spool)
        #expect(found.plans[id] == [PlanPlace(.ready, RunFileName(run: id))])
    }

    @Test func whatWasBuiltGetsItsPlace() throws {
        let id = try #require(TaskID(run))
        var found = try inventory([(run, .tmp)])
        found.moveBuilt(id)
        #expect(found.building.isEmpty && found.hasRun(id))
        #expect(found.plans[id] == [PlanPlace(.ready, RunFileName(run: id))])
    }
}

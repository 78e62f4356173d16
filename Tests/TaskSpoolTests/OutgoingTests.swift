// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskSpool
import Testing

/// Names in outgoing/, and what a start knows of claims.
@Suite struct OutgoingTests {
    private static let run = "01hzy3v7k8m2n4p6q8r0s2t4v6"

    @Test(arguments: [
        "RUN", "RUN.sent", "RUN+2.sent", "RUN.back", "RUN.cancel", "RUN.settled", "RUN=7.1.ended",
        "RUN+2=7.1.committed", "RUN=7.1.refused",
    ])
    func namesRoundTrip(shape: String) {
        let text = shape.replacing("RUN", with: Self.run)
        #expect(OutgoingName(bytes: Array(text.utf8))?.description == text)
    }

    @Test(arguments: [
        "", "lease", "free", "session", ".RUN.settled.new", "RUN.ended", "RUN=7.1", "RUN=7.1.sent",
        "RUN:2.sent", "RUN.sent.sent",
    ])
    func othersAreNone(shape: String) {
        let text = shape.replacing("RUN", with: Self.run)
        #expect(OutgoingName(bytes: Array(text.utf8)) == nil)
    }

    @Test func aClaimIsADropOfItsOwn() throws {
        let id = try #require(TaskID(Self.run))
        let name = ClaimDrop.fileName(id, gen: 3)
        #expect(DropName(Array(name.utf8)) == .claim(id))
        #expect(DropName(Array("\(id)@x.claim".utf8)) == .unit(name: "x.claim", id: id))
        #expect(DropName(Array("3.claim".utf8)) == .unit(name: "3.claim", id: nil))
    }

    private func fold(_ lines: [String], runs: [TaskID: RunPast] = [:]) throws -> RunPast? {
        let id = try #require(TaskID(Self.run))
        var fold = JournalFold(interesting: [id], inodes: [], runs: runs)
        for line in lines {
            let text = line.replacing("RUN", with: Self.run)
            fold.addClaim(try EventLine(parsing: Array(text.utf8)[...]))
        }
        return fold.runs[id]
    }

    @Test func eachClaimBeginsAnew() throws {
        let past = try fold([
            "1 accept RUN gen=1 g=2 name=a", "2 start RUN.0 a=1 gen=1",
            "3 end RUN.0 a=1 state=failure final=yes gen=1", "4 end RUN state=failure g=2 gen=1",
            "5 end RUN state=lost gen=1 from=ledger", "6 accept RUN gen=4 g=2 name=a",
            "7 start RUN.0 a=1 gen=4", "8 end RUN.0 a=1 state=success final=yes gen=1",
        ])
        #expect(past?.gen == 4 && past?.generation == 2 && past?.ends.isEmpty == true)
        #expect(past?.tasks[0]?.isOpen == true && past?.tasks[0]?.final == nil)
    }

    @Test func aCheckpointKnowsTheToken() throws {
        let id = try #require(TaskID(Self.run))
        var past = RunPast()
        (past.gen, past.accept) = (4, .init(name: "a"))
        let bytes = Checkpoint(epoch: 1, segment: "s", sequence: 2, runs: [id: past]).encode()
        let known = try #require(Checkpoint(parsing: bytes)?.runs)
        #expect(known[id]?.gen == 4)
        let after = try fold(["9 end RUN state=success gen=4"], runs: known)
        #expect(after?.ends == [0: .success])
    }
}

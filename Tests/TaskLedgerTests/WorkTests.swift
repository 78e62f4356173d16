// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@testable import TaskLedger

/// Runs that go to other nodes: calls and answers (task-ledger(7)).
@Suite struct WorkTests {
    private let run = TaskID(high: 1, low: 2)
    private let uuid = "00000000-0000-0001-0000-000000000002"

    private func texts(_ statement: Statement) -> [String?] {
        statement.parameters.map { $0.map { String(decoding: $0, as: UTF8.self) } }
    }

    @Test func aCommitNamesAllPlaces() {
        let verdict = LedgerVerdict(state: .failure, places: [.success, .failure, .none])
        let commit = LedgerCommit(RunKey(run, 4), gen: 3, verdict)
        #expect(
            texts(commit.statement(epoch: 9)) == [
                "9", uuid, "4", "3", "000", "111", "011", "6",
            ])
    }

    @Test func whatWasCancelledIsCancelledThere() {
        let commit = LedgerCommit(
            RunKey(run, 0), gen: 3, LedgerVerdict(state: .cancelled, places: [.none]))
        #expect(commit.statement(epoch: 9).text == "SELECT * FROM ledger.cancel($1, $2, $3)")
    }

    @Test(arguments: [
        ("done", LedgerCommit.Word.committed), ("known", .committed), ("cancelled", .committed),
        ("history", .notYet), ("busy", .notYet), ("refused", .refused), ("mask 01", .refused),
        ("overlap", .refused), ("foreign", .refused),
    ])
    func wordsOfACommit(text: String, word: LedgerCommit.Word) {
        #expect(LedgerCommit.word(Answer(rows: [[text]])) == word)
    }

    @Test(arguments: [
        ("new", LedgerPush.Word.there), ("known", .there), ("mine", .there), ("done", .there),
        ("later", .later), ("ahead", .never), ("limit", .never), ("stale", .stale),
        ("conflict", .conflict),
    ])
    func wordsOfAPush(text: String, word: LedgerPush.Word) {
        #expect(LedgerPush.word(Answer(rows: [[text]])) == word)
    }

    @Test func aPushCarriesThePlan() {
        let push = LedgerPush(
            RunKey(run, 1), name: "site", places: 2, priority: 70_000, digest: "0a", plan: [1, 255])
        #expect(
            texts(push.statement(epoch: 9)) == [
                "9", uuid, "1", nil, nil, nil, "2", "32767", "0", "site", "site", "\\x0a",
                "\\x01ff", "f", "f",
            ])
    }

    @Test func aClaimIsReadAndARangeIsNot() {
        let whole = [uuid, "1", "5", "0", "000", nil, "0", nil, "3", "\\x00", "\\x0aff"]
        var range = whole
        range[7] = "4"
        var known = whole
        known[10] = nil
        let found = LedgerClaim.all(Answer(rows: [whole, range, known]))
        #expect(
            found == [
                LedgerClaim(key: RunKey(run, 1), gen: 5, plan: [10, 255]),
                LedgerClaim(key: RunKey(run, 1), gen: 5, plan: nil),
            ])
    }

    @Test func statesSayWhatEachPlaceCameTo() {
        let found = LedgerState.all(
            Answer(rows: [
                [uuid, "0", "held", nil, "010", "000"], [uuid, "2", "done", "6", "110", "010"],
            ]))
        #expect(
            found == [
                LedgerState(key: RunKey(run, 0)),
                LedgerState(
                    key: RunKey(run, 2),
                    verdict: LedgerVerdict(
                        state: .failure, places: [.success, .failure, .none])),
            ])
    }

    @Test func verdictsRoundTrip() {
        let verdict = LedgerVerdict(
            state: .failure, places: [.success, .failure, .none], reason: .changed, what: "a b")
        #expect(LedgerVerdict(verdict.bytes) == verdict)
        #expect(LedgerVerdict(Array(verdict.bytes.dropLast())) == nil)
        #expect(LedgerVerdict(Array("state=success places=012\n".utf8)) == nil)
        #expect(LedgerVerdict(Array("state=success places=\n".utf8))?.places.isEmpty == true)
    }

    @Test func endsOfAClaimCarryItsToken() throws {
        var fold = HistoryFold()
        let text = "01m8ev7wba8w81dqf3a8td9aw2"
        let lines = [
            "1 accept RUN name=a.task unit=a tasks=1", "2 note RUN what=exported",
            "3 accept RUN gen=2 name=a unit=a tasks=1", "4 start RUN.0 a=1 gen=2",
            "5 end RUN.0 a=1 state=success exit=0 final=yes gen=2", "6 end RUN state=success gen=2",
            "7 end RUN.0 state=success from=ledger final=yes",
            "8 end RUN state=success from=ledger final=yes",
        ]
        let ends = try lines.compactMap {
            fold.add(try EventLine(parsing: Array($0.replacing("RUN", with: text).utf8)[...]))
        }
        #expect(ends.map(\.gen) == [2, 2])
        #expect(ends.map(\.task) == [0, -1])
        #expect(ends.first?.span == 1)
    }
}

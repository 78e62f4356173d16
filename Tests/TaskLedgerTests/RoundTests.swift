// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@testable import TaskLedger

@Suite struct RoundTests {
    private let boot = UUID(high: 5, low: 6)

    private func session(epoch: Int64) -> Session {
        var session = Session(spool: UUID(high: 1, low: 2), boot: boot)
        if epoch > 0 {
            session.registered(
                Round.Registered(
                    epoch: epoch, incarnation: UUID(high: 3, low: 4), lease: 1, isRecovering: false),
                boot: boot)
        }
        return session
    }

    private func kind(_ outcome: Round.Outcome) -> String {
        String("\(outcome)".prefix { $0 != "(" })
    }

    @Test(arguments: [
        ("TL000", "ledgerBehind"), ("TL001", "fenced"), ("TL002", "fenced"),
        ("TL003", "ledgerBehind"),
        ("TL004", "committedBefore"), ("TL005", "nameInUse"), ("TL006", "copy"), ("40001", "again"),
        ("40P01", "again"), ("55P03", "again"), ("57P01", "unknown"), ("25P03", "unknown"),
        ("25006", "unknown"), ("57014", "unknown"), ("08006", "unknown"), ("53300", "unknown"),
        ("53100", "unknown"), ("42501", "notAllowed"), ("28P01", "notAllowed"),
        ("42883", "otherVersion"), ("3F000", "otherVersion"), ("3D000", "otherVersion"),
        ("42P01", "otherVersion"), ("22023", "refused"), ("22P05", "refused"), ("XX000", "refused"),
    ])
    func eachCodeHasItsConsequence(code: String, kind: String) {
        let failure = LedgerFailure(code: code, message: "m")
        let round = Round([.enter])
        #expect(self.kind(round.outcome(of: .failed(failure), session(epoch: 9))) == kind)
    }

    @Test func withoutASessionNoNodeIsNoOldBackup() {
        let failure = LedgerFailure(code: "TL000", message: "no node n1")
        let found = Round([.register]).outcome(of: .failed(failure), session(epoch: 0))
        #expect(found == .notAllowed(failure))
    }

    @Test(arguments: [
        (nil, "unknown"), ("57P01", "unknown"), ("01000", "unknown"), ("28P01", "notAllowed"),
        ("28000", "notAllowed"), ("3D000", "notAllowed"), ("42501", "notAllowed"),
        ("57P03", "unknown"), ("53300", "unknown"),
    ])
    func aLostConnectionSaysNothing(code: String?, kind: String) {
        let failure = LedgerFailure(code: code, message: "m")
        let found = Round([.enter]).outcome(of: .lost(failure), session(epoch: 9))
        #expect(self.kind(found) == kind)
    }

    @Test func anAnswerTooFewIsNone() {
        let answer = Answer(rows: [["t"]])
        let round = Round([.enter, .reported])
        #expect(
            round.outcome(of: .answers([answer, answer]), session(epoch: 9))
                == .committed([answer, answer]))
        #expect(kind(round.outcome(of: .answers([answer]), session(epoch: 9))) == "refused")
    }

    @Test func theSameRoundIsTheSameBytes() {
        var one = session(epoch: 9)
        one.begin(UUID(high: 7, low: 8))
        let round = Round([.enter, .ship(.question("s"))])
        let sent = round.statements(one)
        one.begin(UUID(high: 9, low: 9))
        #expect(round.statements(one) == sent)
        #expect(sent[0].text == "SELECT * FROM ledger.enter($1, $2, $3, $4, $5, $6)")
        let parameters = sent[0].parameters.map { $0.map { String(decoding: $0, as: UTF8.self) } }
        #expect(parameters[1...3] == ["9", "1", "00000000-0000-0007-0000-000000000008"])
    }

    @Test func answersAreRead() {
        #expect(
            Round.entered(Answer(rows: [["f", "t", "12"]]))
                == Round.Entered(isRecovering: false, isDraining: true, nodes: 12))
        let uuid = UUID(high: 3, low: 4)
        #expect(
            Round.registered(Answer(rows: [["17", uuid.description, "4000000", "t"]]))
                == Round.Registered(
                    epoch: 17, incarnation: uuid, lease: 4_000_000, isRecovering: true))
        #expect(Round.registered(Answer(rows: [])) == nil)
        #expect(Round.cursor(Answer(rows: [["42"]])) == 42)
        #expect(Round.cursor(Answer(rows: [[nil]])) == nil)
    }
}

@Suite struct SessionTests {
    private let boot = UUID(high: 5, low: 6)

    private func open() -> Session {
        var session = Session(spool: UUID(high: 1, low: 2), boot: boot)
        session.registered(
            Round.Registered(
                epoch: 9, incarnation: UUID(high: 3, low: 4), lease: 1, isRecovering: false),
            boot: boot)
        return session
    }

    @Test func aRoundKeepsItsNameUntilItIsCommitted() {
        var session = open()
        session.begin(UUID(high: 7, low: 8))
        session.begin(UUID(high: 9, low: 9))
        #expect(session.round == UUID(high: 7, low: 8) && session.sequence == 0)
        session.committed()
        #expect(session.round == nil && session.sequence == 1)
        session.begin(UUID(high: 9, low: 9))
        #expect(session.round == UUID(high: 9, low: 9))
    }

    @Test func aSessionEndsWithItsBoot() {
        #expect(open().isOpen(boot: boot))
        #expect(!open().isOpen(boot: UUID(high: 5, low: 7)))
        #expect(!Session(spool: UUID(high: 1, low: 2), boot: boot).isOpen(boot: boot))
    }

    @Test func aCopyHasNoPast() {
        var session = open()
        session.begin(UUID(high: 7, low: 8))
        session.becomeAnother(UUID(high: 1, low: 9))
        #expect(session == Session(spool: UUID(high: 1, low: 9), boot: boot))
    }

    @Test func theFileReadsAsItWasWritten() {
        var session = open()
        #expect(Session(session.bytes) == session)
        session.begin(UUID(high: 7, low: 8))
        session.committed()
        session.begin(UUID(high: 7, low: 9))
        #expect(Session(session.bytes) == session)
        #expect(Session(Session(spool: UUID(high: 1, low: 2), boot: boot).bytes)?.epoch == 0)
    }

    @Test func whatIsNotOursIsRefused() {
        let bytes = open().bytes
        #expect(Session([]) == nil)
        for count in stride(from: 0, to: bytes.count, by: 7) {
            #expect(Session(Array(bytes[..<count])) == nil)
        }
        #expect(Session(bytes + Array("more 1\n".utf8)) == nil)
        let newer = String(decoding: bytes, as: UTF8.self).replacing(
            "tasklink 1", with: "tasklink 2")
        #expect(Session(Array(newer.utf8)) == nil)
    }
}

@Suite struct EndpointTests {
    private func list(_ host: String?, _ address: String?, _ port: String?) -> [String] {
        Endpoint.list(host: host, address: address, port: port).map {
            "\($0.host ?? "-")/\($0.address ?? "-")/\($0.port ?? "-")"
        }
    }

    @Test func eachHostIsATry() {
        #expect(list("a,b,c", nil, "5432") == ["a/-/5432", "b/-/5432", "c/-/5432"])
        #expect(list("a,b", nil, "1,2") == ["a/-/1", "b/-/2"])
        #expect(list("a,b", "10.0.0.1,10.0.0.2", nil) == ["a/10.0.0.1/-", "b/10.0.0.2/-"])
        #expect(list(nil, "10.0.0.1,10.0.0.2", nil) == ["-/10.0.0.1/-", "-/10.0.0.2/-"])
    }

    @Test func oneHostOrAListThatDoesNotMatchIsTheLibrarys() {
        #expect(list("a", nil, "5432") == ["-/-/-"])
        #expect(list(nil, nil, nil) == ["-/-/-"])
        #expect(list("a,b", nil, "1,2,3") == ["-/-/-"])
        #expect(list("a,b,c", "10.0.0.1,10.0.0.2", nil) == ["-/-/-"])
    }

    @Test func hostsAreReadFromEitherForm() throws {
        #expect(try Connection.endpoints(of: "host=a,b dbname=ledger").map(\.host) == ["a", "b"])
        #expect(
            try Connection.endpoints(of: "postgresql://n1@a:1,b:2/ledger?sslmode=verify-full")
                == [
                    Endpoint(host: "a", address: nil, port: "1"),
                    Endpoint(host: "b", address: nil, port: "2"),
                ])
        #expect(throws: ConnectionRefusal.self) {
            try Connection.endpoints(of: "host=a nonsense=1")
        }
    }
}

@Suite struct ConnectionTextTests {
    @Test(arguments: [
        (
            "connection to server at \"db\" (10.0.0.1), port 5432 failed: FATAL:  28P01: password "
                + "authentication failed for user \"n1\"\nLOCATION:  auth_failed, auth.c:335\n",
            "28P01", "password authentication failed for user \"n1\""
        ),
        (
            "connection to server on socket \"/x/.s.PGSQL.5432\" failed: No such file or directory\n\tIs the "
                + "server running locally and accepting connections on that socket?\n", nil,
            "connection to server on socket \"/x/.s.PGSQL.5432\" failed: No such file or directory"
        ),
        (
            "FATAL:  3D000: Datenbank »x« existiert nicht\n", "3D000",
            "Datenbank »x« existiert nicht"
        ),
        ("", nil, "no reason was given"), ("\n  \nat last\n", nil, "at last"),
        ("a  b: c", nil, "a  b: c"),
    ])
    func aRefusalHasItsCode(text: String, code: String?, message: String) {
        #expect(ConnectionText.failure(text) == LedgerFailure(code: code, message: message))
    }
}

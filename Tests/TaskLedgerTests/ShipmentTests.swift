// SPDX-License-Identifier: Apache-2.0
import Glibc
import TaskModel
import Testing

@testable import TaskLedger

@Suite struct ShipmentTests {
    private let first = TaskID(milliseconds: 1, upper: 2, lower: 3)

    private func texts(_ shipment: Shipment) -> [String?] {
        shipment.statement(epoch: 7, spool: UUID(high: 1, low: 2)).parameters.map {
            $0.map { String(decoding: $0, as: UTF8.self) }
        }
    }

    @Test func equalColumnsAreOneElement() {
        var shipment = Shipment(segment: "00000001-taskd-000001", from: 4)
        for index in 0..<3 {
            var end = LedgerEnd(run: first, state: .success, ended: Int64(100 + index))
            (end.task, end.attempt, end.item, end.name, end.code) = (0, 1, index, "a", 0)
            end.span = index == 1 ? nil : 5
            shipment.append(end)
        }
        shipment.to = 9
        let id = "00000000-0001-0002-0000-000000000003"
        #expect(
            texts(shipment) == [
                "7", "00000000-0000-0001-0000-000000000002", "00000001-taskd-000001", "4", "9",
                "{\(id),\(id),\(id)}", "{0}", "{0,1,2}", "{0}", "{1}", "{0}", "{NULL}", "{\"a\"}",
                "{NULL}",
                "{5}", "{NULL}", "{0}", "{t}", "{100,101,102}", "{5,NULL,5}", "{NULL}", "{NULL}",
                "{NULL}",
            ])
    }

    @Test func theCallHasAsManyPlacesAsParameters() {
        let statement = Shipment.question("s").statement(epoch: 1, spool: UUID(high: 0, low: 0))
        #expect(statement.parameters.count == 23)
        #expect(statement.text.hasPrefix("SELECT * FROM ledger.ship($1, $2, "))
        #expect(statement.text.hasSuffix("$22, $23)"))
        #expect(texts(.question("s"))[3...5] == ["-1", "-1", "{}"])
    }

    @Test(arguments: [
        ("a", "{\"a\"}"), ("NULL", "{\"NULL\"}"), ("", "{\"\"}"), ("a\"b\\c", "{\"a\\\"b\\\\c\"}"),
        ("{a,b}", "{\"{a,b}\"}"), ("é", "{\"é\"}"), ("a\u{0}b", "{\"ab\"}"),
        (String(repeating: "é", count: 200), "{\"" + String(repeating: "é", count: 127) + "\"}"),
    ])
    func textsAreQuoted(text: String, array: String) {
        let found = ArrayText.of([text], ArrayText.text)
        #expect(String(decoding: found, as: UTF8.self) == array)
    }

    /// One foreign line must not make the ledger refuse all others.
    @Test func numbersFitTheirColumns() {
        var shipment = Shipment(segment: "s", from: 0)
        var end = LedgerEnd(run: first, state: .failure, ended: 1)
        (end.attempt, end.code, end.reason) = (Int.max, 100_000, .missing)
        shipment.append(end)
        let found = texts(shipment)
        #expect(found[9] == "{2147483647}" && found[16] == "{32767}" && found[15] == "{12}")
    }

    @Test func itsSizeIsAboutThatOfItsArrays() {
        var shipment = Shipment(segment: "s", from: 0)
        for index in 0..<1000 {
            let id = TaskID(milliseconds: 1_795_794_661_760, upper: 1, lower: UInt64(index))
            var end = LedgerEnd(
                run: id, state: .success, ended: 1_795_794_661_760_533 + Int64(index))
            (end.span, end.cpu, end.memory) = (
                Int64(index) + 5000, Int64(index), 1_568_768 + Int64(index)
            )
            (end.name, end.unit, end.item) = ("work\(index % 7)", "work\(index % 7).task", index)
            shipment.append(end)
        }
        let bytes = texts(shipment).reduce(0) { $0 + ($1?.utf8.count ?? 0) }
        #expect(shipment.bytes >= bytes * 9 / 10 && shipment.bytes <= bytes * 3 / 2)
    }

    /// Words and numbers of the ledger's tables, which are never renumbered.
    @Test func numbersAreThoseOfTheLedger() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let file = try #require(fopen("/\(root)/contrib/sql/ledger.sql", "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        let sql = String(decoding: bytes[..<count], as: UTF8.self)
        for reason in FailureReason.allCases {
            #expect(sql.contains("(\(reason.number), '\(reason.rawValue)')"), "\(reason)")
        }
        for state in TaskState.allCases {
            #expect(sql.contains("(\(state.rawValue), '\(state.word)')"), "\(state)")
        }
        #expect(Set(FailureReason.allCases.map(\.number)).count == 12)
    }
}

@Suite struct UUIDTests {
    @Test func anIDKeepsItsBits() throws {
        let id = try #require(TaskID("01m8ev7wba8w81dqf3a8td9aw2"))
        #expect(UUID(UUID(id).description) == UUID(id))
    }

    @Test func itIsWrittenInGroups() {
        let uuid = UUID(high: 0x7c9c_a7c1_68e3_4bdf, low: 0xbc5b_3287_7625_eaac)
        #expect(uuid.description == "7c9ca7c1-68e3-4bdf-bc5b-32877625eaac")
        #expect(UUID("7c9ca7c1-68e3-4bdf-bc5b-32877625eaac") == uuid)
    }

    @Test(arguments: [
        "", "7c9ca7c1-68e3-4bdf-bc5b-32877625eaa", "7c9ca7c168e3-4bdf-bc5b-32877625eaac0",
        "7c9ca7c1-68e3-4bdf-bc5b-32877625eaag", "7c9ca7c1-68e3-4bdf-bc5b-32877625eaac-",
    ])
    func whatIsNoneIsRefused(text: String) { #expect(UUID(text) == nil) }
}

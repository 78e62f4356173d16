// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@Suite struct ItemTests {
    // MARK: Two bits an item

    private static func states(_ text: String, first: Int = 0) -> ItemStates? {
        ItemStates(first: "\(first)".utf8, stretches: text.utf8)
    }

    @Test(arguments: ["-", "o", "s3", "s2fo4c", "o40s64f", "s1000000", "o31s33f64c"])
    func statesRoundTrip(text: String) throws {
        let states = try #require(Self.states(text, first: 7))
        var bytes: [UInt8] = []
        states.append(to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == " 7 \(text)")
    }

    @Test(arguments: ["", "x", "s0", "s01", "3s", "s10000001", "s9999999s2", "s-"])
    func badStretchesAreRefused(text: String) {
        #expect(text.isEmpty ? Self.states(text)?.end == 0 : Self.states(text) == nil)
    }

    @Test func statesGrowAndAreOpenElsewhere() {
        var states = ItemStates(first: 5)
        states[99] = .failure
        states[5] = .success
        states[4] = .success  // not one of them
        #expect(states[4] == .open && states[5] == .success && states[6] == .open)
        #expect(states[99] == .failure && states[100] == .open && states.end == 100)
        states[5] = .cancelled
        #expect(states[5] == .cancelled)
    }

    @Test func statesOfManyAgreeWithAnArray() {
        var states = ItemStates(end: 500)
        var model = [ItemStates.State](repeating: .open, count: 500)
        var seed: UInt64 = 3
        for _ in 0..<2000 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1
            let item = Int(seed >> 33) % 500
            let state = ItemStates.State.allCases[Int(seed >> 20) % 4]
            states[item] = state
            model[item] = state
        }
        var seen: [ItemStates.State] = []
        states.each { state, items in
            #expect(items.lowerBound == seen.count)
            seen += Array(repeating: state, count: items.count)
        }
        #expect(seen == model)
    }

    // MARK: Ranges

    @Test func rangesFindPlaces() {
        let ranges = ItemRanges([3..<5, 5..<6, 10..<11, 20..<20, 100..<102])
        #expect(ranges.count == 6 && ranges.first == 3 && ranges.end == 102)
        #expect(ranges.all == [3..<6, 10..<11, 100..<102])
        let places = [2, 3, 5, 6, 10, 99, 100, 101, 102].map { ranges.place(of: $0) }
        #expect(places == [nil, 0, 2, nil, 3, nil, 4, 5, nil])
        #expect(ItemRanges().isEmpty && ItemRanges().place(of: 0) == nil)
    }

    // MARK: The plan

    private func plan(_ body: String) throws -> Plan {
        try Plan(parsing: PlanTests.sealed("taskplan 1\n" + body))
    }

    private func blob(_ task: Int, _ text: String) -> String {
        "blob items \(task) \(SHA256.hex(Array(text.utf8))) \(text.utf8.count)\n\(text)\n"
    }

    @Test func aPlanHasRangesAndTheirLines() throws {
        let body =
            "task 0 a\ntask 3 b\nitems 0 2 0\nitems 3 2 4\nrest 3 1 9\nitems 3 1 12\n"
            + blob(3, "p q\nr\n\ns\n")
        let plan = try plan(body)
        #expect(plan.items(of: 0)?.all == [0..<2])
        #expect(plan.items(of: 3)?.all == [4..<6, 12..<13] && plan.hasRest(3))
        #expect(plan.items(of: 1) == nil && !plan.isSingle && plan.hasItemLists)
        #expect(try Plan(parsing: plan.encode()) == plan)
        let id = TaskID(high: 1, low: 1)
        let lists = ItemLists(plan)
        let texts = [4, 5, 9, 12, 7].map { lists.text(of: TaskRef(run: id, task: 3, item: $0)) }
        #expect(texts == ["p q", "r", "", "s", nil])
        #expect(lists.text(of: TaskRef(run: id, task: 0, item: 1)) == "1")
        #expect(lists.text(of: TaskRef(run: id, task: 0)) == nil)
    }

    @Test(arguments: [
        ("taskplan 1\ntask 0 a\nblob x\n", "taskplan 1\ntask 0 a\n"), ("a\nb", "a\nb"), ("", ""),
        ("blob \n", ""), ("\n\nblo\n", "\n\nblo\n"),
    ])
    func theHeadEndsBeforeTheBlobs(text: String, head: String) {
        #expect(Array(Plan.head(ofEncoded: Array(text.utf8))) == Array(head.utf8))
    }

    @Test(arguments: [
        "items 0 0 0\n", "items 0 1 10000000\n", "items 0 2 0\nitems 0 2 1\n",
        "items 0 1 0\nitems 0 1 9999999\nitems 1 1 0\n", "items 1 1 0\nitems 0 1 0\n",
    ])
    func badItemsAreRefused(lines: String) {
        #expect(throws: PlanError.self) { try plan("task 0 a\ntask 1 b\n" + lines) }
    }

    @Test(arguments: [
        ("items 0 2 0\n", 0, "a\n"), ("items 0 2 0\n", 0, "a\nb\nc\n"), ("items 0 1 0\n", 0, "a"),
        ("items 0 1 0\n", 0, "a\0b\n"), ("", 0, "a\n"), ("items 0 1 0\n", 1, "a\n"),
        ("items 0 1 0\n", 0, String(repeating: "x", count: 16385) + "\n"),
    ])
    func aListThatIsNotThatOfTheItemsIsRefused(lines: String, task: Int, text: String) {
        #expect(throws: PlanError.self) { try plan("task 0 a\n" + lines + blob(task, text)) }
    }

    // MARK: The text in the values

    @Test(arguments: [
        ("%i", "a b"), ("x%iy", "xa by"), ("%%i", "%i"), ("100%", "100%"), ("%%%i", "%a b"),
        ("%n", "%n"), ("", ""), ("%i%i", "a ba b"),
    ])
    func theItemStandsForItsMark(text: String, want: String) {
        #expect(ItemText.expand(text, item: "a b") == want)
    }

    @Test(arguments: [
        ("arg=a", false, false), ("arg=%25i", true, false), ("arg=%25%25", true, false),
        ("arg=%2525i", true, false), ("arg=%2", false, false),
        ("LimitCPU=50%25 arg=%25i", true, false), ("arg=a env=A=%25i", true, true),
    ])
    func marksAreSeenInEncodedFields(fields: String, any: Bool, item: Bool) {
        let found = ItemText.marks(in: Array(fields.utf8)[...])
        #expect(found.any == any && found.item == item)
    }

    @Test func aSpecTakesTheItemWhereItMay() throws {
        var spec = TaskSpec(name: "a")
        spec[.command] = ["convert"]
        spec[.arg] = ["%i", "100%%"]
        spec[.env] = ["IN=%i"]
        spec[.limitCPU] = ["50%"]
        spec[.check] = ["there=test -e %i"]
        spec[.workingDirectory] = ["/data/%i"]
        let own = try spec.expanding(item: "x y")
        #expect(own.argv == ["convert", "%i", "100%%"], "the programs' words come later")
        #expect(own[.env] == ["IN=x y"] && own[.limitCPU] == ["50%"])
        #expect(own[.check] == ["there=test -e %i"])
        #expect(own.text(.workingDirectory) == "/data/x y")
    }
}

// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@Suite struct NamedResultTests {
    @Test(
        arguments: [
            ("first:1-taskd-1:7+9:ab", "first"),
            ("systemd:x.service:1-taskd-1:7+9:ab", "systemd:x.service"),
            ("first:1-taskd-1:7+9", nil), ("first", nil), ("", nil),
        ] as [(String, String?)])
    func parses(text: String, name: String?) {
        let found = NamedResult(text)
        #expect(found?.name == name)
        if let found {
            #expect(found.text == text)
            #expect(found.result == ResultPlace(place: "1-taskd-1:7+9", digest: "ab"))
        }
    }

    @Test(
        arguments: [
            ("a", true), ("a@b.c:d_e-f", true), ("", false), (".a", false), ("..", false),
            ("a/b", false), ("a b", false), ("ä", false),
        ])
    func isAFileName(name: String, isOne: Bool) {
        #expect(NamedResult.isFileName(name) == isOne)
        #expect(NamedResult.isFileName(name + String(repeating: "x", count: 129)) == false)
    }
}

// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

/// Goal: a unit has one name, wherever that is asked.
@Suite struct UnitNameTests {
    @Test(arguments: [
        ("site.task", "site"), ("a.b.yaml", "a.b"), ("a.yml", "a"), ("a.task.task", "a.task"),
        ("libpng.service", "libpng.service"), ("site", "site"), (".task", ".task"), ("", ""),
    ])
    func ofAFile(_ file: String, _ name: String) {
        #expect(UnitName.of(file) == name)
        #expect(RunNames(name: file, unit: nil).task == name)
        #expect(RunNames(name: "a.yaml", unit: file).task == name)
    }

    @Test func itsFiles() {
        #expect(UnitName.files("site") == ["site", "site.task", "site.yaml", "site.yml"])
        #expect(UnitName.files("site.yaml") == ["site.yaml"])
    }
}

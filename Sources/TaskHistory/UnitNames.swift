// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// What an accept calls its run: `name=` is the file that was dropped, `unit=` the unit; TASK_NAME is
/// either without its suffix.
struct UnitNames {
    var task: String?
    /// The file's name, where it says more.
    var unit: String?

    init(_ event: RawEvent) {
        let name = event.text("name")
        let named = event.text("unit")
        task = (named ?? name).map { Self.withoutSuffix($0) }
        unit = [named, name].compactMap { $0 }.first { $0 != task } ?? named
    }

    private static func withoutSuffix(_ name: String) -> String {
        for suffix in [".task", ".yaml", ".yml"]
        where name.hasSuffix(suffix) && name.utf8.count > suffix.utf8.count {
            return String(name.dropLast(suffix.utf8.count))
        }
        return name
    }
}

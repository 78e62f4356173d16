// SPDX-License-Identifier: Apache-2.0

/// What a unit is called, and the files that it may be in.
public enum UnitName {
    /// What a unit's file ends in, and its name leaves out; other suffixes stay (`libpng.service`).
    public static let suffixes = [".task", ".yaml", ".yml"]

    /// TASK_NAME of a file, or of a drop: `site.task` is `site`. What is nothing but a suffix stays.
    public static func of(_ file: String) -> String {
        for suffix in suffixes
        where file.hasSuffix(suffix) && file.utf8.count > suffix.utf8.count {
            return String(file.dropLast(suffix.utf8.count))
        }
        return file
    }

    /// The files that a name may mean: itself, else with a suffix.
    public static func files(_ name: String) -> [String] {
        of(name) == name ? [name] + suffixes.map { name + $0 } : [name]
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What a run is called: its accept has `name=`, the file that was dropped, and `unit=`; TASK_NAME is either
/// without its suffix.
public struct RunNames: Equatable, Sendable {
    public var task: String?
    /// The file's name, where it says more.
    public var unit: String?

    public init(name: String?, unit: String?) {
        task = (unit ?? name).map { Self.withoutSuffix($0) }
        self.unit = [unit, name].compactMap { $0 }.first { $0 != task } ?? unit
    }

    private static func withoutSuffix(_ name: String) -> String {
        for suffix in [".task", ".yaml", ".yml"]
        where name.hasSuffix(suffix) && name.utf8.count > suffix.utf8.count {
            return String(name.dropLast(suffix.utf8.count))
        }
        return name
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What a run is called: its accept has `name=`, the file that was dropped, and `unit=`; TASK_NAME is either
/// without its suffix.
public struct RunNames: Equatable, Sendable {
    public var task: String?
    /// The file's name, where it says more.
    public var unit: String?

    public init(name: String?, unit: String?) {
        task = (unit ?? name).map { UnitName.of($0) }
        self.unit = [unit, name].compactMap { $0 }.first { $0 != task } ?? unit
    }
}

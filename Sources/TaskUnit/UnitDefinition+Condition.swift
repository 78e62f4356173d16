// SPDX-License-Identifier: Apache-2.0
import TaskModel

extension UnitDefinition {
    /// The task NAME.check that [RunIf]'s Requires= is: it runs as the unit does, and decides whether it
    /// does. Nil where there is none.
    public var condition: UnitDefinition? {
        guard let setting = settings(.runIfRequires).last else { return nil }
        var check = UnitDefinition(name: name + ".check", place: setting.place)
        for own in settings where Self.shared.contains(own.directive) {
            check.add(own.directive, own.value, own.place)
        }
        check.add(.command, setting.value, setting.place)
        check.add(.condition, "yes", setting.place)
        return check
    }

    /// What holds for the check as well: who it is, where it is and what it may use.
    private static let shared: Set<Directive> = [
        .user, .group, .supplementaryGroups, .workingDirectory, .dir, .files, .limitMem,
        .memoryHigh, .limitDisk, .limitCPU, .limitTasks, .maxTime, .maxCPUTime, .timeoutStopSec,
        .killSignal, .nice, .priority, .logLimit, .loadCredential, .jail, .privateNetwork,
        .bindPaths, .bindReadOnlyPaths, .systemCallFilter, .systemCallArchitectures, .procSubset,
        .env,
    ]
}

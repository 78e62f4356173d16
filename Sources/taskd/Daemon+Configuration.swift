// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskSpool
import TaskUnit

/// task.conf(5), at the start and at SIGHUP.
enum ConfigurationFiles {
    /// Says all that is wrong with them.
    ///
    /// - Returns: nil where they cannot be used.
    static func read(_ report: Report) -> Configuration? {
        let (configuration, problems) = ConfigurationSearch(owner: Caller.uid).read()
        for problem in problems {
            let isError = problem.severity == .error
            if isError { report.error(problem.text) } else { report.warning(problem.text) }
        }
        return problems.contains { $0.severity == .error } ? nil : configuration
    }
}

extension Daemon {
    /// Attempts that a pool of its own runs at once; nil: that decides. The command line goes first.
    var slots: Int? { options.slots > 0 ? options.slots : configuration.slots }

    func followHangup() throws(Errno) {
        _ = try loop.add(hangup.descriptor.number, .readable) { [self] _ in
            while let signal = try? hangup.next(), signal != 0 { isReloadWanted = true }
        }
    }

    /// Reads the configuration again, after SIGHUP. One that is wrong changes nothing.
    func reloadConfiguration() {
        if !isReloadWanted { return }
        isReloadWanted = false
        guard let found = ConfigurationFiles.read(report) else {
            return report.warning(
                "unable to use the configuration: it is wrong, that of before still counts")
        }
        configuration = found
        retention.due = 0
        report.notice("the configuration was read again")
    }
}

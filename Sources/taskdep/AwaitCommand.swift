// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import TaskTool

/// `taskdep await`: what plans run for a name that only systemd knows.
struct AwaitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "await",
        abstract: "Asks systemd whether a unit is active.",
        discussion: """
            Plans run it for systemd's units. While the unit is activating it waits, at most \
            90 s. Exits 0 where the unit is active, else 1; with --optional it only warns. \
            It asks the bus of $DBUS_SYSTEM_BUS_ADDRESS, else the system's.
            """)

    @Flag(help: "Nothing requires it: warn where it is not active, exit 0.")
    var optional = false

    @Argument(help: ArgumentHelp("A unit of systemd: postgresql.service.", valueName: "name"))
    var name: String

    /// How long an activating unit is waited for, in microseconds.
    private static let patience: Int64 = 90_000_000
    private static let interval: Int64 = 250_000

    func run() throws {
        do {
            let state = try awaited()
            if state.isActive { return }
            let advice = state == .absent ? "install it" : "systemctl start \(name)"
            try refuse("\(name) is \(state.word): \(advice)")
        } catch let failure as SystemdFailure {
            try refuse(
                "unable to ask systemd about \(name): \(failure.sentence), "
                    + (optional
                        ? "nothing requires it and the run goes on"
                        : "what requires it can't run: \(failure.advice)"))
        }
    }

    private func awaited() throws(SystemdFailure) -> SystemdState {
        let bus = try SystemBus()
        let deadline = Clock.boot() + Self.patience
        var state = try bus.state(of: name)
        while state.word == "activating", Clock.boot() < deadline {
            Clock.pause(Self.interval)
            state = try bus.state(of: name)
        }
        return state
    }

    private func refuse(_ sentence: String) throws {
        guard optional else { throw ToolError(sentence, status: ExitStatus.no) }
        reporter.warning(sentence)
    }
}

// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// As in the real module: readable when its time has come, and when the clock was set.
public final class WallTimer {
    final class State {
        var time = Int64.max
        /// CLOCK_REALTIME less CLOCK_BOOTTIME when it was last looked at.
        var offset: Int64
        init(_ offset: Int64) { self.offset = offset }

        func isDue(_ machine: Machine) -> Bool {
            machine.realOffset != offset || time - offset <= machine.bootTime
        }
    }

    private let state: State
    private let descriptor: Descriptor

    public init() throws(Errno) {
        let machine: Machine = Machine.current
        try machine.enter(.watch)
        state = State(machine.realOffset)
        descriptor = Descriptor(owning: try machine.give(Open(.timer(state))))
        machine.process.timers.append(state)
    }

    public var number: Int32 { descriptor.number }

    public func set(_ time: Int64?) throws(Errno) {
        let machine: Machine = Machine.current
        try machine.enter(.watch)
        (state.time, state.offset) = (time ?? .max, machine.realOffset)
    }

    public func clear() {
        let machine: Machine = Machine.current
        if state.time - machine.realOffset <= machine.bootTime { state.time = .max }
        state.offset = machine.realOffset
    }
}

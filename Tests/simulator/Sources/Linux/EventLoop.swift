// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// As in the real module.
public struct Readiness: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let readable = Readiness(rawValue: 1)
    public static let writable = Readiness(rawValue: 2)
    public static let priority = Readiness(rawValue: 4)
    public static let hangUp = Readiness(rawValue: 8)
    public static let error = Readiness(rawValue: 16)
}

public struct WatchToken: Hashable, Sendable {
    var slot: Int
    var generation: Int
}

/// A level-triggered loop over descriptors of the model. When nothing is ready the world goes on.
public final class EventLoop {
    private struct Slot {
        var generation = 0
        var descriptor: Int32 = -1
        var wanted: Readiness = []
        var handler: ((Readiness) -> Void)?
    }
    private var slots: [Slot] = []
    public private(set) var watched = 0

    public init() throws(Errno) {
        let machine: Machine = Machine.current
        try machine.enter(.watch)
        machine.process.loops.append(self)
    }

    /// The process is gone: its handlers hold it.
    func tearDown() { slots = [] }

    public func add(
        _ descriptor: Int32, _ readiness: Readiness, handler: @escaping (Readiness) -> Void
    ) throws(Errno) -> WatchToken {
        try Machine.current.enter(.watch)
        let slot = slots.firstIndex { $0.handler == nil } ?? slots.count
        if slot == slots.count { slots.append(Slot()) }
        slots[slot].descriptor = descriptor
        slots[slot].wanted = readiness
        slots[slot].handler = handler
        watched += 1
        return WatchToken(slot: slot, generation: slots[slot].generation)
    }

    public func modify(_ token: WatchToken, _ readiness: Readiness) throws(Errno) {
        try Machine.current.enter(.watch)
        if isLive(token) { slots[token.slot].wanted = readiness }
    }

    public func remove(_ token: WatchToken) {
        guard isLive(token) else { return }
        slots[token.slot].handler = nil
        slots[token.slot].descriptor = -1
        slots[token.slot].generation += 1
        watched -= 1
    }

    private func isLive(_ token: WatchToken) -> Bool {
        token.slot < slots.count && slots[token.slot].generation == token.generation
            && slots[token.slot].handler != nil
    }

    @discardableResult
    public func turn(until deadline: Int64?) throws(Errno) -> Int {
        let machine: Machine = Machine.current
        do {
            try machine.enter(.wait)
        } catch Errno.interrupted {
            return 0
        }
        if ready(machine).isEmpty {
            machine.world.idle(until: deadline) { !ready(machine).isEmpty }
        }
        if machine.isDead { throw .ioError }
        let events = ready(machine)
        for (token, readiness) in events where isLive(token) {
            slots[token.slot].handler?(readiness)
            if machine.isDead { throw .ioError }
        }
        return events.count
    }

    private func ready(_ machine: Machine) -> [(WatchToken, Readiness)] {
        var found: [(WatchToken, Readiness)] = []
        for (index, slot) in slots.enumerated() where slot.handler != nil {
            guard let open = try? machine.open(slot.descriptor) else { continue }
            let has = Self.readiness(of: open, machine).intersection(
                slot.wanted.union([.hangUp, .error]))
            if !has.isEmpty {
                found.append((WatchToken(slot: index, generation: slot.generation), has))
            }
        }
        return found
    }

    private static func readiness(of open: Open, _ machine: Machine) -> Readiness {
        switch open.what {
        case .queue(let queue): queue.events.isEmpty ? [] : .readable
        case .process(let process): process.status == nil ? [] : .readable
        case .signals: machine.terminate ? .readable : []
        case .socket(let channel): channel.readiness
        case .timer(let timer): timer.isDue(machine) ? .readable : []
        case .file, .bytes: []
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import CLinux
public import SystemPackage

/// What a descriptor is watched for.
public struct Readiness: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let readable = Readiness(rawValue: UInt32(CL_IN))
    public static let writable = Readiness(rawValue: UInt32(CL_OUT))
    public static let priority = Readiness(rawValue: UInt32(CL_PRI))
    public static let hangUp = Readiness(rawValue: UInt32(CL_HUP))
    public static let error = Readiness(rawValue: UInt32(CL_ERR))
}

/// The identity of one registration: a slot and its generation, never a descriptor number, so that
/// an event of a closed descriptor is recognised and skipped.
public struct WatchToken: Hashable, Sendable {
    var slot: UInt32
    var generation: UInt32
    var packed: UInt64 { UInt64(generation) << 32 | UInt64(slot) }
}

/// A level-triggered epoll loop for one thread (epoll(7)).
///
/// Handlers run to completion. A handler may add and remove watches, its own as well.
public final class EventLoop {
    private struct Slot {
        var generation: UInt32 = 0
        var descriptor: Int32 = -1
        var handler: ((Readiness) -> Void)?
    }

    private let epoll: Descriptor
    private var slots: [Slot] = []
    private var free: [UInt32] = []
    private var events = [cl_event](repeating: cl_event(), count: 64)
    /// How many descriptors are watched.
    public private(set) var watched = 0

    public init() throws(Errno) {
        epoll = Descriptor(owning: try checked { cl_epoll_create() })
    }

    /// Watches a descriptor that the caller owns and keeps open until `remove`.
    public func add(
        _ descriptor: Int32, _ readiness: Readiness, handler: @escaping (Readiness) -> Void
    ) throws(Errno) -> WatchToken {
        let slot = free.popLast() ?? UInt32(slots.count)
        if slot == slots.count { slots.append(Slot()) }
        let token = WatchToken(slot: slot, generation: slots[Int(slot)].generation)
        if cl_epoll_add(epoll.number, descriptor, readiness.rawValue, token.packed) < 0 {
            let error = Errno.current
            free.append(slot)
            throw error
        }
        slots[Int(slot)].descriptor = descriptor
        slots[Int(slot)].handler = handler
        watched += 1
        return token
    }

    /// Changes what a registration waits for; an empty set keeps it silent but for errors.
    public func modify(_ token: WatchToken, _ readiness: Readiness) throws(Errno) {
        guard isLive(token) else { return }
        let descriptor = slots[Int(token.slot)].descriptor
        _ = try checked {
            cl_epoll_modify(epoll.number, descriptor, readiness.rawValue, token.packed)
        }
    }

    /// Ends a registration. Call it before the descriptor is closed: a child that is between vfork
    /// and exec holds a copy, so close alone does not take a descriptor out of epoll.
    public func remove(_ token: WatchToken) {
        guard isLive(token) else { return }
        _ = cl_epoll_delete(epoll.number, slots[Int(token.slot)].descriptor)
        slots[Int(token.slot)].handler = nil
        slots[Int(token.slot)].descriptor = -1
        slots[Int(token.slot)].generation &+= 1
        free.append(token.slot)
        watched -= 1
    }

    /// Waits for events until a deadline and runs their handlers.
    ///
    /// - Parameter deadline: CLOCK_BOOTTIME in microseconds; nil waits for ever, a past one polls.
    /// - Returns: how many events were handled.
    @discardableResult
    public func turn(until deadline: Int64?) throws(Errno) -> Int {
        let timeout = Self.milliseconds(until: deadline)
        let count = try checkedOrNone {
            cl_epoll_wait(epoll.number, &events, Int32(events.count), timeout)
        }
        for index in 0..<Int(count) {
            let event = events[index]
            let token = WatchToken(
                slot: UInt32(truncatingIfNeeded: event.token),
                generation: UInt32(truncatingIfNeeded: event.token >> 32))
            if isLive(token), let handler = slots[Int(token.slot)].handler {
                handler(Readiness(rawValue: event.events))
            }
        }
        return Int(count)
    }

    private func isLive(_ token: WatchToken) -> Bool {
        Int(token.slot) < slots.count && slots[Int(token.slot)].generation == token.generation
            && slots[Int(token.slot)].handler != nil
    }

    // Rounded up: waking a millisecond early would only poll again.
    private static func milliseconds(until deadline: Int64?) -> Int32 {
        guard let deadline else { return -1 }
        let left = deadline - Clock.boot()
        if left <= 0 { return 0 }
        return Int32(clamping: (left + 999) / 1000)
    }

    private func checkedOrNone(_ call: () -> Int32) throws(Errno) -> Int32 {
        let result = call()
        if result >= 0 { return result }
        let error = Errno.current
        if error == .interrupted { return 0 }
        throw error
    }
}

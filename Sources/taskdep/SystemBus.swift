// SPDX-License-Identifier: Apache-2.0
import CSystemd
import Linux
import SystemPackage

/// Why systemd gave no answer.
enum SystemdFailure: Error {
    /// There is no bus, or nobody answers on it.
    case noBus(Errno)
    /// It answered with an error.
    case refused(String)

    var sentence: String {
        switch self {
        case .noBus(let reason): "no system bus (\(reason))"
        case .refused(let message): message
        }
    }

    /// What to do about it.
    var advice: String {
        switch self {
        case .noBus: "start systemd's bus, or drop the dependency"
        case .refused: "see systemctl status, or drop the dependency"
        }
    }
}

/// A unit's ActiveState, or that systemd has no file for it.
enum SystemdState: Equatable {
    case absent
    case known(String)

    /// `reloading` and `refreshing` units are up, too (org.freedesktop.systemd1(5)).
    var isActive: Bool { ["active", "reloading", "refreshing"].contains(word) }

    var word: String {
        switch self {
        case .absent: "not found"
        case .known(let word): word
        }
    }
}

/// A connection to the system's bus, sd-bus(3); every call has 2 seconds.
final class SystemBus {
    private let bus: OpaquePointer
    /// Microseconds that a call may take.
    private static let patience: UInt64 = 2_000_000
    private static let service = "org.freedesktop.systemd1"

    init() throws(SystemdFailure) {
        var opened: OpaquePointer?
        let code = sd_bus_open_system(&opened)
        guard code >= 0, let opened else { throw .noBus(Errno(rawValue: -code)) }
        bus = opened
        try waitUntilReady()
    }

    deinit { sd_bus_close_unref(bus) }

    // A socket that nobody serves takes the connection and never answers.
    private func waitUntilReady() throws(SystemdFailure) {
        let deadline = Clock.boot() + Int64(Self.patience)
        while true {
            let isReady = sd_bus_is_ready(bus)
            if isReady > 0 { return }
            let left = deadline - Clock.boot()
            guard isReady >= 0, left > 0 else {
                throw .noBus(isReady < 0 ? Errno(rawValue: -isReady) : .timedOut)
            }
            var code = sd_bus_process(bus, nil)
            if code == 0 { code = sd_bus_wait(bus, UInt64(left)) }
            if code < 0 { throw .noBus(Errno(rawValue: -code)) }
        }
    }

    /// Loads a unit and reads its state.
    func state(of name: String) throws(SystemdFailure) -> SystemdState {
        let path = try load(name)
        let state = try property("ActiveState", path)
        if state == "inactive", try property("LoadState", path) == "not-found" { return .absent }
        return .known(state)
    }

    private func load(_ name: String) throws(SystemdFailure) -> String {
        var call: OpaquePointer?
        var reply: OpaquePointer?
        defer {
            sd_bus_message_unref(call)
            sd_bus_message_unref(reply)
        }
        try checked(
            sd_bus_message_new_method_call(
                bus, &call, Self.service, "/org/freedesktop/systemd1",
                "org.freedesktop.systemd1.Manager", "LoadUnit"))
        try checked(name.withCString { sd_bus_message_append_basic(call, Self.string, $0) })
        var error = sd_bus_error()
        defer { sd_bus_error_free(&error) }
        try checked(sd_bus_call(bus, call, Self.patience, &error, &reply), error)
        var path: UnsafePointer<CChar>?
        try checked(sd_bus_message_read_basic(reply, Self.objectPath, &path))
        return path.map { String(cString: $0) } ?? ""
    }

    private func property(_ name: String, _ path: String) throws(SystemdFailure) -> String {
        var error = sd_bus_error()
        defer { sd_bus_error_free(&error) }
        var value: UnsafeMutablePointer<CChar>?
        defer { value?.deallocate() }
        sd_bus_set_method_call_timeout(bus, Self.patience)
        try checked(
            sd_bus_get_property_string(
                bus, Self.service, path, "org.freedesktop.systemd1.Unit", name, &error, &value),
            error)
        return value.map { String(cString: $0) } ?? ""
    }

    private func checked(
        _ code: Int32, _ error: sd_bus_error = sd_bus_error()
    ) throws(SystemdFailure) {
        if code >= 0 { return }
        let reason = Errno(rawValue: -code)
        var message = error.message.map { String(cString: $0) } ?? "\(reason)"
        if message.hasSuffix(".") { message.removeLast() }
        throw .refused(message)
    }

    private static let string = CChar(UInt8(ascii: "s"))
    private static let objectPath = CChar(UInt8(ascii: "o"))
}

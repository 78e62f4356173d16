// SPDX-License-Identifier: Apache-2.0
import Linux

/// One entry of systemd's journal, as a datagram of its native protocol
/// (systemd.io/JOURNAL_NATIVE_PROTOCOL): `NAME=VALUE\n`, or for a value with line ends `NAME\n`, its
/// length as 64 bits little-endian, the value, `\n`.
public struct JournaldEntry: Equatable, Sendable {
    /// Levels of syslog(3).
    public enum Priority: Int, Sendable {
        case error = 3
        case warning = 4
        case notice = 5
        case info = 6
    }

    /// The datagram.
    public private(set) var bytes: [UInt8] = []

    public init(_ message: String, priority: Priority, identifier: String) {
        add("MESSAGE", message)
        add("PRIORITY", String(priority.rawValue))
        add("SYSLOG_IDENTIFIER", identifier)
    }

    /// The end of a task: its fields are what `journalctl TASK_NAME=site` looks for.
    ///
    /// - Parameters:
    ///   - id: TASK_ID, `RUN.K`.
    ///   - state: TASK_STATE, a state's word.
    public init(
        _ message: String, priority: Priority, id: String, name: String, run: String, state: String
    ) {
        self.init(message, priority: priority, identifier: name)
        add("TASK_ID", id)
        add("TASK_NAME", name)
        add("TASK_RUN", run)
        add("TASK_STATE", state)
    }

    /// Adds a field. Names are upper-case letters, digits and `_`, and begin with a letter.
    public mutating func add(_ name: StaticString, _ value: String) {
        name.withUTF8Buffer { bytes.append(contentsOf: $0) }
        let value = Array(value.utf8)
        if value.contains(UInt8(ascii: "\n")) {
            bytes.append(UInt8(ascii: "\n"))
            var count = UInt64(value.count)
            for _ in 0..<8 {
                bytes.append(UInt8(truncatingIfNeeded: count))
                count >>= 8
            }
        } else {
            bytes.append(UInt8(ascii: "="))
        }
        bytes.append(contentsOf: value)
        bytes.append(UInt8(ascii: "\n"))
    }
}

/// Sends entries to systemd's journal and never waits for it: what it does not take at once is
/// dropped and counted.
public struct JournaldSender: Sendable {
    /// journald's socket.
    public static let standardPath = "/run/systemd/journal/socket"

    private let path: String
    /// Entries that were not taken: no journald, its socket is full, or the entry is too large.
    public private(set) var dropped = 0

    public init(path: String = JournaldSender.standardPath) {
        self.path = path
    }

    /// Until then (CLOCK_BOOTTIME) nothing is tried: nobody took the last entry.
    private var silentUntil: Int64 = 0
    private static let pause: Int64 = 100_000

    /// Builds and sends an entry, unless nobody listened a moment ago: then it costs nothing.
    public mutating func send(_ entry: () -> JournaldEntry) {
        let now = Clock.boot()
        if now >= silentUntil, MessageSocket.datagram(entry().bytes, to: path) { return }
        if now >= silentUntil { silentUntil = now + Self.pause }
        dropped += 1
    }
}

// SPDX-License-Identifier: Apache-2.0
import Linux

/// Which host, boot and process this is: what headers and `owner` name.
public enum Host {
    /// The host's name (proc/sys/kernel/hostname).
    public static func name() -> String { line("/proc/sys/kernel/hostname") ?? "localhost" }

    /// The id of this boot (proc/sys/kernel/random/boot_id).
    public static func boot() -> String { line("/proc/sys/kernel/random/boot_id") ?? "unknown" }

    /// When a process started, in clock ticks since boot (field 22 of proc_pid_stat(5)); nil when
    /// there is no such process, or only what is left of one until its parent asks for it: where a
    /// container's first process never does, that is for ever.
    public static func start(of pid: Int32) -> UInt64? { start(in: "/proc/\(pid)/stat") }

    /// This process: its pid and when it started.
    public static func own() -> (pid: Int32, start: UInt64) {
        let stat = line("/proc/self/stat") ?? ""
        let pid = stat.split(separator: " ").first.flatMap { Int32($0) } ?? 0
        return (pid, start(in: "/proc/self/stat") ?? 0)
    }

    private static func start(in file: String) -> UInt64? {
        // The command in parentheses may hold anything: fields count from the last one.
        guard let stat = line(file), let close = stat.lastIndex(of: ")") else { return nil }
        let fields = stat[close...].split(separator: " ")
        guard fields.count > 20, fields[1] != "Z", fields[1] != "X" else { return nil }
        return UInt64(fields[20])
    }

    private static func line(_ file: String) -> String? {
        do {
            let descriptor = try File.open(file)
            guard let bytes = try File.readAll(descriptor.number, limit: 4096) else { return nil }
            return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        } catch {
            return nil
        }
    }
}

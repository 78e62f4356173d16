// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import TaskModel

/// Descendants of tasks without a jail, where no cgroup holds them: taskrun becomes the parent of
/// those whose own has ended (prctl(2), PR_SET_CHILD_SUBREAPER), and ends them with their attempt.
///
/// Several attempts run at once, so it must be known whose such a process is. Its environment at its
/// exec names the attempt (TASK_ID, TASK_ATTEMPT). One that names none is of an attempt that had
/// begun when it started: it is ended when none of those is left. None is ended that may be of an
/// attempt that goes on.
final class Orphans {
    /// What names an attempt in its processes' environment.
    struct Mark: Hashable {
        var id: [UInt8]
        var attempt: [UInt8]

        /// nil for what names none.
        init?(environment: some Collection<UInt8>) {
            guard let id = Self.value("TASK_ID=", environment),
                let attempt = Self.value("TASK_ATTEMPT=", environment)
            else { return nil }
            (self.id, self.attempt) = (id, attempt)
        }

        private static func value(
            _ name: StaticString, _ environment: some Collection<UInt8>
        ) -> [UInt8]? {
            name.withUTF8Buffer { name in
                environment.split(separator: 0).first { $0.starts(with: name) }
                    .map { Array($0.dropFirst(name.count)) }
            }
        }
    }

    private struct Live {
        /// Clock ticks since boot, as proc(5) has them.
        var began: Int64
        var main: Int32?
    }

    /// A launcher is in taskrun's session until it has made its own: it is known by its number, too.
    private let owns: (Int32) -> Bool
    private var live: [Mark: Live] = [:]
    private var isAdopting = false

    /// - Parameter owns: whether a session is that of the launcher and its jails.
    init(owns: @escaping (Int32) -> Bool) { self.owns = owns }

    /// An attempt begins.
    func begin(_ mark: Mark) {
        if !isAdopting { isAdopting = Caller.adoptOrphans() }
        join(mark)
    }

    /// One that a cgroup holds begins: its first process is no orphan, where another attempt could get
    /// no cgroup and looks for its own.
    func join(_ mark: Mark) { live[mark] = Live(began: Self.now) }

    /// Its step's first process; nil once that was reaped.
    func setMain(_ pid: Int32?, of mark: Mark) { live[mark]?.main = pid }

    /// An attempt is over: nothing that is its own was left.
    func end(_ mark: Mark) { live[mark] = nil }

    /// SIGKILL to all that an attempt left behind, and to what no attempt that runs can have left.
    ///
    /// - Returns: what may be its own and is not gone. Call it again until there is none.
    func sweep(_ mark: Mark) -> [Int32] {
        let began = live[mark]?.began ?? 0
        let others = live.filter { $0.key != mark }.map(\.value.began).min() ?? .max
        var left: [Int32] = []
        each { pid, status in
            let environment = Self.environment(of: pid)
            let own = environment.flatMap { Mark(environment: $0) }
            let isIts: Bool
            switch own {
            case .some(let own) where own == mark: isIts = true
            case .some(let own):
                if live[own] == nil { kill(pid, SIGKILL) }
                return
            // One that has emptied its environment; or has none just now, between two programs or at
            // its end: whose it is the next call sees.
            case nil:
                if environment?.isEmpty ?? false, ProcessStatus(pid)?.environmentEnd == 0 {
                    return left.append(pid)
                }
                if status.start >= others { return }
                isIts = status.start >= began
            }
            kill(pid, SIGKILL)
            if isIts { left.append(pid) }
        }
        return left
    }

    /// Takes the status of those that have ended.
    func reap() { each { _, _ in } }

    // Children that are neither an attempt's first process nor the launcher's; the dead are reaped.
    private func each(_ body: (Int32, ProcessStatus) -> Void) {
        let mains = Set(live.values.compactMap(\.main))
        for pid in ProcessStatus.children(of: Caller.pid) where !mains.contains(pid) {
            guard let status = ProcessStatus(pid), status.parent == Caller.pid,
                !owns(status.session), !owns(pid)
            else { continue }
            if status.isDead {
                Caller.reap(pid)
            } else {
                body(pid, status)
            }
        }
    }

    // Ours and not reaped, so the number is its own. Nil where this may not be asked.
    private static func environment(of pid: Int32) -> [UInt8]? {
        guard let file = try? File.open("/proc/\(pid)/environ") else { return nil }
        return (try? File.readAll(file.number, limit: 4 << 20)) ?? nil
    }

    private static let ticks = Int64(max(1, sysconf(Int32(_SC_CLK_TCK))))
    private static var now: Int64 { Clock.boot() / (1_000_000 / ticks) }
}

/// A line of /proc/PID/stat (proc(5)).
struct ProcessStatus {
    var isDead: Bool
    var parent: Int32
    var session: Int32
    /// When it started, clock ticks since boot.
    var start: Int64
    /// The address behind its environment; 0 while execve(2) sets up its memory, or exit has let go of
    /// it, or this may not be asked (PTRACE_MODE_READ).
    var environmentEnd: UInt64

    /// nil when there is no such process.
    init?(_ pid: Int32) {
        guard let bytes = Self.read("/proc/\(pid)/stat"),
            let name = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let words = bytes[(name + 1)...].split(separator: UInt8(ascii: " ")).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard words.count > 19, let parent = Int32(words[1]), let session = Int32(words[3]),
            let start = Int64(words[19])
        else { return nil }
        isDead = words[0] == "Z" || words[0] == "X"
        (self.parent, self.session, self.start) = (parent, session, start)
        environmentEnd = words.count > 48 ? UInt64(words[48]) ?? 0 : 0
    }

    /// The children of a process of one thread.
    static func children(of pid: Int32) -> [Int32] {
        (read("/proc/\(pid)/task/\(pid)/children") ?? []).split(separator: UInt8(ascii: " "))
            .compactMap { Int32(String(decoding: $0, as: UTF8.self)) }
    }

    private static func read(_ path: String) -> [UInt8]? {
        guard let file = try? File.open(path) else { return nil }
        return (try? File.readAll(file.number, limit: 1 << 20)) ?? nil
    }
}

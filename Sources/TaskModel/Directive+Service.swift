// SPDX-License-Identifier: Apache-2.0

extension Directive {
    /// The rows of [Service].
    var serviceRow: DirectiveTraits { identityRow ?? retryRow ?? limitRow ?? streamRow }

    private func row(
        _ type: DirectiveType, _ help: String, _ arity: DirectiveArity = .one,
        inPlan: Bool = true, later: Bool = false
    ) -> DirectiveTraits {
        row(type, nil, help, arity, inPlan: inPlan, later: later)
    }

    private func row(
        _ type: DirectiveType, _ defaultText: String?, _ help: String,
        _ arity: DirectiveArity = .one, inPlan: Bool = true, later: Bool = false
    ) -> DirectiveTraits {
        DirectiveTraits(
            section: .service, name: rawValue, type: type, arity: arity,
            defaultText: defaultText, help: help, isInPlan: inPlan, isCarriedOut: !later)
    }

    private var identityRow: DirectiveTraits? {
        switch self {
        case .user: row(.user, "whom it runs as; the spool's owner")
        case .group: row(.user, "its group; the user's own")
        case .supplementaryGroups: row(.user, "further groups", .words)
        case .workingDirectory: row(.path, "where it starts, writable; $TASK_SCRATCH")
        case .dir: row(.path, "what ./x of commands, checks and Files= is relative to")
        case .files:
            row(.relativePath, "files below Dir= to carry in the plan", .words, inPlan: false)
        default: nil
        }
    }

    private var retryRow: DirectiveTraits? {
        switch self {
        case .restart:
            row(.restart, "never", "further attempts: never, on-failure (no end), or at most N")
        case .restartSec: row(.span, "1s", "the delay before the second attempt; doubles each time")
        case .restartMaxDelaySec: row(.span, "5min", "the longest delay between attempts")
        case .successExitStatus:
            row(.exitStatus, "0", "exit statuses and signals that are success, besides 0", .words)
        case .restartPreventExitStatus:
            row(.exitStatus, "64 65 77 78", "exit statuses and signals never retried", .words)
        default: nil
        }
    }

    private var limitRow: DirectiveTraits? {
        switch self {
        case .limitMem: row(.size, "infinity", "memory of all its processes together")
        case .memoryHigh: row(.size, "infinity", "memory above which it is slowed down")
        case .limitDisk: row(.size, "1G", "bytes in /tmp, /dev/shm and scratch together")
        case .limitCPU: row(.share, "infinity", "share of CPUs: 150% is one and a half")
        case .limitTasks: row(.limit(1...4_194_304), "4096", "processes and threads at once")
        case .maxTime: row(.span, "infinity", "how long one attempt may take")
        case .maxCPUTime: row(.span, "infinity", "CPU time that each process may take")
        case .timeoutStopSec: row(.span, "10s", "time between KillSignal= and SIGKILL")
        case .killSignal: row(.signal, "SIGTERM", "the signal that asks it to stop")
        case .logLimit: row(.outputSize, "64M", "bytes of output that are kept of one attempt")
        default: nil
        }
    }

    private var streamRow: DirectiveTraits {
        switch self {
        case .nice: row(.integer(-20...19), "0", "CPU priority as nice(1) means it")
        case .priority: row(.integer(-1000...1000), "0", "higher is started before lower")
        case .queue: row(.token, "the queue whose slots it takes", later: true)
        case .semaphore:
            row(.semaphore, "NAME[:N]: at most N such at once here", .words)
        case .remainAfterExit: row(.span, "0s", "how long a success counts again")
        case .type: row(.choice(["exec", "runner"]), "exec", "exec: a program; runner: a server")
        case .standardInput: row(.input, "null", "null, file:PATH or text:TEXT")
        case .standardOutput: row(.output, "log", "log, journal, null or file:PATH")
        case .loadCredential:
            row(.credential, "ID:PATH: a file for $CREDENTIALS_DIRECTORY", .words)
        case .key:
            row(.text, "a second drop with this key on the same day is the first")
        case .shared: row(.flag, "no", "Dir= is the same on every machine")
        default: row(.flag, "no", "the file must end with [End]", inPlan: false)
        }
    }
}

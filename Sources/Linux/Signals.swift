// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
public import SystemPackage

/// Signals as descriptors (signalfd(2)), so that a handler is an ordinary turn of the loop.
public struct SignalSource: ~Copyable {
    public let descriptor: Descriptor

    /// Blocks the signals in the process and opens a descriptor that reports them.
    public init(_ signals: [Int32]) throws(Errno) {
        descriptor = Descriptor(
            owning: try checked { cl_signalfd(signals, Int32(signals.count)) })
    }

    /// The next pending signal; nil when there is none.
    public func next() throws(Errno) -> Int32? {
        let signal = try checked { cl_signalfd_read(descriptor.number) }
        return signal == 0 ? nil : signal
    }

    /// Blocks one signal (SIGIO of leases) without reporting it.
    public static func block(_ signal: Int32) { _ = cl_signal_block(signal) }

    /// A write to a closed pipe is an error, not a death.
    public static func ignorePipe() { _ = cl_signal_ignore(SIGPIPE) }

    /// Default dispositions and an empty mask: what a child expects.
    public static func restoreDefaults() { cl_signals_default() }
}

/// Names of signals as people write them.
public enum SignalName {
    private static let table: [(number: Int32, name: String)] = [
        (SIGHUP, "HUP"), (SIGINT, "INT"), (SIGQUIT, "QUIT"), (SIGILL, "ILL"), (SIGTRAP, "TRAP"),
        (SIGABRT, "ABRT"), (SIGBUS, "BUS"), (SIGFPE, "FPE"), (SIGKILL, "KILL"), (SIGUSR1, "USR1"),
        (SIGSEGV, "SEGV"), (SIGUSR2, "USR2"), (SIGPIPE, "PIPE"), (SIGALRM, "ALRM"),
        (SIGTERM, "TERM"), (16, "STKFLT"), (SIGCHLD, "CHLD"), (SIGCONT, "CONT"),
        (SIGSTOP, "STOP"), (SIGTSTP, "TSTP"), (SIGTTIN, "TTIN"), (SIGTTOU, "TTOU"),
        (SIGURG, "URG"), (SIGXCPU, "XCPU"), (SIGXFSZ, "XFSZ"), (SIGVTALRM, "VTALRM"),
        (SIGPROF, "PROF"), (SIGWINCH, "WINCH"), (29, "IO"), (30, "PWR"), (SIGSYS, "SYS"),
    ]

    /// `KILL` for 9; a number without a name prints as digits.
    public static func name(of signal: Int32) -> String {
        table.first { $0.number == signal }?.name ?? String(signal)
    }

    /// The number of `KILL`, `SIGKILL`, `kill` or `9`; nil when there is no such signal.
    public static func number(of name: String) -> Int32? {
        if let number = Int32(name) { return (1...64).contains(number) ? number : nil }
        var bare = name.uppercased()
        if bare.hasPrefix("SIG") { bare.removeFirst(3) }
        return table.first { $0.name == bare }?.number
    }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskModel

/// SIGHUP: this process becomes the program that is at its place by now; children, descriptors and
/// running attempts stay. The new program is asked first whether it reads our table.
final class Upgrade {
    enum Phase {
        case none
        /// The new program is asked, at most until then (CLOCK_BOOTTIME).
        case asking(until: Int64)
        /// It reads our table: attempts that are just being started, or end, are waited for.
        case settling(until: Int64)
        /// It does not: what was accepted is done, then this one ends.
        case draining
    }

    private(set) var phase = Phase.none
    /// Where this program was when it started.
    private let path: String
    private let loop: EventLoop
    private let signals: SignalSource
    private var child: Child?
    private var token: WatchToken?
    private var answer: OpenFile?
    var drain: () -> Void = {}

    private static let patience: Int64 = 5_000_000

    init(_ loop: EventLoop) throws(Errno) {
        self.loop = loop
        path = try Caller.linkTarget("/proc/self/exe")
        signals = try SignalSource([SIGHUP])
        _ = try loop.add(signals.descriptor.number, .readable) { [unowned self] _ in hangUp() }
    }

    var isSettling: Bool {
        if case .settling = phase { return true }
        return false
    }

    /// When `tick` has something to do.
    var nextDeadline: Int64? {
        switch phase {
        case .asking(let until): until
        case .settling: Clock.boot() + 2_000
        case .none, .draining: nil
        }
    }

    func tick() {
        let now = Clock.boot()
        switch phase {
        case .asking(let until) where until <= now:
            child?.signal(SIGKILL)
        case .settling(let until) where until <= now:
            giveUp("attempts are being started, or end, for 5 s")
        default: break
        }
    }

    /// This program goes on.
    func giveUp(_ why: String) {
        Message.error("unable to become \(path): \(why), this program goes on")
        phase = .none
        Caller.notifyManager("READY=1")
    }

    private func hangUp() {
        while ((try? signals.next()) ?? nil) != nil {}
        guard case .none = phase else { return }
        Caller.notifyManager("RELOADING=1\nMONOTONIC_USEC=\(Clock.monotonic())")
        do throws(SpawnError) {
            try ask()
            phase = .asking(until: Clock.boot() + Self.patience)
        } catch {
            giveUp("\(error.errno)")
        }
    }

    // MARK: The question

    private func ask() throws(SpawnError) {
        let program = Program(
            path: path, arguments: ["taskrun", "--table-version"], environment: ["LANG=C.UTF-8"])
        var options = SpawnOptions()
        do throws(Errno) {
            let pipe = try Pipe.make()
            answer = OpenFile(Descriptor(owning: pipe.read))
            let writing = Descriptor(owning: pipe.write)
            options.standardOutput = writing.number
            options.diesWithParent = true
            let started: Child
            do throws(SpawnError) {
                started = try Child.start(program, options)
            } catch {
                throw error.errno
            }
            token = try loop.add(started.pidfd.number, .readable) { [unowned self] _ in answered() }
            child = consume started
        } catch {
            throw SpawnError(step: .execute, errno: error)
        }
    }

    private func answered() {
        let end: ProcessEnd?
        do throws(Errno) { end = try child?.ended() } catch { end = nil }
        guard end != nil else { return }
        if let token { loop.remove(token) }
        token = nil
        child = nil
        var bytes = [UInt8](repeating: 0, count: 256)
        let got = answer.flatMap { try? File.read($0.number, into: &bytes) } ?? 0
        answer = nil
        let said = String(decoding: bytes[..<got], as: UTF8.self)
        if end?.exitCode == 0, said == Self.versionLine {
            phase = .settling(until: Clock.boot() + Self.patience)
            return
        }
        Message.warning(
            "unable to become \(path): it does not read table \(HandoverTable.version), no further "
                + "job is taken; what was taken ends, then this program does")
        phase = .draining
        Caller.notifyManager("READY=1\nSTATUS=draining for an upgrade")
        drain()
    }

    /// What `taskrun --table-version` prints.
    static let versionLine = "taskruntable \(HandoverTable.version)\n"

    // MARK: The change

    /// Becomes the new program. Descriptors named here stay open in it.
    ///
    /// - Throws: this one goes on.
    func execute(_ table: HandoverTable, keeping descriptors: [Int32]) throws(Errno) -> Never {
        let memory = try SealedMemory.make(table.encoded, name: "taskrun-table")
        let kept = descriptors + [memory.number]
        let arguments =
            Caller.arguments.filter { !$0.hasPrefix("--resume=") } + ["--resume=\(memory.number)"]
        do throws(Errno) {
            for descriptor in kept { try File.setInherited(descriptor, true) }
            try Caller.execute(
                path: path, arguments: arguments, environment: Caller.environment())
        } catch {
            for descriptor in kept { try? File.setInherited(descriptor, false) }
            throw error
        }
    }
}

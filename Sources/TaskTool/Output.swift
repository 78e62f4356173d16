// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage

/// Standard output, buffered, through a pager when it is a terminal.
public final class Output {
    private var buffer: [UInt8] = []
    private var pager: Pager?
    private let wantsPager: Bool
    private let limit = 64 * 1024

    /// - Parameter paged: start a pager at the first write, if standard output is a terminal.
    public init(paged: Bool) {
        wantsPager = paged && Terminal.isTerminal(1)
    }

    public func write(_ bytes: [UInt8]) throws(ToolError) {
        buffer.append(contentsOf: bytes)
        if buffer.count >= limit { try flush() }
    }

    public func write(_ text: String) throws(ToolError) {
        buffer.append(contentsOf: text.utf8)
        if buffer.count >= limit { try flush() }
    }

    /// Writes out what is held.
    public func flush() throws(ToolError) {
        if buffer.isEmpty { return }
        if wantsPager, pager == nil { pager = Pager.start() }
        defer { buffer.removeAll(keepingCapacity: true) }
        do {
            try File.writeAll(buffer, to: pager?.input ?? 1)
        } catch Errno.brokenPipe {
            // The reader has seen enough.
            pager?.wait()
            Caller.exit(ExitStatus.ok)
        } catch {
            throw ToolError(
                unableTo: "write", "standard output", error, "the answer is not complete")
        }
    }

    /// Writes out the rest and waits until the pager is left.
    public func finish() throws(ToolError) {
        try flush()
        pager?.wait()
        pager = nil
    }
}

/// `$TASK_PAGER`, `$PAGER` or less(1) behind a pipe.
final class Pager {
    private let child: Child
    private var pipe: Descriptor?
    var input: Int32 { pipe?.number ?? 1 }

    private init(child: consuming Child, pipe: consuming Descriptor) {
        self.child = child
        self.pipe = consume pipe
    }

    /// Nil when there is none, or it is `cat` or can't start: the output then goes out unpaged.
    static func start() -> Pager? {
        let command = Caller.environment("TASK_PAGER") ?? Caller.environment("PAGER") ?? "less"
        guard command != "cat", let ends = try? Pipe.makeBlocking() else { return nil }
        let reading = Descriptor(owning: ends.read)
        let writing = Descriptor(owning: ends.write)
        var environment = Caller.environment()
        if Caller.environment("LESS") == nil { environment.append("LESS=FRSX") }
        let program = Program(
            path: "/bin/sh",
            arguments: [
                "sh", "-c",
                "command -v \(firstWord(command)) >/dev/null && exec \(command); exec cat",
            ],
            environment: environment)
        var options = SpawnOptions()
        options.standardInput = reading.number
        guard let child = try? Child.start(program, options) else { return nil }
        SignalSource.ignorePipe()
        return Pager(child: child, pipe: writing)
    }

    private static func firstWord(_ command: String) -> Substring {
        command.prefix { $0 != " " }
    }

    func wait() {
        _ = pipe.take()
        guard let loop = try? EventLoop() else { return }
        while (try? child.ended()) == .some(.none) {
            guard let token = try? loop.add(child.pidfd.number, .readable, handler: { _ in }) else {
                return
            }
            _ = try? loop.turn(until: nil)
            loop.remove(token)
        }
    }
}

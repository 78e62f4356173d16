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
    private let program: Subprogram
    private var pipe: Descriptor?
    var input: Int32 { pipe?.number ?? 1 }

    private init(_ program: Subprogram, _ pipe: consuming Descriptor) {
        self.program = program
        self.pipe = consume pipe
    }

    /// Nil when it is `cat` or can't start: the output then goes out unpaged.
    static func start() -> Pager? {
        let command = Caller.environment("TASK_PAGER") ?? Caller.environment("PAGER") ?? "less"
        guard command != "cat", let ends = try? Pipe.makeBlocking() else { return nil }
        let reading = Descriptor(owning: ends.read)
        let writing = Descriptor(owning: ends.write)
        var environment = Caller.environment()
        if Caller.environment("LESS") == nil { environment.append("LESS=FRSX") }
        // Where the pager is not installed the text still comes.
        let word = command.prefix { $0 != " " }
        let script = "command -v \(word) >/dev/null && exec \(command); exec cat"
        let shell = Program(
            path: "/bin/sh", arguments: ["sh", "-c", script], environment: environment)
        var options = SpawnOptions()
        options.standardInput = reading.number
        guard let program = try? Subprogram(shell, options) else { return nil }
        SignalSource.ignorePipe()
        return Pager(program, writing)
    }

    /// Tells the pager that all has been said, and waits until it is left.
    func wait() {
        _ = pipe.take()
        program.wait()
    }
}

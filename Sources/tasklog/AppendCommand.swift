// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import SystemPackage
import TaskJournal
import TaskOptions
import TaskSpool
import TaskTool

struct AppendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "append",
        abstract: "Writes event lines from standard input into the journal.",
        discussion: """
            `taskdep plan site.task | taskrun - | tasklog append`. Output among the lines goes into \
            log segments. A spool is made where there is none; a running taskd is no hindrance. A \
            line that is none is named and left out: the exit status is then 2.
            """)

    @OptionGroup var spool: SpoolOptions

    @Flag(name: .long, help: "Also print the tasks' output, as it comes.")
    var cat = false

    func run() throws {
        // Ctrl-C ends the tasks; what they leave to say still comes down the pipe.
        SignalSource.block(2)
        SignalSource.ignorePipe()
        let choice = spool.choice
        let appender: Appender
        do {
            try choice.assumeOwner()
            let opened = try Spool(path: choice.path, creating: true)
            appender = try Appender(opened, copies: cat)
        } catch let error as SpoolError {
            throw ToolError(
                error.sentence + ", nothing was written", status: ExitStatus.unavailable)
        } catch let error as JournalError {
            throw Self.failure(error, "nothing was written")
        }
        let reader = LineFeeder(appender)
        do {
            try reader.run()
        } catch let error as JournalError {
            try? appender.close()
            throw Self.failure(error, "what came after line \(reader.line) may be missing")
        }
        if reader.garbage > 0 { throw ExitCode(ExitStatus.usage) }
    }

    private static func failure(_ error: JournalError, _ consequence: String) -> ToolError {
        let status =
            switch error {
            case .full: ExitStatus.tryLater
            case .io(_, _, let errno) where errno == .noSpace: ExitStatus.tryLater
            case .io(_, _, let errno) where errno == .permissionDenied: ExitStatus.noPermission
            default: ExitStatus.ioError
            }
        return ToolError("unable to \(error.sentence), \(consequence)", status: status)
    }
}

/// Reads standard input by lines and hands them on; makes them durable whenever nothing more waits.
private final class LineFeeder {
    private let appender: Appender
    private var rest: [UInt8] = []
    private var chunk = [UInt8](repeating: 0, count: 256 << 10)
    /// Lines read so far.
    private(set) var line = 0
    /// Lines that were none.
    private(set) var garbage = 0
    private var loop: EventLoop?

    private static let mostMessages = 20

    init(_ appender: Appender) {
        self.appender = appender
        loop = try? EventLoop()
        // A regular file cannot be waited for: it has everything there is.
        if (try? loop?.add(0, .readable, handler: { _ in })) == nil { loop = nil }
    }

    func run() throws {
        while true {
            let count = try read()
            if count == 0 { break }
            try feed(chunk[..<count])
            if appender.isLarge || !hasMore { try appender.sync() }
        }
        if !rest.isEmpty { try take(rest[...]) }
        try appender.close()
    }

    private var hasMore: Bool {
        guard let loop else { return true }
        return ((try? loop.turn(until: 0)) ?? 0) > 0
    }

    private func read() throws -> Int {
        do {
            return try File.read(0, into: &chunk)
        } catch Errno.wouldBlock {
            _ = try loop?.turn(until: nil)
            return try File.read(0, into: &chunk)
        }
    }

    private func feed(_ bytes: ArraySlice<UInt8>) throws {
        var start = bytes.startIndex
        while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
            if rest.isEmpty {
                try take(bytes[start..<end])
            } else {
                rest.append(contentsOf: bytes[start..<end])
                try take(rest[...])
                rest.removeAll(keepingCapacity: true)
            }
            start = end + 1
        }
        // A line without an end must not fill the memory: beyond the limit it is wrong anyway.
        if rest.count < 1 << 20 { rest.append(contentsOf: bytes[start...]) }
    }

    private func take(_ bytes: ArraySlice<UInt8>) throws {
        line += 1
        do {
            try appender.take(bytes)
        } catch let error as Appender.Garbage {
            complain(error.sentence)
        } catch JournalError.tooLong(let count) {
            complain("line of \(count) bytes: at most 16384 are allowed")
        }
    }

    private func complain(_ sentence: String) {
        garbage += 1
        if garbage <= Self.mostMessages {
            reporter.error("standard input:\(line): \(sentence), the line is left out")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Linux
import SystemPackage
import TaskJournal
import TaskOptions
import TaskTool

struct CompressCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compress",
        abstract: "Compresses segments of journal and logs that are complete.",
        discussion: """
            All commands read them as before, and so does zstdcat. taskd starts this by itself; it may \
            be killed at any time. The last two sealed segments of taskd, those that somebody writes \
            and those below 64 KiB stay as they are.
            """)

    @OptionGroup var spool: SpoolOptions

    @Flag(name: [.customShort("q"), .long], help: "Print only what goes wrong.")
    var quiet = false

    func run() throws {
        let choice = spool.choice
        try choice.assumeOwner()
        let root = try choice.open()
        SignalSource.block(29)  // SIGIO: a lease that somebody wants back
        var status = ExitStatus.ok
        for place in [SegmentCompression.Place.journal, .log] {
            do throws(JournalError) {
                guard let work = try SegmentCompression(place, in: root.number) else {
                    throw .io(verb: "lock", name: place.rawValue + "/", errno: .wouldBlock)
                }
                let sums = try compress(work)
                if sums.failure != ExitStatus.ok { status = sums.failure }
                if !quiet { try print(sums.line(place)) }
            } catch {
                status = Self.report(error)
            }
        }
        if status != ExitStatus.ok { throw ExitCode(status) }
    }

    /// One that fails does not hold up the others, but a full disk does.
    private func compress(
        _ work: borrowing SegmentCompression
    ) throws(JournalError) -> CompressionSums {
        var sums = CompressionSums()
        for name in try work.segments() {
            do throws(JournalError) {
                sums.add(try work.compress(name))
            } catch {
                sums.failure = Self.report(error)
                if sums.failure == ExitStatus.tryLater { break }
            }
        }
        return sums
    }

    private func print(_ line: String) throws(JournalError) {
        do {
            try File.writeAll(Array(line.utf8), to: 1)
        } catch {
            throw .io(verb: "write", name: "standard output", errno: error)
        }
    }

    private static func report(_ error: JournalError) -> Int32 {
        if case .io(_, let name, .wouldBlock) = error {
            reporter.error("unable to compress \(name): another process does it already")
            return ExitStatus.tryLater
        }
        reporter.error("unable to \(error.sentence), it stays as it is")
        guard case .io(_, _, let errno) = error else { return ExitStatus.ioError }
        return ToolError(unableTo: "", "", errno).status
    }
}

/// What was done in one directory.
private struct CompressionSums {
    var compressed = 0
    var before: Int64 = 0
    var after: Int64 = 0
    var inUse = 0
    /// The exit status, where one failed.
    var failure = ExitStatus.ok

    mutating func add(_ outcome: SegmentCompression.Outcome) {
        switch outcome {
        case .compressed(let from, let to):
            compressed += 1
            before += from
            after += to
        case .inUse: inUse += 1
        case .left: break
        }
    }

    func line(_ place: SegmentCompression.Place) -> String {
        var text = "\(place.rawValue)/: \(compressed) segments compressed"
        if compressed > 0 {
            text += ", \(HumanText.size(before)) to \(HumanText.size(after))"
        }
        if inUse > 0 { text += ", \(inUse) in use" }
        return text + "\n"
    }
}

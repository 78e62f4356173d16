// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskModel

/// Where the output of tasks goes.
protocol OutputSink: AnyObject {
    /// Bytes that a step of the attempt wrote to descriptor 1 or 2. Step 0 is the command, n the
    /// n-th check.
    func take(_ bytes: ArraySlice<UInt8>, of attempt: Attempt, step: Int, fd: Int)
    /// The result of an attempt that succeeded.
    ///
    /// - Returns: where it lies; nil where this says nobody.
    func takeResult(_ bytes: [UInt8], of attempt: Attempt) -> LogPlace?
    /// Takes no more just now: what tasks write is left in their pipes.
    var isFull: Bool { get }
}

extension OutputSink {
    var isFull: Bool { false }
    func takeResult(_ bytes: [UInt8], of attempt: Attempt) -> LogPlace? { nil }
}

/// Output as event lines: `note RUN.K a=N what=output step=N fd=1|2 data=…`.
final class NoteSink: OutputSink {
    private let write: ([UInt8]) -> Void

    // Each byte may become three, and the line has other fields.
    private static let largest = 5000

    init(_ write: @escaping ([UInt8]) -> Void) { self.write = write }

    func take(_ bytes: ArraySlice<UInt8>, of attempt: Attempt, step: Int, fd: Int) {
        var rest = bytes
        while !rest.isEmpty {
            let part = rest.prefix(Self.largest)
            rest = rest.dropFirst(part.count)
            var line = LineBuilder("note", attempt.job.ref, attempt: attempt.job.attempt)
            line.field("what", "output")
            line.field("step", step)
            line.field("fd", fd)
            line.field("data", raw: part)
            write(line.bytes)
        }
    }
}

/// Output as it is, to taskrun's own standard output and error.
final class RawSink: OutputSink {
    private let also: NoteSink?

    init(also: NoteSink?) { self.also = also }

    func take(_ bytes: ArraySlice<UInt8>, of attempt: Attempt, step: Int, fd: Int) {
        also?.take(bytes, of: attempt, step: step, fd: fd)
        // A check's words are about the task, not its result.
        let target: Int32 = step == 0 && fd == 1 ? 1 : 2
        try? File.writeAll(Array(bytes), to: target)
    }
}

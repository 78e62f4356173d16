// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage

/// A place for one attempt at a time, with two pipes that live as long as the attempt: a task may have
/// changed their flags, or given an end to somebody who outlives it.
final class Slot {
    let index: Int
    let out: Capture
    let err: Capture
    /// A descriptor of /dev/null, for reading and writing.
    let null: Int32
    /// A descriptor of the root directory.
    let root: Int32
    var attempt: Attempt?
    /// Whether the executor looks at it each turn.
    var isAttended = false
    /// taskrun's own peak of resident memory as far as it is known, bytes.
    var ownPeak: Int64 = 0

    init(index: Int, null: Int32, root: Int32) {
        self.index = index
        self.null = null
        self.root = root
        out = Capture(fd: 1)
        err = Capture(fd: 2)
    }

    /// Makes the pipes of an attempt.
    func open(in loop: EventLoop) throws(Errno) {
        for capture in [out, err] { try capture.open() }
        try watch(in: loop)
    }

    private func watch(in loop: EventLoop) throws(Errno) {
        for capture in [out, err] {
            capture.token = try loop.add(capture.reading, .readable) { _ in
                self.read(capture, in: loop)
            }
        }
        isReading = true
    }

    // An attempt that sleeps is not looked at: where the log is full, this is when it is seen.
    private func read(_ capture: Capture, in loop: EventLoop) {
        if let attempt, attempt.job.owner.sink.isFull {
            setReading(false, in: loop)
            return attempt.executor.attend(self)
        }
        capture.drain(to: attempt, all: false)
    }

    /// Closes them; who still writes gets EPIPE.
    func close(in loop: EventLoop) {
        for capture in [out, err] {
            if let token = capture.token { loop.remove(token) }
            capture.close()
        }
    }

    /// Goes on with pipes of an attempt that an earlier program opened.
    func resume(
        out outEnds: (read: Int32, write: Int32), err errEnds: (read: Int32, write: Int32),
        in loop: EventLoop
    ) throws(Errno) {
        out.resume(outEnds)
        err.resume(errEnds)
        try watch(in: loop)
    }

    private(set) var isReading = true

    /// Stops or continues reading, as when the log is full: then the tasks wait in their writes.
    func setReading(_ isOn: Bool, in loop: EventLoop) {
        if isOn == isReading { return }
        isReading = isOn
        for capture in [out, err] {
            if let token = capture.token { try? loop.modify(token, isOn ? .readable : []) }
        }
    }

    /// Takes what a step has left in the pipes, so that what follows belongs to the next one.
    func drain() {
        out.drain(to: attempt, all: true)
        err.drain(to: attempt, all: true)
    }
}

/// One captured stream of a slot.
final class Capture {
    /// 1 or 2, as the task sees it.
    let fd: Int
    private var ends: (read: OpenFile, write: OpenFile)?
    var token: WatchToken?

    // A pipe holds 64 KiB; most tasks write little, so the buffer begins small.
    private static let size = 64 * 1024
    private var buffer: [UInt8] = []

    init(fd: Int) { self.fd = fd }

    /// The ends of the pipe; -1 while there is none.
    var reading: Int32 { ends?.read.number ?? -1 }
    var writing: Int32 { ends?.write.number ?? -1 }

    func open() throws(Errno) {
        let pipe = try Pipe.make()
        ends = (
            OpenFile(Descriptor(owning: pipe.read)), OpenFile(Descriptor(owning: pipe.write))
        )
    }

    func resume(_ open: (read: Int32, write: Int32)) {
        ends = (
            OpenFile(Descriptor(owning: open.read)), OpenFile(Descriptor(owning: open.write))
        )
    }

    func close() {
        token = nil
        ends = nil
    }

    /// Reads what is there and hands it to the attempt; bytes that nobody owns are dropped.
    ///
    /// - Parameter all: as much as waits now, not until the pipe is empty: a process that escaped
    ///   may write for ever.
    func drain(to attempt: Attempt?, all: Bool) {
        if buffer.isEmpty { buffer = [UInt8](repeating: 0, count: 4096) }
        // Not the usual size of a pipe: the task may have made its own larger (F_SETPIPE_SZ).
        var left = all ? (try? Pipe.waiting(in: reading)) ?? 0 : 1
        while left > 0 {
            let got: Int
            do throws(Errno) {
                got = try File.read(reading, into: &buffer)
            } catch {
                return
            }
            if got == 0 { return }
            attempt?.capture(buffer[..<got], fd: fd)
            left -= got
            let isFull = got == buffer.count
            if isFull, buffer.count < Self.size {
                buffer = [UInt8](repeating: 0, count: Self.size)
            }
            if !isFull, !all { return }
        }
    }
}

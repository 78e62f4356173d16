// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage

/// Why a program's answer is not to be used.
struct CallFailure: Error {
    var sentence: String
}

/// Runs a provider's or the ledger's program for one answer.
struct ProgramCall {
    /// Bytes of an answer.
    static let longest = 16 << 20

    private let path: String
    private let arguments: [String]
    /// After that the program and its children are killed, in microseconds.
    private let time: Int64
    private var what: String { ([path] + arguments.prefix(3)).joined(separator: " ") }

    init(_ path: String, _ arguments: [String], time: Int64) {
        self.time = time
        self.path = path
        self.arguments = arguments
    }

    /// What the program printed, whole: of one that fails, hangs or says too much nothing is used. Its
    /// standard error is ours.
    func answer() throws(CallFailure) -> [UInt8] {
        do {
            return try run()
        } catch let failure as CallFailure {
            throw failure
        } catch {
            throw CallFailure(sentence: "unable to run \(what): \(error)")
        }
    }

    private func run() throws -> [UInt8] {
        let ends = try Pipe.makeBlocking()
        let reading = Descriptor(owning: ends.read)
        let writing = Descriptor(owning: ends.write)
        let child = try start(output: writing.number)
        try writing.close()
        let answer: [UInt8]
        do {
            answer = try collect(reading.number, child)
        } catch {
            child.killGroup()
            _ = try? wait(child, until: Clock.boot() + 1_000_000)
            throw error
        }
        try judge(try wait(child, until: Clock.boot() + 1_000_000))
        return answer
    }

    private func start(output: Int32) throws -> Child {
        let null = try File.open("/dev/null")
        var options = SpawnOptions()
        options.standardInput = null.number
        options.standardOutput = output
        options.newGroup = true
        options.diesWithParent = true
        let program = Program(
            path: path, arguments: [path] + arguments, environment: Caller.environment())
        do {
            return try Child.start(program, options)
        } catch {
            throw CallFailure(sentence: "unable to start \(path): \(error.errno)")
        }
    }

    /// All that is printed until the program ends; what a process that it left behind has still open is
    /// not waited for.
    private func collect(_ output: Int32, _ child: borrowing Child) throws -> [UInt8] {
        let until = Clock.boot() + time
        let loop = try EventLoop()
        var isReadable = false
        var hasEnded = false
        let reading = try loop.add(output, .readable) { _ in isReadable = true }
        _ = try loop.add(child.pidfd.number, .readable) { _ in hasEnded = true }
        var answer: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65_536)
        while true {
            isReadable = false
            try loop.turn(until: until)
            if isReadable {
                let count = try File.read(output, into: &part)
                if count == 0 { loop.remove(reading) }
                answer += part.prefix(count)
            } else if hasEnded {
                return answer
            }
            guard answer.count <= Self.longest else {
                throw CallFailure(sentence: "\(what) said more than \(Self.longest) bytes")
            }
            guard Clock.boot() < until else {
                throw CallFailure(
                    sentence:
                        "\(what) gave no answer in \(time / 1_000_000).\(time / 100_000 % 10) s, it "
                        + "was killed")
            }
        }
    }

    private func wait(_ child: borrowing Child, until deadline: Int64) throws -> ProcessEnd {
        let loop = try EventLoop()
        _ = try loop.add(child.pidfd.number, .readable) { _ in }
        while Clock.boot() < deadline {
            if let end = try child.ended() { return end }
            try loop.turn(until: deadline)
        }
        throw CallFailure(sentence: "\(what) does not end")
    }

    private func judge(_ end: ProcessEnd) throws {
        switch (end.exitCode, end.signal) {
        case (0?, _): return
        case (75?, _): throw CallFailure(sentence: "\(what) says to try later (75)")
        case (let status?, _): throw CallFailure(sentence: "\(what) failed with status \(status)")
        case (_, let signal?): throw CallFailure(sentence: "\(what) was ended by signal \(signal)")
        default: throw CallFailure(sentence: "\(what) ended in an unknown way")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import Testing

@Suite(.serialized) struct LinuxTests {
    @Test func crcMatchesRFC3720() {
        let zeros = [UInt8](repeating: 0, count: 32)
        #expect(Checksum.crc32c(zeros[...]) == 0x8a91_36aa)
        let rising = (0..<32).map { UInt8($0) }
        #expect(Checksum.crc32c(rising[...]) == 0x46dd_794e)
        let first = Checksum.crc32c(rising[..<7])
        #expect(Checksum.crc32c(rising[7...], continuing: first) == 0x46dd_794e)
    }

    @Test func aWallTimerFiresAtItsTimeAndNotBefore() throws {
        let timer = try WallTimer()
        let loop = try EventLoop()
        var fired: Int64?
        _ = try loop.add(timer.number, .readable) { _ in
            timer.clear()
            fired = Clock.real()
        }
        try timer.set(nil)
        #expect(try loop.turn(until: Clock.boot()) == 0)
        let due = Clock.real() + 20_000
        try timer.set(due)
        let end = Clock.boot() + 5_000_000
        while fired == nil, Clock.boot() < end { try loop.turn(until: end) }
        #expect(fired.map { $0 >= due } == true)
        #expect(try loop.turn(until: Clock.boot()) == 0, "it is cleared")
        try timer.set(due)
        #expect(try loop.turn(until: end) == 1, "a time that has passed is now")
    }

    @Test func childEndsWithItsStatus() throws {
        let program = Program(
            path: "/bin/sh", arguments: ["sh", "-c", "exit 7"], environment: [])
        let child = try Child.start(program, SpawnOptions())
        #expect(try waitFor(child).exitCode == 7)
    }

    @Test func missingProgramNamesStepAndErrno() throws {
        let program = Program(path: "/nonexistent", arguments: ["x"], environment: [])
        let expected = SpawnError(step: .execute, errno: .noSuchFileOrDirectory)
        #expect(throws: expected) { _ = try Child.start(program, SpawnOptions()).pid }
    }

    @Test func outputGoesToTheGivenDescriptor() throws {
        let pipe = try Pipe.make()
        let reader = Descriptor(owning: pipe.read)
        let writer = Descriptor(owning: pipe.write)
        var options = SpawnOptions()
        options.standardOutput = writer.number
        let program = Program(
            path: "/bin/sh", arguments: ["sh", "-c", "echo hi; kill -9 $$"], environment: [])
        let child = try Child.start(program, options)
        #expect(try waitFor(child).signal == SIGKILL)
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = try File.read(reader.number, into: &bytes)
        #expect(String(decoding: bytes[..<count], as: UTF8.self) == "hi\n")
    }

    @Test func addedVariablesComeFirst() throws {
        let shared = Program(
            path: "/usr/bin/env", arguments: ["env"], environment: ["A=1", "B="])
        let program = Program(shared, adding: Array("X=y z\0Y=\0".utf8))
        let text = try output(of: program, SpawnOptions())
        #expect(text == "X=y z\nY=\nA=1\nB=\n")
        #expect(try output(of: Program(shared, adding: []), SpawnOptions()) == "A=1\nB=\n")
    }

    @Test func aGroupOfItsOwnIsKilledAsOne() throws {
        var options = SpawnOptions()
        options.newGroup = true
        let program = Program(
            path: "/bin/sh", arguments: ["sh", "-c", "sleep 300 & wait"], environment: [])
        let child = try Child.start(program, options)
        #expect(getpgid(child.pid) == child.pid)
        #expect(getsid(child.pid) == getsid(0))
        child.killGroup()
        #expect(try waitFor(child).signal == SIGKILL)
    }

    @Test func itsOwnLimitOfDescriptorsIsLowered() throws {
        let program = Program(
            path: "/bin/sh", arguments: ["sh", "-c", "ulimit -Sn; ulimit -Hn"], environment: [])
        let own = try output(of: program, SpawnOptions()).split(separator: "\n")
        var options = SpawnOptions()
        options.openFiles = 99
        #expect(try output(of: program, options) == "99\n\(own[1])\n")
        options.openFiles = .max
        #expect(try output(of: program, options) == "\(own[0])\n\(own[1])\n", "never raised")
    }

    @Test func roomForDescriptorsIsKnown() throws {
        #expect(OpenFiles.hasRoom(for: 10))
        #expect(!OpenFiles.hasRoom(for: Int(Int32.max)))
    }

    /// What a program writes, at most a pipe's length.
    private func output(of program: Program, _ options: SpawnOptions) throws -> String {
        let pipe = try Pipe.make()
        let reader = Descriptor(owning: pipe.read)
        let writer = Descriptor(owning: pipe.write)
        var options = options
        options.standardOutput = writer.number
        let child = try Child.start(program, options)
        #expect(try waitFor(child).exitCode == 0)
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = try File.read(reader.number, into: &bytes)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    @Test func manyAreSyncedAndTheFirstThatFailsIsNamed() throws {
        var all: [Int32] = []
        defer { for number in all { _ = Descriptor(owning: number) } }
        for _ in 0..<100 {
            all.append(try SealedMemory.make([1], name: "test").release())
        }
        #expect(File.syncAll(all) == nil)
        #expect(File.syncAll([]) == nil)
        let pipe = try Pipe.make()
        all.insert(pipe.read, at: 40)
        all.insert(pipe.write, at: 70)
        let failed = try #require(File.syncAll(all))
        #expect(failed.index == 40 && failed.error == .invalidArgument)
    }

    @Test func forgottenCodeRunsAgain() async {
        await #expect(processExitsWith: .success) {
            let written = (0..<1000).map { "line \($0)" }
            let before = try #require(Self.residentFile())
            Memory.forgetStart()
            let after = try #require(Self.residentFile())
            #expect(after < before)
            #expect(written == (0..<1000).map { "line \($0)" })
            #expect(throws: Errno.noSuchFileOrDirectory) { _ = try File.open("/nowhere/at/all") }
        }
    }

    /// Resident pages that come from files, kB (proc_pid_status(5)).
    private static func residentFile() -> Int? {
        var bytes = [UInt8](repeating: 0, count: 8192)
        guard let file = try? File.open("/proc/self/status"),
            let count = try? File.read(file.number, into: &bytes)
        else { return nil }
        let lines = String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n")
        let line = lines.first { $0.hasPrefix("RssFile:") }
        return line.flatMap { Int($0.dropFirst(8).filter(\.isNumber)) }
    }

    @Test func whatIsClosedAsideIsClosed() throws {
        let loop = try EventLoop()
        let aside = AsideCloser(loop)
        var peers: [Int32] = []
        for _ in 0..<100 {
            let pair = try MessageSocket.pair()
            peers.append(pair.first)
            aside.close([pair.second])
        }
        let end = Clock.boot() + 20_000_000
        while !aside.isIdle, Clock.boot() < end { try loop.turn(until: end) }
        #expect(aside.isIdle)
        var buffer = [UInt8](repeating: 0, count: 1)
        for number in peers {
            let peer = Descriptor(owning: number)
            guard case .closed = try MessageSocket.receive(from: peer.number, into: &buffer) else {
                Issue.record("\(number) is not closed")
                continue
            }
        }
    }

    /// Linux tells a peer's close with unread messages (ECONNRESET) before what the peer had sent.
    @Test func whatAPeerSentIsReceivedThoughItDidNotReadAll() throws {
        let pair = try MessageSocket.pair()
        let first = Descriptor(owning: pair.first)
        do {
            let second = Descriptor(owning: pair.second)
            #expect(try MessageSocket.send([1], to: first.number))
            #expect(try MessageSocket.send([2, 3], to: second.number))
        }
        var buffer = [UInt8](repeating: 0, count: 16)
        guard case .message(2, _) = try MessageSocket.receive(from: first.number, into: &buffer)
        else {
            Issue.record("the message is lost")
            return
        }
        guard case .closed = try MessageSocket.receive(from: first.number, into: &buffer) else {
            Issue.record("it is not closed")
            return
        }
    }

    @Test func messagesCarryOneDescriptor() throws {
        let pair = try MessageSocket.pair()
        let first = Descriptor(owning: pair.first)
        let second = Descriptor(owning: pair.second)
        let memory = try SealedMemory.make(Array("sealed".utf8), name: "test")
        #expect(
            try MessageSocket.send([1, 2, 3], to: first.number, passing: memory.number))
        var buffer = [UInt8](repeating: 0, count: 64)
        switch try MessageSocket.receive(from: second.number, into: &buffer) {
        case .message(let count, let descriptors):
            #expect(count == 3)
            let received = Descriptor(owning: try #require(descriptors.first))
            let bytes = try #require(try SealedMemory.read(received.number, limit: 100))
            #expect(String(decoding: bytes, as: UTF8.self) == "sealed")
            #expect(try SealedMemory.read(received.number, limit: 3) == nil)
        case .nothing:
            Issue.record("no message came")
        case .tooLong, .closed:
            Issue.record("the socket was closed")
        }
    }

    @Test func removedWatchesAreSilent() throws {
        let loop = try EventLoop()
        let pipe = try Pipe.make()
        let reader = Descriptor(owning: pipe.read)
        let writer = Descriptor(owning: pipe.write)
        var count = 0
        let token = try loop.add(reader.number, .readable) { _ in count += 1 }
        #expect(try File.write([1], to: writer.number) == 1)
        try loop.turn(until: Clock.boot() + 1_000_000)
        #expect(count == 1)
        loop.remove(token)
        try loop.turn(until: Clock.boot())
        #expect(count == 1 && loop.watched == 0)
    }

    @Test func leaseIsRefusedWhileSomebodyWrites() throws {
        SignalSource.block(SIGIO)
        var template = Array("/tmp/linux-test-XXXXXX".utf8CString)
        let writer = Descriptor(owning: mkstemp(&template))
        let path = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { Glibc.unlink(path) }
        let reader = try File.open(path)
        #expect(try File.tryReadLease(reader.number) == false)
        try writer.close()
        #expect(try File.tryReadLease(reader.number))
        try File.releaseLease(reader.number)
    }

    private func waitFor(_ child: borrowing Child) throws -> ProcessEnd {
        let loop = try EventLoop()
        let token = try loop.add(child.pidfd.number, .readable) { _ in }
        defer { loop.remove(token) }
        let deadline = Clock.boot() + 10_000_000
        while Clock.boot() < deadline {
            try loop.turn(until: deadline)
            if let end = try child.ended() { return end }
        }
        throw Errno.timedOut
    }
}

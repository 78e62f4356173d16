// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskLedger
import TaskTool

/// `outgoing/` of a spool: who links it, and the file `session`.
final class SessionFile {
    private let outgoing: Descriptor
    private let lock: Descriptor
    /// The directory's descriptor, for as long as this lives.
    var number: Int32 { outgoing.number }
    private static let name = "session"
    private static let temporary = ".session.new"

    /// Makes `outgoing/` where it is not, and takes it.
    ///
    /// - Throws: a ToolError; 73 where another tasklink has it.
    init(spool: Int32, path: String) throws(ToolError) {
        outgoing = try Self.directory(spool, path)
        lock = try Self.lock(outgoing.number, path)
    }

    private static func directory(_ spool: Int32, _ path: String) throws(ToolError) -> Descriptor {
        do throws(Errno) {
            do throws(Errno) {
                try File.makeDirectory("outgoing", at: spool)
            } catch .fileExists {
            }
            return try File.openBeneath("outgoing", at: spool, flags: .directory)
        } catch {
            throw ToolError(
                unableTo: "use", "\(path)/outgoing", error, "tasklink does not start")
        }
    }

    private static func lock(_ outgoing: Int32, _ path: String) throws(ToolError) -> Descriptor {
        do throws(Errno) {
            let lock = try File.open(
                "lock", at: outgoing, flags: [.readWrite, .create, .noFollow])
            if try File.tryLock(lock.number) { return lock }
        } catch {
            throw ToolError(
                unableTo: "lock", "\(path)/outgoing", error, "tasklink does not start")
        }
        throw ToolError(
            "spool \(path) is linked by another process: one tasklink a spool", status: 73)
    }

    /// What is known of the session; a spool without one gets an id.
    func load(boot: UUID) throws(ToolError) -> Session {
        do {
            let file = try File.open(Self.name, at: outgoing.number, flags: .noFollow)
            guard let bytes = try File.readAll(file.number, limit: 4096),
                let session = Session(bytes)
            else {
                throw ToolError(
                    "unable to read outgoing/session: it is not what tasklink wrote, nothing is shipped; "
                        + "remove it, and the journal is shipped again under another id",
                    status: ExitStatus.ioError)
            }
            return session
        } catch Errno.noSuchFileOrDirectory {
            return Session(spool: .random(), boot: boot)
        } catch let error as ToolError {
            throw error
        } catch {
            throw ToolError(
                unableTo: "read", "outgoing/session", (error as? Errno) ?? .ioError,
                "nothing is shipped", status: ExitStatus.ioError)
        }
    }

    /// Durable when it returns.
    func save(_ session: Session) throws(Errno) {
        let file = try File.open(
            Self.temporary, at: outgoing.number, flags: [.writeOnly, .create, .truncate])
        try File.writeAll(session.bytes, to: file.number)
        try File.sync(file.number)
        try file.close()
        try File.rename(
            Self.temporary, at: outgoing.number, to: Self.name, at: outgoing.number)
        try File.sync(outgoing.number)
    }

    // MARK: What was read

    private static let memory = "read"
    private static let mostMemory = 256 << 20

    /// What an earlier process had read; nil where there is none that can be used: then all is read again.
    func loadMemory() -> TailMemory? {
        guard let file = try? File.open(Self.memory, at: outgoing.number, flags: .noFollow),
            let bytes = try? File.readAll(file.number, limit: Self.mostMemory)
        else { return nil }
        return TailMemory(bytes)
    }

    /// Not synced: its digest tells what a power failure left of it, and the journal has all that it says.
    func save(_ memory: TailMemory) throws(Errno) {
        let name = ".\(Self.memory).new"
        let file = try File.open(
            name, at: outgoing.number, flags: [.writeOnly, .create, .truncate])
        try File.writeAll(memory.bytes, to: file.number)
        try file.close()
        try File.rename(name, at: outgoing.number, to: Self.memory, at: outgoing.number)
    }
}

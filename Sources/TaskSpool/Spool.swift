// SPDX-License-Identifier: Apache-2.0
import Linux
public import SystemPackage
import TaskModel

/// A spool on disk, held by descriptors: a rename of the tree above changes nothing.
///
/// Every operation is one system call on a name beneath one of its directories.
public final class Spool {
    /// What the `version` file says; a spool of another version is refused.
    public static let version = "taskspool 1\n"

    /// The path as it was given, for messages only.
    public let path: String
    private let root: Handle
    private let directories: [Handle]
    /// The user that owns the spool and its tasks.
    public let owner: UInt32

    private final class Handle {
        let descriptor: Descriptor
        init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    }

    /// Opens a spool, and makes it first where `creating` and nothing is there.
    ///
    /// Refuses directories on another file system than the root (a rename would fail), of another
    /// owner, or that others may enter.
    public init(path: String, creating: Bool = false) throws(SpoolError) {
        self.path = path
        if creating { try Self.create(path) }
        root = try Self.attempt("open spool \(path)") { () throws(Errno) in
            Handle(try File.openDirectory(path))
        }
        let number = root.descriptor.number
        let status = try Self.attempt("open spool \(path)") { () throws(Errno) in
            try File.status(of: number)
        }
        owner = status.uid
        try Self.checkVersion(number, path)
        directories = try Self.openAll(number, path, status)
    }

    private static func attempt<T>(
        _ what: String, _ body: () throws(Errno) -> T
    ) throws(SpoolError) -> T {
        do { return try body() } catch { throw SpoolError(what, error) }
    }

    /// The descriptor of a directory, for as long as the spool lives.
    public func number(_ directory: SpoolDirectory) -> Int32 {
        directories[directory.index].descriptor.number
    }

    /// The descriptor of the spool itself.
    public var rootNumber: Int32 { root.descriptor.number }

    private static func openAll(
        _ root: Int32, _ path: String, _ status: File.Status
    ) throws(SpoolError) -> [Handle] {
        var handles: [Handle] = []
        for directory in SpoolDirectory.allCases {
            let name = "\(path)/\(directory.rawValue)"
            do {
                let descriptor = try File.openBeneath(
                    directory.rawValue, at: root, flags: .directory)
                let found = try File.status(of: descriptor.number)
                if found.device != status.device || isMounted(descriptor.number, root) {
                    throw SpoolError(
                        "use \(name)",
                        "it is on another file system than the spool, and runs move by rename")
                }
                try check(found, directory, name, owner: status.uid)
                handles.append(Handle(descriptor))
            } catch let error as Errno {
                throw SpoolError("open \(name)", error)
            } catch let error as SpoolError {
                throw error
            } catch {
                throw SpoolError("open \(name)", "\(error)")
            }
        }
        return handles
    }

    private static func checkVersion(_ root: Int32, _ path: String) throws(SpoolError) {
        let found: [UInt8]?
        do {
            let file = try File.openBeneath("version", at: root)
            found = try File.readAll(file.number, limit: 256)
        } catch {
            throw SpoolError(
                "read \(path)/version", "\(error.description); this is no spool of ours")
        }
        if found != Array(version.utf8) {
            let text = String(decoding: found ?? [], as: UTF8.self)
            throw SpoolError(
                "use spool \(path)", "its version is \(text.debugDescription), not taskspool 1")
        }
    }

    /// Makes what is missing. `version` comes last: a half-made spool is completed next time.
    private static func create(_ path: String) throws(SpoolError) {
        if let status = try? File.status(path, following: true) {
            if status.uid != Caller.uid {
                throw SpoolError(
                    "use spool \(path)",
                    "it belongs to uid \(status.uid), not to uid \(Caller.uid)")
            }
            if status.mode & 0o002 != 0 {
                throw SpoolError(
                    "use spool \(path)",
                    "others may write in it; `chmod o-w \(path)` if it is yours")
            }
        }
        do {
            try makeParents(path)
            let root = try File.openDirectory(path)
            for directory in SpoolDirectory.allCases {
                try makeIfAbsent(directory.rawValue, at: root.number, mode: directory.mode)
            }
            if (try? File.status("version", at: root.number)) == nil {
                let file = try File.open(
                    "version.new", at: root.number, flags: [.writeOnly, .create, .truncate])
                try File.writeAll(Array(version.utf8), to: file.number)
                try File.sync(file.number)
                try File.rename("version.new", at: root.number, to: "version", at: root.number)
                try File.sync(root.number)
            }
        } catch {
            throw SpoolError("make spool \(path)", error)
        }
    }

    private static func makeParents(_ path: String) throws(Errno) {
        var prefix = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            prefix += prefix.isEmpty || prefix.hasSuffix("/") ? String(part) : "/\(part)"
            try makeIfAbsent(prefix, at: File.here, mode: 0o700)
        }
    }

    private static func makeIfAbsent(
        _ name: String, at directory: Int32, mode: UInt32
    ) throws(Errno) {
        do {
            try File.makeDirectory(name, at: directory, mode: mode)
        } catch Errno.fileExists {
            return
        } catch {
            // mkdir of an existing directory on a read-only or foreign parent says so instead.
            if let status = try? File.status(name, at: directory, following: true),
                status.isDirectory
            {
                return
            }
            throw error
        }
    }
}

// MARK: - Names

extension Spool {
    /// Moves a name between two directories; what had the new name is replaced.
    public func move(
        _ name: String, _ from: SpoolDirectory, to newName: String, _ to: SpoolDirectory
    ) throws(Errno) {
        try File.rename(name, at: number(from), to: newName, at: number(to))
    }

    /// Moves a name, and fails with `.fileExists` rather than replace.
    public func moveNew(
        _ name: String, _ from: SpoolDirectory, to newName: String, _ to: SpoolDirectory
    ) throws(Errno) {
        try File.renameNew(name, at: number(from), to: newName, at: number(to))
    }

    /// Puts a file in the place of another, which must be there, and removes that.
    public func replace(
        _ name: String, _ directory: SpoolDirectory, by other: String, _ from: SpoolDirectory
    ) throws(Errno) {
        do {
            try File.exchange(other, at: number(from), with: name, at: number(directory))
        } catch Errno.invalidArgument {
            return try move(other, from, to: name, directory)
        }
        try remove(other, from)
    }

    /// Writes a plan's bytes, which the cache still has, into another file that takes its place: fsync(2)
    /// of one on which it has failed says that all is well, and the bytes are not on disk.
    public func rewrite(
        _ name: String, _ directory: SpoolDirectory, by other: String
    ) throws(Errno) {
        guard let bytes = try read(name, directory, limit: Self.longestPlan),
            (try? Plan(parsing: bytes)) != nil
        else { throw .ioError }
        try write(bytes, to: other, .tmp, durable: true)
        try replace(name, directory, by: other, .tmp)
    }

    public func remove(_ name: String, _ directory: SpoolDirectory) throws(Errno) {
        try File.unlink(name, at: number(directory))
    }

    public func exists(_ name: String, _ directory: SpoolDirectory) -> Bool {
        (try? File.status(name, at: number(directory))) != nil
    }

    /// As `exists`, and tells a name that is not there from one that can't be seen.
    public func has(_ name: String, _ directory: SpoolDirectory) throws(Errno) -> Bool {
        do {
            _ = try File.status(name, at: number(directory))
            return true
        } catch Errno.noSuchFileOrDirectory {
            return false
        }
    }

    /// Renames and unlinks in the directory before this call survive a power failure.
    public func sync(_ directory: SpoolDirectory) throws(Errno) {
        try File.sync(number(directory))
    }

    /// Writes a new file; with `durable` its bytes are on disk when this returns.
    public func write(
        _ bytes: [UInt8], to name: String, _ directory: SpoolDirectory, durable: Bool
    ) throws(Errno) {
        let file = try File.open(
            name, at: number(directory), flags: [.writeOnly, .create, .truncate])
        try File.writeAll(bytes, to: file.number)
        if durable { try File.sync(file.number) }
        try file.close()
    }

    /// The bytes of a file that is there already reach the disk.
    public func syncFile(_ name: String, _ directory: SpoolDirectory) throws(Errno) {
        let file = try File.openBeneath(name, at: number(directory))
        try File.sync(file.number)
    }

    /// Sets a file's modification time, in microseconds since 1970.
    public func setModified(
        _ name: String, _ directory: SpoolDirectory, to microseconds: Int64
    ) throws(Errno) {
        let file = try File.openBeneath(name, at: number(directory))
        try File.setModified(file.number, to: microseconds)
    }

    /// A file's bytes; nil when it is longer than the limit. Follows no link.
    public func read(
        _ name: String, _ directory: SpoolDirectory, limit: Int
    ) throws(Errno) -> [UInt8]? {
        let file = try File.openBeneath(
            name, at: number(directory), flags: [.noFollow, .nonBlocking])
        return try File.readAll(file.number, limit: limit)
    }

    /// Replaces a file of the spool itself (`checkpoint`): durable when this returns.
    public func publish(_ bytes: [UInt8], as name: String) throws(Errno) {
        let temporary = "\(name).new"
        do {
            try write(bytes, to: temporary, .tmp, durable: true)
            try File.rename(temporary, at: number(.tmp), to: name, at: rootNumber)
        } catch {
            try? remove(temporary, .tmp)
            throw error
        }
        try File.sync(rootNumber)
    }

    /// A file of the spool itself; nil where there is none, or it is longer than the limit.
    public func readPublished(_ name: String, limit: Int) throws(Errno) -> [UInt8]? {
        do {
            let file = try File.openBeneath(name, at: rootNumber, flags: .noFollow)
            return try File.readAll(file.number, limit: limit)
        } catch Errno.noSuchFileOrDirectory {
            return nil
        }
    }

    /// Calls the body with each name of a directory.
    public func names(
        in directory: SpoolDirectory, _ body: ([UInt8]) throws(Errno) -> Void
    ) throws(Errno) {
        let stream = try DirectoryStream(".", at: number(directory))
        while let name = try stream.next() { try body(name) }
    }
}

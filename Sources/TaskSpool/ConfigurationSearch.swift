// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
public import TaskUnit

/// The files of task.conf(5) on disk, in the order in which they are read.
///
/// They are read only from regular files of root or the owner that others cannot write, as definitions
/// are: who may change one decides how the owner's tasks run.
public struct ConfigurationSearch {
    /// The directories that hold a `task.conf` and a `task.conf.d`; later ones win.
    public let directories: [String]
    /// Whose files count beside root's.
    private let owner: UInt32

    /// - Parameter owner: the spool's owner.
    public init(directories: [String], owner: UInt32) {
        self.directories = directories
        self.owner = owner
    }

    /// `/etc/task`, then `$XDG_CONFIG_HOME/task`, by default `~/.config/task`.
    public init(owner: UInt32) {
        let own =
            Caller.environment("XDG_CONFIG_HOME").flatMap { $0.hasPrefix("/") ? $0 : nil }
            ?? Caller.home.map { "\($0)/.config" }
        self.init(directories: ["/etc/task"] + (own.map { ["\($0)/task"] } ?? []), owner: owner)
    }

    /// All that the files say, and all that is wrong with them; where there are none, the defaults.
    public func read() -> (configuration: Configuration, problems: [Diagnostic]) {
        var files: [UnitFile] = []
        var unread: [Diagnostic] = []
        for path in paths(&unread) {
            do throws(Refusal) {
                if let bytes = try read(path) { files.append(UnitFile(file: path, bytes: bytes)) }
            } catch {
                unread.append(
                    Diagnostic(.error, Place(file: path, line: 1), error.what, error.allowed))
            }
        }
        let (configuration, problems) = ConfigurationParser.parse(files)
        return (configuration, unread + problems)
    }

    private struct Refusal: Error {
        var what: String
        var allowed: String
    }

    private func paths(_ unread: inout [Diagnostic]) -> [String] {
        var paths: [String] = []
        for directory in directories {
            paths.append("\(directory)/task.conf")
            let place = "\(directory)/task.conf.d"
            do {
                paths += try names(in: place).map { "\(place)/\($0)" }
            } catch Errno.noSuchFileOrDirectory, Errno.notDirectory {
                continue
            } catch {
                unread.append(
                    Diagnostic(
                        .error, Place(file: place, line: 1), "\(error)",
                        "a directory that can be read"))
            }
        }
        return paths
    }

    private func names(in directory: String) throws(Errno) -> [String] {
        let stream = try DirectoryStream(directory, at: File.here)
        var names: [String] = []
        while let bytes = try stream.next() {
            let name = String(decoding: bytes, as: UTF8.self)
            if name.hasSuffix(".conf"), !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    /// nil where there is none.
    private func read(_ path: String) throws(Refusal) -> [UInt8]? {
        let bytes: [UInt8]?
        let size: Int64
        do {
            let file = try File.open(path, flags: .nonBlocking)
            let status = try File.status(of: file.number)
            if let refusal = refusal(status) { throw refusal }
            size = status.size
            bytes = try File.readAll(file.number, limit: UnitLimits.bytes)
        } catch let refusal as Refusal {
            throw refusal
        } catch Errno.noSuchFileOrDirectory, Errno.notDirectory {
            return nil
        } catch {
            throw Refusal(what: "\(error)", allowed: "a file that can be read")
        }
        guard let bytes else {
            throw Refusal(what: "\(size) bytes", allowed: "at most \(UnitLimits.bytes)")
        }
        return bytes
    }

    private func refusal(_ status: File.Status) -> Refusal? {
        guard status.isRegular else {
            return Refusal(what: "it is \(status.kind)", allowed: "a regular file")
        }
        if status.mode & 0o022 != 0 {
            return Refusal(
                what: "others may write it",
                allowed: "a file that only its owner may write: chmod go-w")
        }
        guard status.uid == 0 || status.uid == owner else {
            return Refusal(
                what: "it belongs to uid \(status.uid)",
                allowed: "a file of root or of uid \(owner)")
        }
        return nil
    }
}

// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Linux
import SystemPackage

/// Directories on a disk for the private files of jails, each under a project quota of its own: for
/// LimitDisk= that is more than half of LimitMem=, which a tmpfs is charged to.
///
/// Each attempt has a new directory and a new project, both called by the project's number. Its end
/// renames it to `NUMBER.gone`, in one call however much is in it; a child of low priority removes it
/// while others go on. A living taskrun holds flock(2) on its directories: those that nobody locks
/// were left by one that was killed.
final class QuotaPool {
    let path: String
    private let directory: Descriptor
    private var next = QuotaPool.first
    private var gone: [String] = []
    private var remover: Child?
    private var removing: [String] = []

    // Numbers of projects that an administrator hardly gives by hand (projid(5)).
    private static let first: UInt32 = 0x7461_0000
    private static let last: UInt32 = 0x7461_ffff
    private static let mostGone = 256

    /// Why a place can't be used.
    struct Refusal: Error { var reason: String }

    /// - Throws: what is wrong with the place.
    init(_ path: String) throws(Refusal) {
        self.path = path
        do throws(Errno) {
            directory = try File.openDirectory(path)
        } catch {
            throw Refusal(reason: "\(error)")
        }
        var status = stat()
        guard fstat(directory.number, &status) == 0, status.st_uid == 0, status.st_mode & 0o022 == 0
        else {
            throw Refusal(reason: "it must be root's and writable by nobody else")
        }
        let error = cl_quota_probe(directory.number)
        if error != 0 {
            throw Refusal(
                reason: "no project quota is in force there (\(String(cString: strerror(error)))): "
                    + "mount it with prjquota")
        }
        sweep()
    }

    /// A directory of one attempt.
    struct Place {
        let name: String
        let lock: Int32
    }

    /// Makes a directory of a project with these limits.
    ///
    /// - Returns: it, and a detached mount of it, which the caller closes.
    func take(bytes: UInt64, inodes: UInt64) throws(JailError) -> (place: Place, tree: Int32) {
        removeOn()
        if gone.count > Self.mostGone { throw problem("empty", "\(gone.count) wait to be removed") }
        let (name, project) = try makeDirectory()
        let lock = openat(
            directory.number, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard lock >= 0, flock(lock, LOCK_EX | LOCK_NB) == 0, cl_quota_project(lock, project) == 0,
            cl_quota_limit(lock, project, bytes, inodes) == 0
        else {
            let error = errno
            if lock >= 0 { close(lock) }
            unlinkat(directory.number, name, AT_REMOVEDIR)
            throw problem("limit", String(cString: strerror(error)))
        }
        let place = Place(name: name, lock: lock)
        let tree = cl_quota_tree(lock)
        if tree >= 0 { return (place, tree) }
        let error = errno
        give(place)
        throw problem("mount", String(cString: strerror(error)))
    }

    private func problem(_ verb: String, _ reason: String) -> JailError {
        JailError(.namespace, "unable to \(verb) a scratch directory in \(path): \(reason)")
    }

    private func makeDirectory() throws(JailError) -> (name: String, project: UInt32) {
        for _ in Self.first...Self.last {
            let project = next
            next = next == Self.last ? Self.first : next + 1
            let name = String(project)
            if faccessat(directory.number, name + ".gone", F_OK, AT_SYMLINK_NOFOLLOW) == 0 {
                continue
            }
            if mkdirat(directory.number, name, 0o755) == 0 { return (name, project) }
            if errno != EEXIST { break }
        }
        throw problem("make", String(cString: strerror(errno)))
    }

    /// The attempt is over: nothing of it writes there any more.
    func give(_ place: Place) {
        discard(place.name)
        close(place.lock)
        removeOn()
    }

    private func discard(_ name: String) {
        let new = name + ".gone"
        if renameat(directory.number, name, directory.number, new) == 0 { gone.append(new) }
    }

    // MARK: - Removal

    /// Takes the end of the child that removes, and starts the next where something waits.
    func removeOn() {
        if remover != nil {
            do throws(Errno) {
                guard try remover?.ended() != nil else { return }
            } catch {}  // somebody else has taken its status: it has ended
            remover = nil
            for name in removing {
                if let project = UInt32(name.prefix { $0.isNumber }) {
                    _ = cl_quota_limit(directory.number, project, 0, 0)
                }
            }
        }
        if gone.isEmpty { return }
        removing = Array(gone.prefix(64))
        gone.removeFirst(removing.count)
        remover = try? start(removing)
    }

    // rm(1) follows no link, however deep it goes; nobody is left who could put one in its way.
    private func start(_ names: [String]) throws -> Child {
        let null = try File.open("/dev/null", flags: .readWrite)
        var options = SpawnOptions()
        options.directory = directory.number
        options.standardInput = null.number
        options.standardOutput = null.number
        options.standardError = null.number
        options.newGroup = true
        options.nice = 19
        let program = Program(
            path: "/bin/rm", arguments: ["rm", "-rf", "--one-file-system", "--"] + names,
            environment: [])
        return try Child.start(program, options)
    }

    // What a taskrun that was killed left.
    private func sweep() {
        guard let stream = try? DirectoryStream(".", at: directory.number) else { return }
        var names: [String] = []
        while let bytes = try? stream.next() {
            names.append(String(decoding: bytes, as: UTF8.self))
        }
        for name in names {
            let number = name.prefix { $0.isNumber }
            guard let project = UInt32(number), (Self.first...Self.last).contains(project) else {
                continue
            }
            if name == number + ".gone" { gone.append(name) }
            guard name == number else { continue }
            let lock = openat(
                directory.number, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            if lock < 0 { continue }
            if flock(lock, LOCK_EX | LOCK_NB) == 0 { discard(name) }
            close(lock)
        }
        removeOn()
    }
}

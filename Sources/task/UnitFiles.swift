// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskPlan
import TaskTool
import TaskUnit

/// Finds units and the files beside them on disk: what the compiler, which is pure, asks for.
struct UnitFiles {
    /// Directories of the search path that every program has, after the spool's own units/.
    static let system = ["/etc/task/units", "/usr/local/lib/task/units", "/usr/lib/task/units"]

    /// The unit's own directory comes first; nil where definitions must stand on the search path.
    let own: String?
    /// Who wrote the unit that is compiled: its neighbours may be his.
    let author: UInt32
    private let searched: [String]

    init(own: String?, author: UInt32 = Caller.uid, spool: SpoolPath) {
        self.own = own
        self.author = author
        searched = ["\(spool.path)/units"] + Self.system
    }

    var directories: [String] { (own.map { [$0] } ?? []) + searched }

    var inputs: PlanInputs {
        PlanInputs(
            unit: { find($0) }, file: { file($1, in: $0, limit: $2) },
            places: directories.joined(separator: ", "))
    }

    /// A unit by its exact file name.
    func find(_ name: String) -> PlanInputs.UnitLookup {
        for directory in directories {
            let path = "\(directory)/\(name)"
            switch read(path, isOwn: directory == own) {
            case .absent: continue
            case .refused(let what, let allowed): return .refused(what: what, allowed: allowed)
            case .file(let file):
                switch dropIns(of: name) {
                case .failure(let refusal):
                    return .refused(what: refusal.what, allowed: refusal.allowed)
                case .success(let dropIns):
                    return .found(
                        UnitText(
                            name: name, main: file, dropIns: dropIns, directory: directory))
                }
            }
        }
        return .absent
    }

    private enum Found {
        case file(UnitFile)
        case absent
        case refused(what: String, allowed: String)
    }

    private func read(_ path: String, isOwn: Bool) -> Found {
        do {
            let descriptor = try File.open(path, flags: .nonBlocking)
            let status = try File.status(of: descriptor.number)
            if let refusal = refusal(path, status, isOwn: isOwn) { return refusal }
            guard let bytes = try File.readAll(descriptor.number, limit: UnitLimits.bytes) else {
                return .refused(
                    what: "\(path) has \(status.size) bytes",
                    allowed: "at most \(UnitLimits.bytes) in a unit")
            }
            return .file(UnitFile(file: path, bytes: bytes))
        } catch Errno.noSuchFileOrDirectory, Errno.notDirectory {
            return .absent
        } catch {
            return .refused(what: "\(path) can't be read: \(error)", allowed: "a readable file")
        }
    }

    // A definition that others may change would let them run what they like as the owner.
    private func refusal(_ path: String, _ status: File.Status, isOwn: Bool) -> Found? {
        guard status.isRegular else {
            return .refused(what: "\(path) is \(status.kind)", allowed: "a regular file")
        }
        let mayWrite: UInt32 = isOwn ? 0o002 : 0o022
        if status.mode & mayWrite != 0 {
            return .refused(
                what: "others may write \(path)",
                allowed: "a file that only its owner may change: "
                    + "chmod go-w it")
        }
        let owners = [0, Caller.uid] + (isOwn ? [author] : [])
        if !owners.contains(status.uid) {
            return .refused(
                what: "\(path) belongs to uid \(status.uid)",
                allowed: "a file of root or of uid \(Caller.uid)")
        }
        return nil
    }

    struct Refusal: Error {
        var what: String
        var allowed: String
    }

    /// `NAME.d/*.conf` of all directories, in the order of their names; of equal names the first
    /// directory's.
    func dropIns(of name: String) -> Result<[UnitFile], Refusal> {
        var files: [String: UnitFile] = [:]
        for directory in directories {
            let place = "\(directory)/\(name).d"
            guard let stream = try? DirectoryStream(place, at: File.here) else { continue }
            while let bytes = (try? stream.next()) ?? nil {
                let file = String(decoding: bytes, as: UTF8.self)
                guard file.hasSuffix(".conf"), files[file] == nil else { continue }
                switch read("\(place)/\(file)", isOwn: directory == own) {
                case .absent: continue
                case .file(let found): files[file] = found
                case .refused(let what, let allowed):
                    return .failure(Refusal(what: what, allowed: allowed))
                }
            }
        }
        return .success(files.sorted { $0.key < $1.key }.map(\.value))
    }

    /// A file that a task carries. The caller's own rights decide what may be read.
    private func file(_ path: String, in directory: String, limit: Int) -> PlanInputs.FileLookup {
        do {
            let descriptor = try File.open("\(directory)/\(path)", flags: .nonBlocking)
            let status = try File.status(of: descriptor.number)
            guard status.isRegular else { return .refused("it is \(status.kind)") }
            guard let bytes = try File.readAll(descriptor.number, limit: limit) else {
                return .tooLarge
            }
            return .found(bytes: bytes, mode: Int(status.mode & 0o777))
        } catch Errno.noSuchFileOrDirectory, Errno.notDirectory {
            return .absent
        } catch {
            return .refused("it can't be read: \(error)")
        }
    }
}

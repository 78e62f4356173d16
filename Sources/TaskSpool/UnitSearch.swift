// SPDX-License-Identifier: Apache-2.0
import Linux
public import SystemPackage
public import TaskPlan
public import TaskUnit

/// The search path on disk: what the compiler, which is pure, asks for.
///
/// Definitions are read only from regular files of root or the owner that others cannot write:
/// who may change a definition decides what runs as the owner. Files that travel are read beneath
/// the unit's directory, following no link.
public struct UnitSearch {
    /// The directories that every program has, after the unit's own and the spool's units/.
    public static let system = [
        "/etc/task/units", "/usr/local/lib/task/units", "/usr/lib/task/units",
    ]

    /// The directory of the unit itself; nil for a drop. Its group may write there.
    public let own: String?
    /// Whose files count beside root's.
    public let owner: UInt32
    /// Who wrote the root unit: its neighbours may be his.
    public let author: UInt32
    /// All directories, in the order in which they are looked at.
    public let directories: [String]
    private let index = DropInIndex()

    /// - Parameters:
    ///   - own: the absolute path of the directory that the root unit is in.
    ///   - units: the spool's units/, where there is a spool.
    ///   - author: who wrote the root unit; nil: the owner.
    public init(
        own: String?, units: String?, owner: UInt32, author: UInt32? = nil,
        system: [String] = UnitSearch.system
    ) {
        self.own = own
        self.owner = owner
        self.author = author ?? owner
        var seen: Set<String> = []
        directories = ([own, units].compactMap { $0 } + system).filter { seen.insert($0).inserted }
    }

    /// Directories may have got drop-ins since the last look: what is asked from now on sees them.
    /// Between two calls a directory is looked at once, whatever number of units is asked for.
    public func lookAgain() { index.lookAgain() }

    /// An error since the last call that says nothing about a definition: a shortage, or of the disk. What
    /// was compiled meanwhile may lack something.
    public func takeTrouble() -> Errno? {
        defer { index.trouble = nil }
        return index.trouble
    }

    /// The closures for `PlanCompiler`.
    public var inputs: PlanInputs {
        var inputs = PlanInputs(
            unit: { find($0) }, file: { Self.file($1, in: $0, limit: $2) },
            places: directories.joined(separator: ", "))
        inputs.hasZone = { ZoneSearch.rules(of: $0) != nil }
        return inputs
    }

    /// A unit by its exact file name, with its drop-ins: the first directory's that has it.
    public func find(_ name: String) -> PlanInputs.UnitLookup {
        for directory in directories {
            switch read("\(directory)/\(name)", in: directory) {
            case .absent: continue
            case .refused(let what, let allowed): return .refused(what: what, allowed: allowed)
            case .file(let file): return text(name, file, directory)
            }
        }
        return .absent
    }

    /// A unit that is installed in units/, with its drop-ins; an empty `NAME@INST.task` is that
    /// instance of its template.
    ///
    /// - Parameter units: the spool's units/.
    public func installed(_ name: String, in units: String) -> PlanInputs.UnitLookup {
        switch read("\(units)/\(name)", in: units) {
        case .absent: return .absent
        case .refused(let what, let allowed): return .refused(what: what, allowed: allowed)
        case .file(let file):
            guard file.bytes.isEmpty, let template = UnitText.template(of: name) else {
                return text(name, file, units)
            }
            guard case .found(var text) = find(template) else {
                return .refused(
                    what: "\(template) is nowhere", allowed: "a template in the search path")
            }
            text.name = name
            return .found(text)
        }
    }

    /// The text of a root: bytes that were read already, with the drop-ins for its name.
    public func text(
        _ name: String, _ file: UnitFile, _ directory: String?
    ) -> PlanInputs.UnitLookup {
        var text = UnitText(name: name, main: file, directory: directory)
        for drop in dropIns(name) {
            switch drop {
            case .absent: break
            case .refused(let what, let allowed): return .refused(what: what, allowed: allowed)
            case .file(let file): text.dropIns.append(file)
            }
        }
        return .found(text)
    }

    private enum Found {
        case file(UnitFile)
        case absent
        case refused(what: String, allowed: String)
    }

    private func read(_ path: String, in directory: String) -> Found {
        do {
            let descriptor = try File.open(path, flags: .nonBlocking)
            let status = try File.status(of: descriptor.number)
            if let refusal = refusal(path, status, isOwn: directory == own) { return refusal }
            guard let bytes = try File.readAll(descriptor.number, limit: UnitLimits.bytes) else {
                return .refused(
                    what: "\(path) has \(status.size) bytes",
                    allowed: "at most \(UnitLimits.bytes)")
            }
            return .file(UnitFile(file: path, bytes: bytes))
        } catch Errno.noSuchFileOrDirectory, Errno.notDirectory {
            return .absent
        } catch {
            index.note(error)
            return .refused(what: "\(path): \(error)", allowed: "a file that can be read")
        }
    }

    private func refusal(_ path: String, _ status: File.Status, isOwn: Bool) -> Found? {
        guard status.isRegular else {
            return .refused(what: "\(path) is \(status.kind)", allowed: "a regular file")
        }
        if status.mode & (isOwn ? 0o002 : 0o022) != 0 {
            return .refused(
                what: "others may write \(path)",
                allowed: "a file that only its owner may write: chmod go-w")
        }
        if status.uid != 0, status.uid != owner, !isOwn || status.uid != author {
            return .refused(
                what: "\(path) belongs to uid \(status.uid)",
                allowed: "a file of root or of uid \(isOwn ? author : owner)")
        }
        return nil
    }

    /// `NAME.d/*.conf` of all directories by their names; of equal names the first directory's.
    private func dropIns(_ name: String) -> [Found] {
        var files: [String: Found] = [:]
        for directory in directories {
            guard index.contains("\(name).d", in: directory) else { continue }
            let place = "\(directory)/\(name).d"
            for bytes in index.names(place) where files.count < 1000 {
                let file = String(decoding: bytes, as: UTF8.self)
                guard file.hasSuffix(".conf"), !file.hasPrefix("."), files[file] == nil else {
                    continue
                }
                files[file] = read("\(place)/\(file)", in: directory)
            }
        }
        return files.sorted { $0.key < $1.key }.map(\.value)
    }

    private static func file(
        _ path: String, in directory: String, limit: Int
    ) -> PlanInputs.FileLookup {
        do {
            let start = try File.openDirectory(directory)
            let descriptor = try File.openBeneath(path, at: start.number, flags: .nonBlocking)
            let status = try File.status(of: descriptor.number)
            guard status.isRegular else { return .refused("it is \(status.kind)") }
            guard status.size <= Int64(limit),
                let bytes = try File.readAll(descriptor.number, limit: limit)
            else { return .tooLarge }
            return .found(bytes: bytes, mode: Int(status.mode & 0o777))
        } catch Errno.noSuchFileOrDirectory, Errno.notDirectory {
            return .absent
        } catch Errno.tooManySymbolicLinkLevels {
            return .refused("it is a symbolic link")
        } catch {
            return .refused("\(error)")
        }
    }
}

/// Which `NAME.d` a directory has, read again when the directory changes: a daemon that compiles
/// thousands of drops a second looks at each directory once a turn, by one fstatat(2).
private final class DropInIndex {
    private struct Entry {
        /// nil: the directory is not there.
        var status: File.Status?
        var names: Set<String> = []
        var isFresh = true
    }
    private var known: [String: Entry] = [:]
    /// Questions about a directory that was not listed.
    private var asked: [String: Int] = [:]
    /// So many names are looked up one by one before a directory is listed: it may be large.
    private static let patience = 8

    var trouble: Errno?

    func note(_ error: Errno) {
        if error.isShortage || error == .ioError { trouble = error }
    }

    func lookAgain() {
        for directory in known.keys { known[directory]?.isFresh = false }
    }

    func contains(_ name: String, in directory: String) -> Bool {
        if let entry = known[directory], entry.isFresh { return entry.names.contains(name) }
        if known[directory] == nil, asked[directory, default: 0] < Self.patience {
            asked[directory, default: 0] += 1
            return status("\(directory)/\(name)") != nil
        }
        let entry = look(directory)
        known[directory] = trouble == nil ? entry : nil
        return entry.names.contains(name)
    }

    private func look(_ directory: String) -> Entry {
        guard let status = status(directory) else { return Entry() }
        if var entry = known[directory], entry.status == status, isSettled(status) {
            entry.isFresh = true
            return entry
        }
        return Entry(status: status, names: read(directory))
    }

    /// A directory that changed within the granularity of its time stamps may change again unseen.
    private func isSettled(_ status: File.Status) -> Bool {
        Clock.real() - status.modified > 20_000
    }

    private func read(_ directory: String) -> Set<String> {
        let names = names(directory).filter {
            $0.suffix(2) == [UInt8(ascii: "."), UInt8(ascii: "d")]
        }
        return Set(names.map { String(decoding: $0, as: UTF8.self) })
    }

    private func status(_ path: String) -> File.Status? {
        do {
            return try File.status(path, following: true)
        } catch {
            note(error)
            return nil
        }
    }

    /// The names in a directory, as far as they can be read.
    func names(_ directory: String) -> [[UInt8]] {
        var names: [[UInt8]] = []
        do {
            let stream = try DirectoryStream(directory, at: File.here)
            while let bytes = try stream.next() { names.append(bytes) }
        } catch {
            note(error)
        }
        return names
    }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import SystemPackage
import TaskJail
import TaskModel

/// The directory of an attempt into which its task drops subtasks, by taskrun's own descriptor: it names
/// the parent, whatever lies in it says.
///
/// All in it is the task's to change at any moment. A drop is taken when it is a regular file that nobody
/// has open for writing; it is read once, and gone. Names are read one after another, so that a million of
/// them cost no memory.
final class SubmitDirectory {
    /// What a name turned out to be.
    enum Found {
        case drop(name: String, text: [UInt8])
        case refused(name: String, reason: String)
    }

    /// Bytes of a drop, and of its percent-encoded text: an event line holds it.
    static let longest = 10 * 1024
    static let longestEncoded = 15_000
    /// Names that are looked at before others get their turn.
    private static let piece = 128
    private static let mostRefusals = 100

    let directory: OpenFile
    /// For `SubmitWatch`; nil while nothing is watched.
    var watch: Int32?
    /// Something came since the pass over the names began.
    var isStale = true
    /// A pass is under way.
    private(set) var isWithin = false
    /// `.wait` was there when the pass began: what was dropped before it is found by it.
    private(set) var hasWait = false
    private var names = DirectoryNames()
    private var hasTaken = false
    /// Drops that were taken, ever.
    private(set) var taken = 0
    private var hasOddNames = false
    private var refusals = 0

    init(_ directory: OpenFile) { self.directory = directory }

    private var number: Int32 { directory.number }

    /// The next pass begins at the first name.
    func restart() { isWithin = false }

    /// Begins a pass, or goes on with one.
    func beginPass() {
        if isWithin { return }
        (isWithin, isStale, hasTaken) = (true, false, false)
        hasWait = (try? File.status(Self.wait, at: number)) != nil
        names.restart(number)
    }

    /// Takes drops until a few names were looked at, or `room` bytes are used up.
    ///
    /// - Parameters:
    ///   - isLast: nothing of the task is alive.
    ///   - report: hears of a drop, and says what it costs.
    /// - Returns: true at the end of a pass that found all that was there when it began.
    func take(room: Int, isLast: Bool, _ report: (Found) -> Int) -> Bool {
        var left = room
        for _ in 0..<Self.piece {
            if left <= 0 { return false }
            guard let name = try? names.next(in: number) else {
                isWithin = false
                // Others may have been passed over while names went.
                if isLast && hasTaken { isStale = true }
                return !isStale
            }
            guard let found = look(at: name, isLast) else { continue }
            if case .drop = found { (hasTaken, taken) = (true, taken + 1) }
            left -= report(found)
        }
        return false
    }

    // MARK: One name

    private func look(at bytes: [UInt8], _ isLast: Bool) -> Found? {
        if bytes.first == UInt8(ascii: ".") || bytes.last == UInt8(ascii: "~") { return nil }
        guard let name = Self.name(bytes) else { return refuseOddName(bytes) }
        if [".end", ".reason", ".result"].contains(where: { name.hasSuffix($0) }) { return nil }
        do throws(Errno) {
            let status = try File.status(name, at: number)
            if !status.isRegular { return refuse(name, "it is \(status.kind), not a regular file") }
            return try take(name, isLast)
        } catch .noSuchFileOrDirectory {
            return nil
        } catch {
            if error.isShortage, !isLast {
                isStale = true
                return nil
            }
            return refuse(name, "unable to read it: \(error)")
        }
    }

    private func take(_ name: String, _ isLast: Bool) throws(Errno) -> Found? {
        let file = try File.openBeneath(name, at: number, flags: [.nonBlocking, .noFollow])
        let status = try File.status(of: file.number)
        if !status.isRegular { return refuse(name, "it is \(status.kind), not a regular file") }
        // Whoever still writes it closes it later, and that is an event.
        if !isLast, (try? File.tryReadLease(file.number)) != true { return nil }
        guard status.size <= Self.longest,
            let text = try File.readAll(file.number, limit: Self.longest)
        else {
            return refuse(
                name,
                "it has \(status.size) bytes: \(Self.longest) at most; what is larger belongs into a "
                    + "file that its command reads")
        }
        if let problem = Self.problem(text) { return refuse(name, problem) }
        guard try remove(name, status.inode) else {
            isStale = true
            return nil
        }
        try? File.unlink(name + ".reason", at: number)
        return .drop(name: name, text: text)
    }

    private static let aside = ".taken"

    // false: another file has the name by now; it is looked at in its turn.
    private func remove(_ name: String, _ inode: UInt64) throws(Errno) -> Bool {
        do throws(Errno) {
            try File.rename(name, at: number, to: Self.aside, at: number)
        } catch .isDirectory {
            try File.unlink(name, at: number)
            return true
        }
        if let found = try? File.status(Self.aside, at: number), found.inode != inode {
            try? File.renameNew(Self.aside, at: number, to: name, at: number)
            return false
        }
        try? File.unlink(Self.aside, at: number)
        return true
    }

    /// nil for a name that no drop may have (task-spool(7)).
    private static func name(_ bytes: [UInt8]) -> String? {
        let isGood =
            bytes.count <= 128
            && bytes.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "@"), UInt8(ascii: "."),
                    UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
        return isGood ? String(decoding: bytes, as: UTF8.self) : nil
    }

    private static func problem(_ text: [UInt8]) -> String? {
        if text.contains(0) || String(validating: text, as: UTF8.self) == nil {
            return "it is not text in UTF-8"
        }
        var encoded: [UInt8] = []
        PercentCoding.append(text, to: &encoded)
        if encoded.count <= longestEncoded { return nil }
        return "percent-encoded it has \(encoded.count) bytes: \(longestEncoded) at most"
    }

    // MARK: Refusals

    // It stays, and a sentence is all that is said of such names.
    private func refuseOddName(_ bytes: [UInt8]) -> Found? {
        if hasOddNames { return nil }
        hasOddNames = true
        let shown = SafeText.printable(String(decoding: bytes.prefix(128), as: UTF8.self))
        let reason = "its name may hold letters, digits and @ . _ : - only, at most 128"
        try? put("names.reason", "\(shown): \(reason)\n")
        return refused(shown, reason)
    }

    /// Writes NAME.reason and sets the file aside as `NAME~`, with its bytes.
    private func refuse(_ name: String, _ reason: String) -> Found? {
        let wasSaid = (try? File.status(name + ".reason", at: number)) != nil
        let isAside = setAside(name)
        if wasSaid, !isAside { return nil }
        try? put(name + ".reason", reason + "\n")
        return refused(name, reason)
    }

    private func setAside(_ name: String) -> Bool {
        if (try? File.rename(name, at: number, to: name + "~", at: number)) != nil { return true }
        return (try? File.unlink(name, at: number)) != nil
    }

    private func refused(_ name: String, _ reason: String) -> Found? {
        refusals += 1
        return refusals > Self.mostRefusals ? nil : .refused(name: name, reason: reason)
    }

    // MARK: Waiting

    private static let wait = ".wait"

    /// The names in `.wait`, one a line; none for all that were dropped.
    ///
    /// - Throws: a sentence.
    func awaited() throws(Refusal) -> [String] {
        let bytes: [UInt8]?
        do throws(Errno) {
            let status = try File.status(Self.wait, at: number)
            bytes = status.isRegular ? try readWait() : nil
        } catch {
            throw Refusal(sentence: "unable to read .wait: \(error)")
        }
        if let bytes { return try names(in: bytes) }
        throw Refusal(
            sentence:
                ".wait is no regular file of at most \(Self.longest) bytes: names, one a line")
    }

    private func readWait() throws(Errno) -> [UInt8]? {
        let file = try File.openBeneath(Self.wait, at: number, flags: [.nonBlocking, .noFollow])
        guard try File.status(of: file.number).isRegular else { return nil }
        return try File.readAll(file.number, limit: Self.longest)
    }

    struct Refusal: Error {
        var sentence: String
    }

    private func names(in bytes: [UInt8]) throws(Refusal) -> [String] {
        var found: [String] = []
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            guard let name = Self.name(Array(line)), name.utf8.first != UInt8(ascii: ".") else {
                let shown = SafeText.printable(String(decoding: line.prefix(128), as: UTF8.self))
                throw Refusal(sentence: "\(shown) is no name of a drop: one a line is wanted")
            }
            found.append(name)
        }
        return found
    }

    /// Takes `.wait` away: whoever made it goes on. Where it could not be, a sentence says why.
    func answerWait(_ reason: String?) {
        // A pass that began before sees the one that goes, and is no word on another.
        hasWait = false
        let file = Self.wait + ".reason"
        try? File.unlink(file, at: number)
        if let reason { try? put(file, reason + "\n") }
        try? File.unlink(Self.wait, at: number)
    }

    // MARK: The result

    /// What the task left as its result.
    enum Result {
        case bytes([UInt8])
        case refused(String)
    }

    /// nil where it left none. Nothing of the task is alive.
    func result() -> Result? {
        do throws(Errno) {
            let status = try File.status(JailRequest.result, at: number)
            guard status.isRegular else {
                return .refused("its result is \(status.kind): a regular file is wanted")
            }
            let file = try File.openBeneath(
                JailRequest.result, at: number, flags: [.nonBlocking, .noFollow])
            let size = try File.status(of: file.number).size
            if size <= ResultPlace.largest,
                let bytes = try File.readAll(file.number, limit: ResultPlace.largest)
            {
                return .bytes(bytes)
            }
            return .refused(
                "its result has \(size) bytes: \(ResultPlace.largest) at most; what is larger belongs "
                    + "into a file of which the result is the name")
        } catch .noSuchFileOrDirectory {
            return nil
        } catch {
            return .refused("unable to read its result: \(error)")
        }
    }

    // MARK: Answers

    private static let given = ".given"

    /// Writes a file whole or not at all, through no link. Its name is the caller's to check.
    func put(_ name: String, _ text: String) throws(Errno) { try put(name, Array(text.utf8)) }

    func put(_ name: String, _ bytes: [UInt8]) throws(Errno) {
        try? File.unlink(Self.given, at: number)
        let file = try File.open(
            Self.given, at: number, flags: [.writeOnly, .create, .exclusive, .noFollow],
            mode: 0o644)
        try File.writeAll(bytes, to: file.number)
        try File.rename(Self.given, at: number, to: name, at: number)
    }
}

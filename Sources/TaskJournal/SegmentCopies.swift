// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage

/// Segments of dead writers whose file must not be believed any more.
///
/// fdatasync(2) tells of a failure once: what it failed on counts as written then, a later one says that all
/// is well, and the power takes it. So where it fails, what the cache has is written into another file,
/// which takes the place of the first. `NAME.N.copy` stands there from before that until it is done: as
/// long as it does, each recovery in that boot makes another one.
struct SegmentCopies {
    /// `journal/`.
    let directory: Int32
    /// What earlier recoveries left.
    private let left: [String]

    init(at directory: Int32) throws(JournalError) {
        self.directory = directory
        left = try JournalDirectory.names(in: directory).filter { $0.hasSuffix(".copy") }
    }

    /// Makes a segment's file durable, or puts one in its place that is.
    ///
    /// - Returns: whether the file is the same.
    func sync(_ number: Int32, of name: SegmentName) throws(JournalError) -> Bool {
        let copies = left.filter { $0.hasPrefix(name.stem + ".") }
        if copies.isEmpty, (try? File.syncData(number)) != nil { return true }
        try JournalError.io("write again", name.stem + ".open") { () throws(Errno) in
            try replace(number, name.stem, by: Self.free(name.stem, copies))
        }
        return false
    }

    private static func free(_ stem: String, _ taken: [String]) -> String {
        var count = 1
        while taken.contains("\(stem).\(count).copy") { count += 1 }
        return "\(stem).\(count).copy"
    }

    private func replace(_ number: Int32, _ stem: String, by copy: String) throws(Errno) {
        let file = try File.open(copy, at: directory, flags: [.writeOnly, .create, .truncate])
        var at: Int64 = 0
        var part = [UInt8](repeating: 0, count: 256 << 10)
        while true {
            let count = try File.read(number, into: &part, at: at)
            if count == 0 { break }
            try File.writeAll(Array(part[..<count]), to: file.number, at: at)
            at += Int64(count)
        }
        try File.sync(file.number)
        try File.rename(copy, at: directory, to: stem + ".open", at: directory)
        try File.sync(directory)
    }

    /// All segments are durable: what earlier recoveries left is of no use any more.
    func removeAll() throws(JournalError) {
        for name in left {
            do {
                try File.unlink(name, at: directory)
            } catch Errno.noSuchFileOrDirectory {
                continue
            } catch {
                throw .io(verb: "remove", name: name, errno: error)
            }
        }
    }
}

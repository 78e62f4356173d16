// SPDX-License-Identifier: Apache-2.0
import TaskJail
import TaskModel
import TaskSpool

@testable import TaskJournal

/// Small files by which a start-up, or root's word, decides.
enum StateProperties {
    /// A checkpoint whose digest is made right: what is read is what was written, and no byte of it can
    /// be another.
    static func checkpoint(_ bytes: [UInt8]) {
        _ = Checkpoint(parsing: bytes)
        let body = bytes.last == 0x0a ? bytes : bytes + [0x0a]
        let whole = body + Array("digest \(SHA256.hex(body))\n".utf8)
        guard let found = Checkpoint(parsing: whole) else { return }
        let printed = found.encode()
        guard let again = Checkpoint(parsing: printed) else {
            return require(false, "a checkpoint that was printed is none")
        }
        require(again == found, "checkpoint: parse, print, parse")
        require(again.encode() == printed, "checkpoint: print, parse, print")
        for past in found.runs.values { counts(past) }
        var changed = printed
        let place = choice(printed)
        changed[Int(place % UInt64(printed.count))] ^= 1 << UInt8(place >> 40 & 7)
        require(Checkpoint(parsing: changed) == nil, "a checkpoint with a flipped bit")
        let cut = printed.prefix(Int(choice(printed, 1) % UInt64(printed.count)))
        require(Checkpoint(parsing: Array(cut)) == nil, "a checkpoint cut off")
    }

    /// Numbers that are counted on from.
    private static func counts(_ past: RunPast) {
        let most = 1 << 53
        require((0...most).contains(past.generation), "a generation")
        for task in past.tasks.values {
            require((0...most).contains(task.attempt), "an attempt")
            require((0...most).contains(task.failures), "failures")
            require((0...most).contains(task.losses), "losses")
        }
    }

    /// Any `owner` file: the lock can be had, the epoch goes forward, and the next one reads it.
    static func owner(_ bytes: [UInt8]) {
        let directory = TestDirectory.one
        defer { directory.clear() }
        directory.put("owner", bytes)
        let old = OwnerRecord(parsing: bytes)
        if let old {
            require(OwnerRecord(parsing: Array(old.line.utf8)) == old, "owner: parse, print, parse")
            _ = old.isAlive
        }
        do throws(JournalError) {
            guard case .owner(let taken) = try SpoolOwner.take(spool: directory.number) else {
                return require(false, "nobody else holds it")
            }
            let isLast = old?.epoch == SegmentName.most
            require(taken.record.epoch > old?.epoch ?? 0 || isLast, "a later epoch")
            require(taken.previous == old, "what it said before")
            let said = try SpoolOwner.read(spool: directory.number)
            require(said == taken.record, "what it says now")
            let name = SegmentName(epoch: taken.record.epoch, writer: "taskd", number: 1)
            require(SegmentName(stem: name.stem) == name, "the epoch is one of a segment")
        } catch {
            require(false, "a spool with any owner file can be taken: \(error.sentence)")
        }
    }

    /// root's file of who may become whom, against a reading of it byte by byte: a line grants what it
    /// says, and no line grants what another one does.
    static func runAs(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        let rules = RunAsRules(parsing: text)
        var granted: Set<[[UInt8]]> = []
        var words: Set<[UInt8]> = []
        for line in Array(text.utf8).split(separator: 0x0a) {
            let bare = line.prefix { $0 != UInt8(ascii: "#") }
            words.formUnion(bare.split { isBlank($0) || $0 == UInt8(ascii: ":") }.map(Array.init))
            guard let colon = bare.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let owner = bare[..<colon].split(whereSeparator: isBlank).map(Array.init)
            let users = bare[(colon + 1)...].split(whereSeparator: isBlank).map(Array.init)
            words.formUnion(users)
            if owner.count == 1 { granted.formUnion(users.map { [owner[0], $0] }) }
        }
        let some = words.sorted { $0.lexicographicallyPrecedes($1) }.prefix(24)
        for owner in some {
            for user in some {
                let (name, other) = (
                    String(decoding: owner, as: UTF8.self), String(decoding: user, as: UTF8.self)
                )
                let isGranted = granted.contains([owner, user])
                let says = rules.permits(owner: name, user: other)
                require(says == isGranted, "permits \(name), \(other): \(says)")
            }
        }
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0d
    }
}

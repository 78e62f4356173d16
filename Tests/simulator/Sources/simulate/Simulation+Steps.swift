// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskModel
import TaskSpool

/// What owners and the machine do to taskd.
extension Simulation {
    private var disk: Disk { machine.disk }
    private func directory(_ name: String) -> DiskNode? { try? disk.find("/s/\(name)") }

    func perform(_ step: Step) {
        var dice = step.dice
        switch step.action {
        case .drop(let recipe, let way): try? drop(recipe, way, &dice)
        case .finishCopy: finishCopies()
        case .move(let from, let to): move(from, to, &dice)
        case .remove:
            if let (directory, name) = pick(["ready", "active", "deferred", "hold"], &dice) {
                touch(name)
                if let plan = directory.entries[name] { truth.removed(plan.data) }
                noteTaken(name)
                try? disk.unlink(name, in: directory)
            }
        case .cancel: cancel(&dice)
        case .kill:
            if machine.isDead { return }
            died = true
            machine.kill()
        case .killPool:
            pool?.die()
            pool = nil
        case .powerFailure:
            pool?.die()
            pool = nil
            died = true
            copies = []
            machine.powerFailure(&dice)
            passUntil = 0
            truth.powerFailed()
        case .start: break
        case .stop: machine.terminate = true
        case .fault(let fault): machine.faults.append(fault)
        case .fill(let left): disk.hog = max(0, disk.hog + disk.free - left)
        case .empty: disk.hog = 0
        case .clock(let step): machine.realOffset += step
        case .pass(let time): passUntil = Clock.boot() + time
        case .overflow: Inotify.overflow()
        case .stall(let time): pool?.stalledUntil = Clock.boot() + time
        case .hangUp: pool?.hangUp()
        case .prune: prune()
        case .flip: flip(&dice)
        }
    }

    // MARK: Drops

    private func drop(_ recipe: Recipe, _ way: Action.Way, _ dice: inout Dice) throws {
        guard let incoming = directory("incoming"), let tmp = directory("tmp") else { return }
        let bytes = Array(recipe.text.utf8)
        var drop = Truth.Drop(recipe: recipe)
        // `task submit` makes no name that is not allowed.
        switch recipe.name.contains(" ") && way == .submit ? .move : way {
        case .plain, .copy:
            let file = try disk.create(recipe.name, in: incoming)
            if way == .copy, bytes.count > 2 {
                drop.isWhole = false
                disk.beginWriting(file)
                let half = dice.below(bytes.count)
                do {
                    try disk.write(Array(bytes[..<half]), at: 0, to: file)
                } catch {
                    disk.endWriting(file)  // the copier gives up
                    throw error
                }
                copies.append((recipe.name, file, Array(bytes[half...])))
            } else {
                try disk.write(bytes, at: 0, to: file)
                Inotify.notify(incoming, recipe.name, .closedAfterWriting)
            }
        case .move, .synced:
            let file = try disk.create(".\(recipe.name)", in: incoming)
            try disk.write(bytes, at: 0, to: file)
            if way == .synced { disk.syncByOwner(file) }
            try disk.rename(".\(recipe.name)", in: incoming, to: recipe.name, in: incoming)
            if way == .synced {
                disk.syncByOwner(incoming)
                drop.isAcknowledged = true
                drop.isSynced = true
            }
        case .submit:
            let id = TaskID(
                milliseconds: UInt64(Clock.real() / 1000), upper: UInt16(dice.below(65536)),
                lower: dice.next())
            let name = "\(id)@\(recipe.name)"
            let file = try disk.create(".\(name)", in: tmp)
            try disk.write(bytes, at: 0, to: file)
            disk.syncByOwner(file)
            try disk.rename(".\(name)", in: tmp, to: name, in: incoming)
            disk.syncByOwner(incoming)
            drop.id = id
            drop.isAcknowledged = true
            drop.isSynced = true
        }
        truth.drops[recipe.name] = drop
    }

    /// Files that somebody was writing are whole now, and closed.
    func finishCopies() {
        for copy in copies {
            // ENOSPC: the copier gives up, and what it wrote stays.
            let isWhole = (try? disk.write(copy.rest, at: copy.inode.size, to: copy.inode)) != nil
            disk.endWriting(copy.inode)
            truth.drops[copy.name]?.isWhole = isWhole
            if let incoming = directory("incoming"), incoming.entries[copy.name] === copy.inode {
                Inotify.notify(incoming, copy.name, .closedAfterWriting)
            }
        }
        copies = []
    }

    // MARK: The owner

    private func pick(_ names: [String], _ dice: inout Dice) -> (DiskNode, String)? {
        let found = names.compactMap { directory($0) }.flatMap { directory in
            directory.entries.keys.sorted().map { (directory, $0) }
        }
        return found.isEmpty ? nil : dice.pick(found)
    }

    private func move(_ from: String, _ to: String, _ dice: inout Dice) {
        guard from != to, let (directory, name) = pick([from], &dice),
            let target = self.directory(to), target.entries[name] == nil
        else { return }
        touch(name)
        try? disk.rename(name, in: directory, to: name, in: target)
    }

    private func touch(_ name: String) {
        if let file = RunFileName(bytes: Array(name.utf8)[...]) { truth.touched.insert(file.run) }
    }

    /// A removed plan may be torn: its drop, where that is still in tmp/, says whose it is.
    private func noteTaken(_ plan: String) {
        guard let id = RunFileName(bytes: Array(plan.utf8)[...])?.run else { return }
        for name in self.directory("tmp")?.entries.keys.sorted() ?? [] {
            guard let taken = TakenName(Array(name.utf8)), taken.id == id else { continue }
            truth.drops[taken.name]?.isRemoved = true
        }
    }

    private func cancel(_ dice: inout Dice) {
        guard let (_, name) = pick(["ready", "active", "deferred", "hold"], &dice),
            let file = RunFileName(bytes: Array(name.utf8)[...]),
            let incoming = directory("incoming")
        else { return }
        truth.touched.insert(file.run)
        let task = dice.oneIn(2) ? ".0" : ""
        let command = "\(file.run)\(task).cancel"
        guard incoming.entries[command] == nil else { return }
        _ = try? disk.create(command, in: incoming)
        Inotify.notify(incoming, command, .closedAfterWriting)
    }

    // MARK: The machine

    /// What went is kept aside: the oracles read the whole journal.
    private func prune() {
        guard let journal = directory("journal"), let file = try? disk.find("/s/checkpoint"),
            let oldest = Checkpoint(parsing: file.data)?.segment
        else { return }
        for name in journal.entries.keys.sorted()
        where name.hasSuffix(".sealed") && SegmentName(file: name, suffix: "sealed") != nil
            && name < oldest
        {
            pruned[name] = journal.entries[name]
            try? disk.unlink(name, in: journal)
        }
    }

    private func flip(_ dice: inout Dice) {
        guard let (journal, name) = pick(["journal"], &dice), let file = journal.entries[name],
            file.data.starts(with: "taskjournal ".utf8)
        else { return }
        truth.isTainted = true
        let place = dice.below(file.data.count)
        disk.flip(file, bit: place * 8 + dice.below(8))
    }
}

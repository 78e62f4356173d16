// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskEngine
import TaskJournal
import TaskModel
import TaskPlan
import TaskSpool
import TaskUnit

/// Slots that have come become runs. Each exists once: its id is made of the slot's time and of the unit,
/// and its accept is on record.
extension Daemon {
    private static let mostPerTurn = 16

    /// Whether a firing may be carried out now.
    private var hasRoomToFire: Bool { hasRoom && !isStopping }

    /// When a condition is due, in CLOCK_BOOTTIME; a slot that has come and waits: now. The timer sees to
    /// slots that are to come.
    func firingDeadline(at boot: Int64) -> Int64 {
        if !firing.changed.isEmpty || firing.isScanWanted { return boot }
        let next = firing.table.nextDeadlines()
        guard hasRoomToFire else { return .max }
        return max(next.real <= Clock.real() ? boot : next.boot, closedUntil)
    }

    func fireDue() {
        let boot = Clock.boot()
        guard !firing.table.isEmpty, !isPaused, closedUntil <= boot, hasRoomToFire else { return }
        if firing.table.nextDeadlines().real <= Clock.real() { lookAtZones() }
        let due = firing.table.due(real: Clock.real(), boot: boot) { isFiringLive($0) }
        defer { setTimer() }
        guard !due.isEmpty, hasSpace() else { return }
        compiler.lookAgain()
        for firing in due.prefix(Self.mostPerTurn) {
            guard hasRoomToFire, carryOut(firing) else { return }
        }
    }

    /// The timer wakes taskd for the next slot, and when the clock is set.
    func setTimer() {
        if firing.table.isEmpty, firing.timer == nil { return }
        let next = firing.table.isEmpty ? nil : firing.table.nextDeadlines().real
        if next == firing.timer { return }
        do {
            try wallTimer.set(next == .max ? nil : next)
            firing.timer = next
        } catch {
            report.error("unable to set the timer of the next slot: \(error), a slot may be late")
        }
    }

    /// Whether an earlier firing of the unit has not ended.
    private func isFiringLive(_ unit: String) -> Bool {
        runs.contains { $0.value.name == unit && !$0.value.isEnded && isFiring($0.key, of: unit) }
            || reconcile?.suspects.contains {
                $0.value.name == unit && isFiring($0.key, of: unit)
            } ?? false
    }

    private func isFiring(_ id: TaskID, of unit: String) -> Bool {
        FiringPast.fields(of: id, unit: unit, owner: spool.owner, boot: owner.record.boot) != nil
    }

    /// False when it could not be: it is tried again.
    private func carryOut(_ due: Firing) -> Bool {
        switch due {
        case .skip(let unit, let slot, let missed, let because):
            var fields: [EventLine.Field] = [
                .init("name", unit), .init("state", TaskState.skipped.word),
                .init("what", Self.words(because)),
            ]
            fields += Self.fields(slot, missed: missed, unit)
            record(.skip, id(slot, unit).description, fields)
            account(unit, slot, missed: missed, .time)
            return true
        case .run(let unit, let kind, let slot, let missed):
            return run(unit, kind, slot: slot, missed: missed)
        }
    }

    private static func words(_ because: Firing.Because) -> String {
        switch because {
        case .missed: "its time had passed, and it has Misfire=skip or too many to make up for"
        case .overlap: "the run before has not ended"
        }
    }

    private static func fields(
        _ slot: Int64, missed: Int, _ unit: String
    ) -> [EventLine.Field] {
        var fields: [EventLine.Field] = [.init("unit", unit), .init("cron", String(slot))]
        if missed > 0 { fields.append(.init("missed", String(missed))) }
        return fields
    }

    private func id(_ slot: Int64, _ unit: String) -> TaskID {
        FiringPast.id(slot: slot, unit: unit, owner: spool.owner)
    }

    private func account(_ unit: String, _ slot: Int64, missed: Int, _ kind: Firing.Kind) {
        firing.unwritten.remove(unit)
        guard kind != .boot else {
            firing.pasts[unit, default: .init()].boot = owner.record.boot
            return firing.table.accountForBoot(of: unit)
        }
        firing.pasts[unit, default: .init()].slots.add(slot, continues: missed == 0)
        firing.table.account(for: slot, of: unit, missed: missed, real: Clock.real())
        if kind == .condition { firing.table.accountForPoll(of: unit, boot: Clock.boot()) }
    }

    // MARK: - Runs

    private func run(_ unit: String, _ kind: Firing.Kind, slot: Int64, missed: Int) -> Bool {
        guard
            let file = firing.files.first(where: { $0.value.isArmed && $0.value.unit == unit })?.key
        else {
            firing.table.disarm(unit)
            return true
        }
        let boot = owner.record.boot
        let id =
            kind == .boot
            ? FiringPast.id(boot: boot, at: slot, unit: unit, owner: spool.owner)
            : id(slot, unit)
        guard runs[id] == nil, reconcile?.suspects[id] == nil else {
            account(unit, slot, missed: missed, kind)
            return true
        }
        var fields: [EventLine.Field] = [.init("cron", String(slot))]
        if kind == .boot { fields = [.init("boot", boot)] }
        if missed > 0 { fields.append(.init("missed", String(missed))) }
        if kind == .time, Clock.real() - slot >= Timetable.patience {
            fields.append(.init("late", "yes"))
        }
        switch compiler.compile(installed: file) {
        case nil: firing.changed.insert(file)  // it was removed just now
        case .definition: break
        case .bad(let why): refuse(id, file, why, fields)
        case .later(let error):
            sayUnwritten(unit, id, error)
            return false
        case .plan(let plan, let encoded):
            do {
                try publish(plan, encoded, id, file, fields)
            } catch {
                sayUnwritten(unit, id, error)
                return false
            }
        }
        account(unit, slot, missed: missed, kind)
        return true
    }

    /// Acceptance without a drop: steps 2 and 3 of task-spool(7).
    private func publish(
        _ plan: Plan, _ encoded: [UInt8], _ id: TaskID, _ name: String,
        _ fields: [EventLine.Field]
    ) throws(Errno) {
        let file = id.description
        let isLarge = encoded.count > Self.longestCarriedPlan
        try spool.write(encoded, to: file, .tmp, durable: isLarge)
        try spool.move(file, .tmp, to: file, .ready)
        if isLarge { try syncReady(file) }
        _ = recordAccept(
            id, name: name, plan, encoded, nil, isRecovered: false, firing: fields)
        if !isLarge { checkpoint.unsynced.append(id) }
        enter(id, plan, name: UnitName.of(name), .ready, RunFileName(run: id))
    }

    private func sayUnwritten(_ unit: String, _ id: TaskID, _ error: Errno) {
        try? spool.remove(id.description, .tmp)
        closedUntil = Clock.boot() + 1_000_000
        guard firing.unwritten.insert(unit).inserted else { return }
        report.error("unable to write the plan of \(unit): \(error), it is tried each second")
    }

    /// The slot's record: it was refused, and why.
    private func refuse(_ id: TaskID, _ file: String, _ why: String, _ fields: [EventLine.Field]) {
        let first = why.split(separator: "\n").first.map(String.init) ?? why
        report.error("units/\(file) was due and is refused: \(first)")
        record(
            .reject, id.description,
            [
                .init("name", file), .init("unit", UnitName.of(file)),
                .init("state", TaskState.rejected.word), .init("what", String(first.prefix(1000))),
            ] + fields)
    }

    // MARK: - The journal

    /// What a plan whose accept a crash prevented was for.
    func recoveredFiring(_ id: TaskID, _ unit: String) -> [EventLine.Field] {
        let boot = owner.record.boot
        guard
            let fields = FiringPast.fields(of: id, unit: unit, owner: spool.owner, boot: boot)
        else { return [] }
        let line = EventLine(0, .accept, id.description, fields)
        firing.pasts[unit, default: .init()].add(line)
        return fields
    }

    /// What a checkpoint says: of armed units, and for a day of others.
    func firingPasts() -> [String: FiringPast] {
        let yesterday = Clock.real() - 86_400_000_000
        firing.pasts = firing.pasts.filter { unit, past in
            firing.table.isArmed(unit) || past.slots.latest ?? 0 > yesterday
                || past.boot == owner.record.boot
        }
        return firing.pasts
    }
}

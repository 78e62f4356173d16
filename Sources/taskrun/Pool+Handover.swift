// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJail
import TaskModel

/// The whole pool while taskrun becomes another program.
extension Pool {
    /// Becomes the new program where nothing is in between; else it is tried again soon.
    func tryUpgrade() {
        for client in Array(clients.values) where client.spool == nil || client.connection.isBlocked
        {
            if let spool = client.spool { readToEnd(client, spool) }
            close(client)
        }
        guard let (table, descriptors) = table() else { return }
        do throws(Errno) {
            try upgrade.execute(table, keeping: descriptors)
        } catch {
            upgrade.giveUp("\(error)")
        }
    }

    private func table() -> (HandoverTable, [Int32])? {
        var table = HandoverTable()
        var descriptors = socket.descriptors
        var record = HandoverTable.Record("socket")
        for descriptor in socket.descriptors { record.add("descriptor", descriptor) }
        table.records.append(record)
        for (index, (key, spool)) in spools.enumerated() {
            guard let open = spool.handOver(index, key.name, to: &table) else { return nil }
            descriptors += open
        }
        let busy = Set(executor.slots.filter { $0.attempt != nil }.map(\.index))
        if let (launcher, slots) = executor.jails.handOver(busy: busy) {
            descriptors += launcher.descriptors
            table.records.append(Self.record(launcher))
            for slot in slots { table.records.append(Self.record(slot)) }
        }
        return (table, descriptors)
    }

    private static func record(_ state: LauncherHandover) -> HandoverTable.Record {
        var record = HandoverTable.Record("launcher")
        record.add("pool", state.pool)
        record.add("current", state.current)
        for leader in state.leaders { record.add("leader", leader) }
        for directory in state.directories { record.add("directory", directory) }
        for (index, count) in state.renewals { record.add("renewal", "\(index):\(count)") }
        for (path, lock) in state.locks { record.add("lock", "\(lock):\(path)") }
        return record
    }

    private static func record(_ state: SlotHandover) -> HandoverTable.Record {
        var record = HandoverTable.Record("cgroups")
        record.add("slot", state.index)
        for (name, path) in state.v2 { record.add("v2", "\(name):\(path)") }
        for (name, path) in state.v1 { record.add("v1", "\(name):\(path)") }
        if let unified = state.unified { record.add("unified", unified) }
        for counter in state.counters { record.add("counter", counter) }
        return record
    }

    // MARK: Going on

    /// Takes over what an earlier program had.
    func resume(_ table: HandoverTable) {
        let records = table.records
        // All are open since the exec; none may go to a child.
        for record in records where record.kind == "launcher" {
            let slots = records.filter { $0.kind == "cgroups" }.map(Self.slot)
            executor.jails.resume(Self.launcher(record), slots)
        }
        for (index, record) in records.filter({ $0.kind == "spool" }).enumerated() {
            let own = records.filter { $0.number("spool") == index }
            resumeSpool(record, own)
        }
    }

    private func resumeSpool(_ record: HandoverTable.Record, _ own: [HandoverTable.Record]) {
        guard let uid: UInt32 = record.number("uid"), let gid: UInt32 = record.number("gid")
        else { return }
        let owner = owners[uid] ?? PoolOwner(TaskOwner(uid: uid, gid: gid), loop)
        owners[uid] = owner
        let spool = PoolSpool(executor: executor, owner: owner)
        owner.spools += 1
        spools[SpoolKey(uid: uid, name: record.text("name") ?? "")] = spool
        spool.resume(record, own.filter { $0.kind == "event" })
        if let number: Int32 = record.number("client") {
            let connection = PoolConnection(Descriptor(owning: number), packets, owner.aside)
            connection.sentEvent = record.number("sent") ?? 0
            spool.connection = connection
            let client = PoolClient(connection, owner)
            client.spool = spool
            welcome(client)
        }
        for job in own where job.kind == "job" { spool.resume(job: job, in: loop) }
    }

    private static func launcher(_ record: HandoverTable.Record) -> LauncherHandover {
        var state = LauncherHandover()
        state.pool = record.text("pool") ?? ""
        state.current = record.number("current") ?? 0
        state.leaders = record.texts("leader").compactMap { Int32($0) }
        state.directories = record.texts("directory")
        for (index, count) in pairs(record, "renewal") {
            if let index = Int(index), let count = Int(count) { state.renewals[index] = count }
        }
        for (lock, path) in pairs(record, "lock") { state.locks[path] = Int32(lock) }
        return state
    }

    private static func slot(_ record: HandoverTable.Record) -> SlotHandover {
        var state = SlotHandover(index: record.number("slot") ?? -1)
        state.v2 = Dictionary(pairs(record, "v2")) { first, _ in first }
        state.v1 = Dictionary(pairs(record, "v1")) { first, _ in first }
        state.unified = record.text("unified")
        state.counters = record.texts("counter").compactMap { Int64($0) }
        return state
    }

    private static func pairs(
        _ record: HandoverTable.Record, _ key: String
    ) -> [(String, String)] {
        record.texts(key).compactMap { text in
            guard let colon = text.firstIndex(of: ":") else { return nil }
            return (String(text[..<colon]), String(text[text.index(after: colon)...]))
        }
    }
}

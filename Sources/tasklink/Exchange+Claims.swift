// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskLedger
import TaskModel
import TaskSpool
import TaskTool

/// Runs that this node claims: each becomes a drop of its spool.
extension Exchange {
    func claims(_ epoch: Int64, _ nodes: Int) throws(Errno) -> [Round.Step] {
        let incoming = try File.openBeneath("incoming", at: spool, flags: .directory)
        dropped = dropped.filter { (try? File.status($0, at: incoming.number)) != nil }
        var steps: [Round.Step] = []
        let free = free - dropped.count
        let isWanted = nodes > 1 || names.contains { $0.kind == .sent }
        if free > 0, isWanted, nodes > 0 { steps.append(.claim(free)) }
        if Clock.boot() >= comparison {
            comparison = Clock.boot() + Self.pause
            let tokens = try claimed(incoming.number)
            steps.append(.held(have: tokens.filter { $0.value.epoch == epoch }.map(\.key)))
        }
        return steps
    }

    /// Nobody has served the spool for that long (microseconds), and something of this session lies claimed in it: it
    /// is to be had by others. Asked in each round.
    func isDeserted(epoch: Int64, after patience: Int64) -> Bool {
        let isServed = (try? SpoolOwner.read(spool: spool))?.isAlive ?? false
        if isServed {
            unservedSince = nil
            return false
        }
        let since = unservedSince ?? Clock.boot()
        unservedSince = since
        guard Clock.boot() >= since + patience,
            let incoming = try? File.openBeneath("incoming", at: spool, flags: .directory),
            let tokens = try? claimed(incoming.number)
        else { return false }
        return tokens.values.contains { $0.epoch == epoch }
    }

    /// As taskd says, if one lives.
    private var free: Int {
        guard unservedSince == nil,
            let bytes = readFile("free", at: outgoing, limit: 64),
            let word = bytes.split(whereSeparator: { $0 == 32 || $0 == 10 }).last
        else { return 0 }
        return min(Decimal.parse(word) ?? 0, 1000)
    }

    /// Claims that lie in the spool. What moves meanwhile is rather seen twice than never: of one that is not seen the
    /// drop comes once more, and taskd knows it.
    private func claimed(_ incoming: Int32) throws(Errno) -> [TaskID: ClaimToken] {
        var tokens: [TaskID: ClaimToken] = [:]
        try each("incoming") { name in
            guard case .claim(let run) = DropName(name) else { return }
            let text = String(decoding: name, as: UTF8.self)
            dropped.insert(text)
            guard let bytes = readFile(text, at: incoming, limit: 1 << 20) else { return }
            tokens[run] = ClaimDrop(bytes)?.token
        }
        for directory in ["ready", "deferred", "hold", "active"] {
            try each(directory) { name in
                guard let file = RunFileName(bytes: name[...]), let token = file.token else {
                    return
                }
                tokens[file.run] = token
            }
        }
        for name in names where name.file.token != nil { tokens[name.file.run] = name.file.token }
        return tokens
    }

    /// What `claim` or `held` brought: each becomes a drop of this spool.
    func takeClaims(_ answer: Answer, epoch: Int64) {
        guard let incoming = try? File.openBeneath("incoming", at: spool, flags: .directory) else {
            comparison = 0
            return report.error("unable to open incoming/, what was claimed waits")
        }
        for claim in LedgerClaim.all(answer) {
            guard let bytes = claim.plan else { continue }
            isBusy = true
            guard let plan = try? Plan(parsing: bytes) else {
                report.error(
                    "the plan of \(claim.key.run) is damaged in the ledger: nothing of it runs")
                continue
            }
            let drop = ClaimDrop(
                token: ClaimToken(epoch: epoch, gen: claim.gen), generation: claim.key.generation,
                name: plan.name ?? "", plan: bytes)
            let name = ClaimDrop.fileName(claim.key.run, gen: claim.gen)
            if write(drop.bytes, incoming.number, as: name) {
                dropped.insert(name)
            } else {
                comparison = 0
            }
        }
    }

    private func each(
        _ directory: String, _ body: ([UInt8]) -> Void
    ) throws(Errno) {
        let opened = try File.openBeneath(directory, at: spool, flags: .directory)
        let stream = try DirectoryStream(".", at: opened.number)
        while let name = try stream.next() { body(name) }
    }
}

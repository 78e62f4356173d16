// SPDX-License-Identifier: Apache-2.0
import Linux

/// Cuts a history that fails down to what it takes: the shortest prefix, and of that what is needed.
struct Shrinking {
    let seed: UInt64
    let steps: [Step]
    let rules: Disk.Rules
    let failure: Failure

    private func fails(_ chosen: [Int]) -> Bool {
        let simulation = Simulation(seed: seed, steps: chosen.map { steps[$0] }, rules: rules)
        simulation.run()
        return simulation.failure?.promise == failure.promise
    }

    /// Numbers of the steps that are left.
    func shortest() -> [Int] {
        var kept = Array(steps.indices)
        for length in 1..<max(2, steps.count) where fails(Array(steps.indices.prefix(length))) {
            kept = Array(steps.indices.prefix(length))
            break
        }
        var size = max(1, kept.count / 4)
        while true {
            var at = kept.count
            while at > 0 {
                let start = max(0, at - size)
                let fewer = Array(kept[..<start] + kept[at...])
                if fails(fewer) { kept = fewer }
                at = start
            }
            if size == 1 { return kept }
            size /= 2
        }
    }

    func report() {
        let kept = shortest()
        let numbers = kept.map(String.init).joined(separator: ",")
        let last = Simulation(seed: seed, steps: kept.map { steps[$0] }, rules: rules)
        last.run()
        Command.say("not ok: seed \(seed): \(failure)")
        if let failure = last.failure { Command.say("  at its shortest: \(failure)") }
        Command.say("  disk: \(rules)")
        for index in kept { Command.say("  step \(index), \(steps[index])") }
        Command.say("  replay: contrib/simulate --seed \(seed) --keep \(numbers) --trace")
    }
}

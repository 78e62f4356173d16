// SPDX-License-Identifier: Apache-2.0
import DequeModule
import Linux
import TaskModel
import TaskSpool

/// `RemainAfterExit=`: a success of a task counts for the same task of later runs, which does not run then.
/// The engine lets one of them run at a time (`RunInput`), so that who comes meanwhile finds it.
extension Daemon {
    /// So many successes count at once; of further ones the task runs again.
    private static let mostRemaining = 10_000

    /// A task has succeeded: what its end says of that, for a restart.
    func remain(_ ref: TaskRef, _ state: TaskState, _ result: ResultPlace?) -> [EventLine.Field] {
        guard state == .success, ref.item == nil,
            let own = ref.task.flatMap({ runs[ref.run]?.remains[$0] })
        else { return [] }
        if remaining.count >= Self.mostRemaining, remaining[own.key] == nil {
            forgetRemaining()
            if remaining.count >= Self.mostRemaining { return [] }
        }
        let (until, isEver) = now().addingReportingOverflow(own.span)
        let success = Remaining(until: isEver ? .max : until, ref: ref, result: result)
        remaining[own.key] = success
        return [.init("remain", own.key), .init("until", String(success.until))]
    }

    /// Whether an attempt need not run; then it ends with the turn: not within what the engine decides now,
    /// or a chain of such would take a stack of its length.
    func spares(_ ref: TaskRef, _ attempt: Int) -> Bool {
        guard ref.item == nil, let own = ref.task.flatMap({ runs[ref.run]?.remains[$0] }),
            let success = remaining[own.key], success.until > now()
        else { return false }
        if let result = success.result,
            case .gone = read(NamedResult(name: name(of: ref), result: result))
        {
            remaining[own.key] = nil  // its log was removed: it counts no more
            return false
        }
        pool.gated.insert(ref)
        spared.append((ref, attempt, success))
        return true
    }

    func endSpared() {
        while let (ref, attempt, success) = spared.popFirst() {
            guard pool.sent[ref] == attempt else { continue }
            pool.gated.remove(ref)
            var fields: [EventLine.Field] = [
                .init("a", String(attempt)), .init("state", TaskState.success.word),
                .init("of", success.ref.description),
                .init("what", "it counts that \(success.ref) has succeeded"),
            ]
            if let result = success.result {
                fields += [.init("result", result.place), .init("digest", result.digest)]
            }
            handle(EventLine(Clock.real(), .end, ref.description, named(ref, fields)))
        }
    }

    func forgetRemaining() {
        let now = now()
        remaining = remaining.filter { $0.value.until > now }
    }
}

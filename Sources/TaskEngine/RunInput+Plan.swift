// SPDX-License-Identifier: Apache-2.0
public import TaskModel

extension RunInput {
    /// The scheduler's view of a plan.
    public init(
        id: TaskID, generation: Int = 0, plan: Plan, progress: [RunInput.Progress] = []
    ) {
        self.init(
            id: id, generation: generation,
            tasks: plan.tasks.map { task in
                TaskInput(task, items: TaskInput.Items(task, in: plan))
            },
            edges: plan.edges.map { Edge(from: $0.from, to: $0.to, kind: EdgeKind($0.kind)) },
            progress: progress)
    }
}

extension EdgeKind {
    init(_ kind: PlanEdge.Kind) {
        switch kind {
        case .ok: self = .ok
        case .end: self = .end
        case .fail: self = .fail
        }
    }
}

extension TaskInput {
    init(_ task: PlanTask, items: Items?) {
        let spec = task.spec
        self.init(
            number: task.number, name: spec.name, isOptional: spec.flag(.optional),
            isGroup: !spec.has(.command) && !spec.has(.check), policy: RetryPolicy(spec),
            priority: spec.number(.priority),
            memory: spec.size(.limitMem).isInfinite ? 0 : spec.size(.limitMem).bytes,
            semaphore: spec.text(.semaphore).flatMap { Semaphore(parsing: $0) }
                // One flight at a time: who waits finds a success that counts.
                ?? task.remainKey.map { Semaphore(name: "RemainAfterExit=\($0)", limit: 1) })
        isCondition = spec.flag(.condition)
        isRest = spec.flag(.rest)
        self.items = items
    }
}

extension TaskInput.Items {
    /// Nil where the task is no array.
    init?(_ task: PlanTask, in plan: Plan) {
        guard let ranges = plan.items(of: task.number) else { return nil }
        self.init(
            ranges, mostAtOnce: task.spec.number(.maxParallel),
            hasRest: plan.hasRest(task.number))
    }
}

extension TaskInput.Semaphore {
    /// `NAME` or `NAME:N`.
    init?(parsing text: String) {
        let parts = text.split(separator: ":", maxSplits: 1)
        guard let name = parts.first else { return nil }
        self.init(name: String(name), limit: parts.count > 1 ? Int(parts[1]) ?? 1 : 1)
    }
}

extension RetryPolicy {
    /// `Restart=`, `RestartSec=`, `RestartMaxDelaySec=`, `RestartPreventExitStatus=`.
    public init(_ spec: TaskSpec) {
        let retries: Int
        switch spec.text(.restart) {
        case "on-failure": retries = .max
        case let text: retries = text.flatMap { Int($0) } ?? 0
        }
        if retries == 0 {
            self = .never
            return
        }
        self.init(
            retries: retries, firstDelay: spec.span(.restartSec).microseconds,
            longestDelay: spec.span(.restartMaxDelaySec).microseconds,
            preventingExits: spec.values(.restartPreventExitStatus).compactMap { Int($0) })
    }
}

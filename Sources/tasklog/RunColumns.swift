// SPDX-License-Identifier: Apache-2.0
import TaskHistory
import TaskModel
import TaskTool

/// Runs and tasks as rows: the keys of the JSON schema `task/1`, a few of them in tables.
enum RunColumns {
    static let columns = [
        Column("id"), Column("run", nil), Column("name"), Column("unit", nil),
        Column("parent", nil), Column("state"), Column("reason"), Column("exit"),
        Column("signal", nil), Column("attempt", "TRY"), Column("generation", nil),
        Column("user", "USER", isExtra: true), Column("node", nil), Column("created"),
        Column("started", nil),
        Column("ended", nil), Column("run_us", "TOOK"), Column("cpu_us", "CPU", isExtra: true),
        Column("mem", "MEM", isExtra: true), Column("weak", nil), Column("by", nil),
        Column("message"),
    ]

    static func row(_ run: RunRow) -> [Value] {
        let main = run.main
        // Of what was asked for, before that of what it depends on.
        let reason = main?.state == run.state ? main?.reason : nil
        return [
            .id(run.id.description), .text(run.id.description), Value(run.name), Value(run.unit),
            Value(run.parent), .state(run.state), Value(reason ?? run.reason), Value(main?.exit),
            Value(main?.signal), Value(main?.attempts), .number(Int64(run.generation)),
            Value(run.user ?? main?.user), Value(run.node), Value(time: run.created),
            Value(time: run.started), Value(time: run.ended), took(run.started, run.ended),
            Value(span: main?.cpu), Value(size: main?.memory), Value(main?.weak), Value(run.by),
            Value(run.sentence),
        ]
    }

    static func row(_ task: TaskRow) -> [Value] {
        [
            .id(task.id), .text(task.run), Value(task.name), Value(task.unit), Value(task.parent),
            .state(task.state), Value(task.reason), Value(task.exit), Value(task.signal),
            .number(Int64(task.attempts)), .absent, Value(task.user), Value(task.node),
            Value(time: task.created), Value(time: task.started), Value(time: task.ended),
            took(task.started, task.ended), Value(span: task.cpu), Value(size: task.memory),
            Value(task.weak), .absent, Value(task.message),
        ]
    }

    private static func took(_ started: Int64?, _ ended: Int64?) -> Value {
        guard let started, let ended else { return .absent }
        return .span(ended - started)
    }
}

extension RunRow {
    /// What there is to say of its result: the sentence of its own task tells more than that it
    /// failed.
    var sentence: String? {
        main?.state == .failure ? main?.message ?? message : message ?? main?.message
    }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What can be fuzzed.
enum Format: String, CaseIterable {
    case unit, yaml, compile, plan, event, job, handover, spec, values, words, percent, cron, zone
    case journal, damage, log, checkpoint, owner, runas, conf, request

    /// The environment's; nil where it names none.
    static var chosen: Format? {
        getenv("TASK_FUZZ").flatMap { Format(rawValue: String(cString: $0)) }
    }

    /// One input; ends the program where a property does not hold.
    func test(_ bytes: [UInt8]) {
        switch self {
        case .unit: CompileProperties.unit(bytes)
        case .yaml: CompileProperties.pipeline(bytes)
        case .compile: CompileProperties.several(bytes)
        case .plan: PlanProperties.test(bytes)
        case .event: TextProperties.event(bytes)
        case .job: TextProperties.job(bytes)
        case .handover: TextProperties.handover(bytes)
        case .spec: ValueProperties.spec(bytes)
        case .values: ValueProperties.values(bytes)
        case .words: TextProperties.words(bytes)
        case .percent: TextProperties.percent(bytes)
        case .cron: TimeProperties.cron(bytes)
        case .zone: TimeProperties.zone(bytes)
        case .journal: JournalProperties.segments(bytes)
        case .damage: DamageProperties.test(bytes)
        case .log: LogProperties.test(bytes)
        case .checkpoint: StateProperties.checkpoint(bytes)
        case .owner: StateProperties.owner(bytes)
        case .runas: StateProperties.runAs(bytes)
        case .conf: CompileProperties.configuration(bytes)
        case .request: RequestProperties.test(bytes)
        }
    }
}

/// A property: libFuzzer keeps the input where it does not hold.
func require(_ holds: Bool, _ what: @autoclosure () -> String) {
    if !holds { fatalError("property broken: " + what()) }
}

/// A hash that is the same in each process: what chooses among things that the input does not say.
func choice(_ bytes: some Sequence<UInt8>, _ salt: UInt64 = 0) -> UInt64 {
    bytes.reduce(14_695_981_039_346_656_037 ^ salt) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 }
}

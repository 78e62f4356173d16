// SPDX-License-Identifier: Apache-2.0

extension Directive {
    /// THE table. `traits` reads it from a copy; nothing else describes a directive.
    var row: DirectiveTraits {
        switch self {
        case .description, .requires, .wants, .after, .before, .onSuccess, .onFailure, .packages,
            .packagesFrom:
            dependenciesRow
        case .user, .group, .supplementaryGroups, .workingDirectory, .dir, .files, .restart,
            .restartSec, .restartMaxDelaySec, .successExitStatus, .restartPreventExitStatus,
            .limitMem, .memoryHigh, .limitDisk, .limitCPU, .limitTasks, .maxTime, .maxCPUTime,
            .timeoutStopSec, .killSignal, .nice, .priority, .queue, .semaphore, .remainAfterExit,
            .type, .logLimit, .standardInput, .standardOutput, .loadCredential, .key, .shared,
            .requireEnd:
            serviceRow
        case .jail, .privateNetwork, .bindPaths, .bindReadOnlyPaths, .systemCallFilter,
            .systemCallArchitectures, .procSubset:
            jailRow
        case .check, .env, .arg, .command, .file, .input, .optional, .condition, .isThen, .rest:
            commandRow
        case .cron, .timeZone, .misfire, .overlap, .runIfRequires, .every, .items, .count,
            .maxParallel, .thenCommand, .thenArg:
            triggerRow
        }
    }

    private func one(
        _ section: UnitSection, _ type: DirectiveType, _ help: String,
        inPlan: Bool = true, later: Bool = false, name: String? = nil, arity: DirectiveArity = .one
    ) -> DirectiveTraits {
        one(section, type, nil, help, inPlan: inPlan, later: later, name: name, arity: arity)
    }

    private func one(
        _ section: UnitSection, _ type: DirectiveType, _ defaultText: String?, _ help: String,
        inPlan: Bool = true, later: Bool = false, name: String? = nil, arity: DirectiveArity = .one
    ) -> DirectiveTraits {
        DirectiveTraits(
            section: section, name: name ?? rawValue, type: type, arity: arity,
            defaultText: defaultText, help: help, isInPlan: inPlan, isCarriedOut: !later)
    }

    private func words(
        _ section: UnitSection, _ type: DirectiveType, _ help: String, inPlan: Bool = true,
        later: Bool = false
    ) -> DirectiveTraits {
        one(section, type, nil, help, inPlan: inPlan, later: later, arity: .words)
    }

    private var dependenciesRow: DirectiveTraits {
        switch self {
        case .requires:
            words(.dependencies, .unitName, "units that must succeed first", inPlan: false)
        case .wants:
            words(
                .dependencies, .unitName, "units that end first; their failure is ignored",
                inPlan: false)
        case .after:
            words(
                .dependencies, .unitName, "units that end first where they run at all",
                inPlan: false)
        case .before:
            words(
                .dependencies, .unitName, "units that start only after this one ended",
                inPlan: false)
        case .onSuccess:
            words(
                .dependencies, .unitName, "units that run after this one's success", inPlan: false)
        case .onFailure:
            words(
                .dependencies, .unitName, "units that run after this one's last failure",
                inPlan: false)
        case .packages:
            words(
                .dependencies, .package, "packages to install first, as package URLs",
                inPlan: false, later: true)
        case .packagesFrom:
            one(
                .dependencies, .commandLine, "a program that prints one package URL a line",
                inPlan: false, later: true)
        default: one(.dependencies, .text, "what the unit is for, in a few words")
        }
    }

    private var jailRow: DirectiveTraits {
        switch self {
        case .privateNetwork: one(.jail, .flag, "no", "no network but a loopback of its own")
        case .bindPaths: words(.jail, .bind, "paths of the host to show, writable: SOURCE[:TARGET]")
        case .bindReadOnlyPaths:
            words(.jail, .bind, "paths of the host to show, read-only: SOURCE[:TARGET]")
        case .systemCallFilter:
            words(.jail, .systemCall, "@debug gives tracing back; ~CALL and ~@GROUP refuse more")
        case .systemCallArchitectures:
            one(
                .jail, .choice(["native", "x86"]), "native",
                "whose programs run: native x86 adds 32-bit ones on x86-64",
                arity: .words)
        case .procSubset:
            one(.jail, .choice(["all", "pid"]), "all", "what of /proc is shown beside processes")
        default:
            one(
                .jail, .choice(["yes", "strict", "no"]), "yes",
                "strict: a limit that can't be had is an error; no: run without a jail")
        }
    }

    private var commandRow: DirectiveTraits {
        switch self {
        case .check:
            one(
                .checks, .namedCommand, "a command that must exit 0 before the command runs",
                name: "", arity: .lines)
        case .env:
            one(.environment, .assignment, "an environment variable", name: "", arity: .lines)
        case .arg:
            one(
                .args, .text, "arguments, split into words as a shell's quotes do",
                name: "args", arity: .lines)
        case .file:
            one(.plan, .file, "a file that the plan carries: PATH:MODE:SHA256", arity: .lines)
        case .input:
            one(
                .plan, .text, "a result that it finds in $TASK_INPUTS: NAME:PLACE:SHA256",
                arity: .lines)
        case .optional: one(.plan, .flag, "no", "yes: its failure does not fail the run")
        case .condition:
            one(.plan, .flag, "no", "yes: exit status 1 is no failure, what follows is skipped")
        case .isThen: one(.plan, .flag, "no", "yes: it is NAME.then, what [Then] of NAME says")
        case .rest: one(.plan, .flag, "no", "yes: it failed before and does not run this time")
        default: one(.command, .text, "the program: a path, or a name found on PATH")
        }
    }

    private var triggerRow: DirectiveTraits {
        switch self {
        case .cron:
            one(
                .runIf, .cron, "when to run: five fields, @daily and the like, or @reboot",
                inPlan: false, arity: .lines)
        case .timeZone: one(.runIf, .token, "the time zone of cron=; the machine's", inPlan: false)
        case .misfire:
            one(
                .runIf, .choice(["skip", "once", "all"]), "once",
                "what to do with times that passed while nothing ran", inPlan: false)
        case .overlap:
            one(
                .runIf, .choice(["skip", "queue", "allow"]), "skip",
                "what to do when the run before has not ended", inPlan: false)
        case .runIfRequires:
            one(
                .runIf, .commandLine, "a check that runs each Every=; 0 runs the unit, 1 does not",
                inPlan: false, name: "Requires")
        case .every: one(.runIf, .span, "1min", "how often to run the check", inPlan: false)
        case .items:
            words(
                .array, .text, "one run of the command each; @FILE takes a file's lines",
                inPlan: false)
        case .count:
            one(.array, .integer(1...10_000_000), "this many items, 0 to Count-1", inPlan: false)
        case .maxParallel:
            one(.array, .limit(1...1_000_000), "infinity", "items that run at once, at most")
        case .thenArg:
            one(
                .then, .text, "its arguments, split into words as a shell's quotes do",
                inPlan: false, name: "args", arity: .lines)
        default:
            one(
                .then, .commandLine, "a command that runs after all subtasks succeeded",
                inPlan: false, name: "command")
        }
    }
}

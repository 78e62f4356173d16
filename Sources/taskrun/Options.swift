// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel

/// The command line, parsed by hand: taskrun is forked from and started often, and stays small.
struct Options {
    enum Mode: Equatable {
        case help, version, tableVersion
        /// `taskrun UNIT [ARG...]`
        case unit(String, arguments: [String])
        /// `taskrun -`
        case plan
        /// `taskrun --plan UNIT`
        case show(String)
        /// `taskrun --pool`
        case pool
    }

    var mode = Mode.plan
    var slots: Int?
    var id: TaskID?
    var events: String?
    var spool: String?
    var isJSON = false
    /// A directory under project quotas for private files.
    var scratch: String?
    /// The table of the program that became this one (`Upgrade`), a descriptor.
    var resumed: Int32?
    /// Without anything to do for that long a pool ends.
    var idle = TimeSpan(microseconds: 60_000_000)

    /// What is wrong with the command line.
    struct Problem: Error {
        var what: String
    }

    init(_ arguments: [String]) throws(Problem) {
        var rest = arguments[...]
        var isPool = false
        var showsPlan = false
        while let word = rest.first, word.hasPrefix("-"), word != "-" {
            rest.removeFirst()
            if word == "--" { break }
            let (name, inline) = Self.divided(word)
            switch name {
            case "--help", "-h": mode = .help; return
            case "--version": mode = .version; return
            case "--table-version": mode = .tableVersion; return
            case "--pool": isPool = true
            case "--plan": showsPlan = true
            default: try set(name, Self.value(of: name, inline, &rest))
            }
        }
        try choose(isPool: isPool, showsPlan: showsPlan, Array(rest))
    }

    private mutating func choose(
        isPool: Bool, showsPlan: Bool, _ operands: [String]
    ) throws(Problem) {
        if isPool {
            guard operands.isEmpty else { throw Problem(what: "--pool takes no operand") }
            mode = .pool
            return
        }
        guard let first = operands.first else {
            throw Problem(what: "nothing to run: give a unit, or - for a plan on standard input")
        }
        var others = Array(operands.dropFirst())
        if showsPlan {
            if let word = others.first, word.hasPrefix("-") {  // the unit takes no arguments here
                var rest = others.dropFirst()
                let (name, inline) = Self.divided(word)
                try set(name, Self.value(of: name, inline, &rest))
                others = Array(rest)
            }
            guard others.isEmpty else { throw Problem(what: "--plan takes one unit") }
            mode = .show(first)
        } else if first == "-" {
            guard others.isEmpty else { throw Problem(what: "- takes no further operand") }
            mode = .plan
        } else {
            mode = .unit(first, arguments: others)
        }
    }

    private mutating func set(_ name: String, _ value: String) throws(Problem) {
        switch name {
        case "--slots":
            guard let number = Int(value), (1...4096).contains(number) else {
                throw Problem(what: "--slots=\(value): a number from 1 to 4096")
            }
            slots = number
        case "--id":
            guard let run = TaskID(value) else {
                throw Problem(what: "--id=\(value): an id has 26 characters")
            }
            id = run
        case "--idle":
            guard let span = TimeSpan(value) else {
                throw Problem(what: "--idle=\(value): a span such as 1min, or infinity")
            }
            idle = span
        case "--resume":
            guard let number = Int32(value), number > 2 else {
                throw Problem(what: "--resume=\(value): taskrun gives it to itself")
            }
            resumed = number
        case "--events": events = value
        case "--spool": spool = value
        case "--scratch": scratch = value
        case "-o", "--output":
            guard value == "json" || value == "text" else {
                throw Problem(what: "-o \(value): text or json")
            }
            isJSON = value == "json"
        default: throw Problem(what: "unknown option \(name): see taskrun --help")
        }
    }

    private static func divided(_ word: String) -> (String, String?) {
        guard word.hasPrefix("--"), let equals = word.firstIndex(of: "=") else {
            return (word, nil)
        }
        return (String(word[..<equals]), String(word[word.index(after: equals)...]))
    }

    private static func value(
        of name: String, _ inline: String?, _ rest: inout ArraySlice<String>
    ) throws(Problem) -> String {
        if let inline { return inline }
        let known = [
            "--slots", "--id", "--events", "--spool", "--idle", "--output", "-o", "--scratch",
            "--resume",
        ]
        guard known.contains(name) else {
            throw Problem(what: "unknown option \(name): see taskrun --help")
        }
        guard let next = rest.popFirst() else { throw Problem(what: "\(name) needs a value") }
        return next
    }

    static let help = """
        usage: taskrun [--slots=N] [--id=RUN] [--events=FILE] UNIT [ARG...]
               taskrun [--slots=N] [--id=RUN] -
               taskrun --plan [-o text|json] UNIT
               taskrun --pool [--slots=N] [--spool=DIR] [--idle=SPAN]
               taskrun --help | --version

        Runs tasks, each in its jail.

          UNIT             a unit file: run it after what it requires, its output here, and
                           return its status
          -                a plan on standard input (taskdep plan): run all, event lines here
          --plan           print how the unit's jail is built; run nothing
          --pool           serve taskd over SPOOL/run.sock

          --slots=N        attempts that run at once (4 a CPU)
          --id=RUN         the run's id (a new one)
          --events=FILE    write the event lines there
          --spool=DIR      the spool ($TASK_SPOOL)
          --scratch=DIR    private files that are large beside LimitMem= go there, under
                           project quotas (/var/lib/task/scratch)
          --idle=SPAN      without anything to do for that long the pool ends (1min)
          -o FORMAT        of --plan: text or json

        Example: taskdep plan site.task | taskrun - | tasklog append
        See taskrun(1).

        """
}

// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
public import TaskModel

/// The table of task-spool(7), asked of a spool: what is unfinished, and what can't be. Reads only.
public struct SpoolCheck {
    public private(set) var findings: [SpoolFinding] = []
    let survey: SpoolSurvey
    let root: Int32
    let pasts: [TaskID: RunPast]
    /// The text of a plan, by its digest, where the journal carries it.
    let planText: (String) -> String?

    /// - Parameters:
    ///   - root: the spool's directory.
    ///   - pasts: what the whole journal says of `survey.ids` and of live runs.
    ///   - planText: asked for plans that are not as their accept says.
    public init(
        _ survey: SpoolSurvey, root: Int32, pasts: [TaskID: RunPast],
        planText: @escaping (String) -> String?
    ) {
        self.survey = survey
        self.root = root
        self.pasts = pasts
        self.planText = planText
        checkRoot()
        for entry in survey.entries { check(entry) }
        for (id, places) in survey.plans { checkRun(id, places) }
        checkLost()
        findings.sort { ($0.place, $0.meaning) < ($1.place, $1.meaning) }
    }

    mutating func add(
        _ entry: SpoolSurvey.Entry, _ meaning: String, _ cure: SpoolFinding.Cure, _ next: String,
        isDamage: Bool = true, run: TaskID? = nil
    ) {
        findings.append(
            SpoolFinding(entry, meaning, cure, next: next, isDamage: isDamage, run: run))
    }

    // MARK: The spool itself

    private static let known: Set<String> = [
        "version", "owner", "checkpoint", "run.sock", "run.lock", "version.new", "outgoing",
        "lost+found",
    ]

    private mutating func checkRoot() {
        for directory in survey.missing { findings.append(SpoolFinding(missing: directory)) }
        for entry in survey.replaced {
            add(entry, "it is \(entry.kind), not a directory", .setAside, "taskd does not start")
        }
        for (directory, entry) in survey.directories {
            if entry.uid != survey.uid {
                add(
                    entry, "it belongs to uid \(entry.uid)", .owner,
                    "taskd does not start; chown it")
            } else if directory != .incoming, entry.mode & 0o077 != 0 || entry.mode & 0o700 != 0o700
            {
                add(
                    entry, "its mode is \(String(entry.mode, radix: 8))",
                    .permissions(directory.mode), "others may do there what only its owner may")
            }
        }
    }

    private mutating func check(_ entry: SpoolSurvey.Entry) {
        switch entry.directory {
        case nil: checkRootEntry(entry)
        case .incoming: checkDrop(entry)
        case .tmp: checkTemporary(entry)
        case .ready, .active, .deferred, .hold, .failed: checkState(entry)
        case .rejected: checkRejected(entry)
        case .journal:
            checkName(
                entry, [".open", ".sealed", ".zst", ".zst.new", ".torn", ".copy"],
                ["index.sqlite", ".reserve"])
        case .log: checkName(entry, [".log", ".zst", ".zst.new"], [])
        case .units:
            if entry.mode & 0o022 != 0, entry.isRegular {
                add(
                    entry, "others may write it", .permissions(0o600),
                    "nothing that names it is accepted")
            }
        }
    }

    private mutating func checkRootEntry(_ entry: SpoolSurvey.Entry) {
        guard let name = entry.text, Self.known.contains(name) else {
            return add(entry, "it is nothing of a spool's", .setAside, "taskd leaves it there")
        }
        if ["version", "owner", "checkpoint", "run.lock"].contains(name), !entry.isRegular {
            return add(
                entry, "it is \(entry.kind), not a file", .setAside, "taskd does not use it")
        }
        if name == "checkpoint", !isWhole(entry) {
            add(
                entry, "it is not whole", .setAside,
                "taskd ignores it and reads the whole journal")
        }
    }

    private func isWhole(_ entry: SpoolSurvey.Entry) -> Bool {
        guard let file = try? File.openBeneath("checkpoint", at: root, flags: .noFollow),
            let bytes = try? File.readAll(file.number, limit: Checkpoint.longest)
        else { return false }
        return Checkpoint(parsing: bytes) != nil
    }

    // The index has files of its own beside it while somebody reads it.
    private mutating func checkName(
        _ entry: SpoolSurvey.Entry, _ suffixes: [String], _ names: [String]
    ) {
        let name = entry.text ?? ""
        if entry.isRegular,
            suffixes.contains(where: { name.hasSuffix($0) })
                || names.contains(where: { name.hasPrefix($0) })
        {
            return
        }
        add(entry, "it is no segment", .setAside, "taskd leaves it there")
    }

    // MARK: incoming/ and rejected/

    private mutating func checkDrop(_ entry: SpoolSurvey.Entry) {
        let name = DropName(entry.name)
        if name == .temporary { return }
        if name == .unsafe || !entry.isRegular {
            let what =
                entry.isRegular ? "its name is not allowed" : "it is \(entry.kind), not a file"
            return add(entry, what, .start, "taskd moves it to rejected/", isDamage: false)
        }
        guard case .unit(_, let given) = name, let id = given, let past = pasts[id],
            past.accept != nil, !past.ends.isEmpty
        else { return }
        add(
            entry, "its run \(id) has ended", .start, "taskd unlinks it at its next start",
            isDamage: false, run: id)
    }

    private mutating func checkRejected(_ entry: SpoolSurvey.Entry) {
        guard let name = entry.text, !name.hasSuffix(".reason") else { return }
        let reason = try? status("\(name).reason", .rejected)
        if reason?.isRegular != true || reason?.size == 0 {
            add(entry, "it has no reason", .writeReason, "nothing else says why it is there")
        }
    }

    func status(_ name: String, _ directory: SpoolDirectory) throws(Errno) -> File.Status {
        let opened = try File.openDirectory(directory.rawValue, at: root)
        return try File.status(name, at: opened.number)
    }

    // MARK: tmp/

    private mutating func checkTemporary(_ entry: SpoolSurvey.Entry) {
        if entry.text == "checkpoint.new" || entry.name.first == UInt8(ascii: ".") { return }
        guard entry.isRegular else {
            return add(
                entry, "it is \(entry.kind), not a file", .setAside, "taskd leaves it there")
        }
        if let drop = TakenName(entry.name) { return checkTaken(entry, drop) }
        let id = TaskID(bytes: entry.name.prefix(TaskID.length))
        switch (id, String(decoding: entry.name.dropFirst(TaskID.length), as: UTF8.self)) {
        case (.some, ""), (.some, ".reason"), (.some, ".reduced"):
            add(
                entry, "it was being written", .start, "taskd unlinks it at its next start",
                isDamage: false, run: id)
        case (.some(let id), ".full"):
            add(
                entry, "its run has ended, and its plan is on its way to failed/", .start,
                "taskd finishes that at its next start", isDamage: false, run: id)
        default:
            add(
                entry, "no step of taskd makes it", .start,
                "taskd unlinks it when it is a day old", isDamage: false)
        }
    }

    private mutating func checkTaken(_ entry: SpoolSurvey.Entry, _ drop: TakenName) {
        let past = pasts[drop.id]
        let (what, next): (String, String)
        if past?.rejection != nil {
            (what, next) = ("its drop is bad", "taskd moves it to rejected/ at its next start")
        } else if let past, !past.ends.isEmpty {
            (what, next) = ("its run has ended", "taskd unlinks it at its next start")
        } else if survey.plans[drop.id] != nil || past?.accept != nil {
            (what, next) = ("it is accepted", "taskd unlinks it when its record is durable")
        } else {
            (what, next) = ("it is taken and not accepted", "taskd compiles it at its next start")
        }
        add(entry, what, .start, next, isDamage: false, run: drop.id)
    }

    // MARK: State directories

    private mutating func checkState(_ entry: SpoolSurvey.Entry) {
        if !entry.isRegular {
            add(entry, "it is \(entry.kind), not a plan", .setAside, "taskd leaves it there")
        } else if RunFileName(bytes: entry.name[...]) == nil {
            add(entry, "its name is none of a plan", .setAside, "taskd leaves it there")
        } else if entry.mode & 0o022 != 0 {
            add(
                entry, "its mode is \(String(entry.mode, radix: 8))", .permissions(0o600),
                "others may change what runs")
        }
    }

    /// An accept or a retry, no end, and no file.
    private mutating func checkLost() {
        for (id, past) in pasts
        where past.isLive && survey.plans[id] == nil && survey.taken[id] == nil
            && !survey.full.contains(id) && !survey.away.contains(id)
        {
            findings.append(
                SpoolFinding(
                    lost: id, "it was accepted, has not ended, and no file stands for it",
                    next: "taskd ends it as cancelled at its next start, or after a power failure "
                        + "writes its plan again"))
        }
    }
}

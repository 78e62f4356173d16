// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel

/// The plans of one run.
extension SpoolCheck {
    typealias Found = (place: PlanPlace, entry: SpoolSurvey.Entry)

    /// What stands in a plan's file.
    enum Content {
        case valid(Plan, digest: String)
        case torn(String)
        case gone
    }

    func content(_ place: PlanPlace) -> Content {
        do {
            let directory = try File.openDirectory(place.directory.rawValue, at: root)
            let file = try File.openBeneath(
                place.file.description, at: directory.number, flags: [.noFollow, .nonBlocking])
            guard let bytes = try File.readAll(file.number, limit: Spool.longestPlan) else {
                return .torn("it is too large")
            }
            return .valid(try Plan(parsing: bytes), digest: Plan.digest(ofEncoded: bytes) ?? "")
        } catch let error as PlanError {
            return .torn(error.sentence)
        } catch let error as Errno where error == .noSuchFileOrDirectory {
            return .gone
        } catch {
            return .torn("it cannot be read: \(error)")
        }
    }

    mutating func checkRun(_ id: TaskID, _ places: [Found]) {
        let past = pasts[id] ?? RunPast()
        var found = places
        if places.count > 1 {
            let best = places.max { rank($0.place, past) < rank($1.place, past) }
            for other in places where other.entry != best?.entry {
                add(
                    other.entry,
                    "the same run is in \(best.map { "\($0.place)" } ?? "another place")",
                    .setAside, "so does taskd at its next start", run: id)
            }
            found = places.filter { $0.entry == best?.entry }
        }
        for one in found { checkPlan(id, one, past) }
    }

    /// The plan of a run that the journal rather names: taskd chooses by the same order.
    func rank(_ place: PlanPlace, _ past: RunPast) -> Int {
        guard case .valid(_, let digest) = content(place) else {
            return PlanRank.of(place, past, digest: nil)
        }
        return PlanRank.of(place, past, digest: digest)
    }

    private mutating func checkPlan(_ id: TaskID, _ found: Found, _ past: RunPast) {
        let (place, entry) = found
        let file = place.file
        if let generation = unknown(file, past) {
            let better = RunFileName(
                run: id, attempt: file.attempt, generation: generation)
            return add(
                entry, "nobody asked for a generation \(file.generation) of it", .rename(better),
                "taskd would run it as a retry", run: id)
        }
        let isEnded = past.ends[file.generation] != nil
        if isEnded {
            add(
                entry, "that generation has ended", .start,
                "taskd finishes step 6 at its next start", isDamage: false, run: id)
        } else if place.directory == .failed, !past.isAtRest(file.generation) {
            add(
                entry, "its owner put it there", .start, "taskd cancels the run",
                isDamage: false, run: id)
        }
        switch content(place) {
        case .gone: return
        case .torn(let why): torn(id, found, past, why, isEnded: isEnded)
        case .valid(let plan, let digest):
            if file.attempt > 1, !plan.isSingle {
                add(
                    entry, "only a run of one task has its attempt in its name",
                    .rename(RunFileName(run: id, generation: file.generation)),
                    "taskd takes no notice of it", run: id)
            }
            exchanged(id, found, past, digest, isEnded: isEnded)
        }
    }

    /// The generation that a name should have: its own is later than any that was asked for or could be.
    private func unknown(_ file: RunFileName, _ past: RunPast) -> Int? {
        guard past.accept != nil || !past.ends.isEmpty || past.generation > 0 else { return nil }
        let next = max(past.generation, (past.ends.keys.max() ?? -1) + 1)
        return file.generation > next ? next : nil
    }

    private mutating func torn(
        _ id: TaskID, _ found: Found, _ past: RunPast, _ why: String, isEnded: Bool
    ) {
        if let text = text(of: past), found.place.file.generation == 0 || isSingle(text) {
            return add(found.entry, why, .rewrite, "so does taskd where the run is live", run: id)
        }
        if isEnded || past.isLive || past.accept == nil && survey.taken[id] != nil {
            let next =
                isEnded
                ? "taskd settles it at its next start: the run has ended"
                : past.accept == nil && survey.taken[id] != nil
                    ? "taskd compiles it again at its next start"
                    : "taskd moves it to rejected/ at its next start and ends the run (changed)"
            return add(found.entry, why, .start, next, run: id)
        }
        add(found.entry, why, .setAside, "taskd does not run it", run: id)
    }

    /// A whole plan that is not the one that was accepted.
    private mutating func exchanged(
        _ id: TaskID, _ found: Found, _ past: RunPast, _ digest: String, isEnded: Bool
    ) {
        guard found.place.file.generation == 0, !isEnded, let accepted = past.accept?.digest,
            accepted != digest
        else { return }
        let what = "it is not the plan that was accepted"
        if text(of: past) != nil {
            add(found.entry, what, .rewrite, "taskd would run it", run: id)
        } else {
            add(found.entry, what, .setAside, "taskd would run it", run: id)
        }
    }

    /// The plan that an accept stands for.
    public func text(of past: RunPast) -> String? {
        past.accept.flatMap { $0.plan ?? $0.digest.flatMap(planText) }
    }

    private func isSingle(_ text: String) -> Bool {
        (try? Plan(parsing: Array(text.utf8)))?.isSingle ?? false
    }
}

/// Which of two plans of one run stays: higher is what the journal rather names.
public enum PlanRank {
    /// - Parameter digest: that of the plan in the file; nil where it is torn.
    public static func of(_ place: PlanPlace, _ past: RunPast, digest: String?) -> Int {
        let file = place.file
        var rank = 0
        let isLive = past.ends[file.generation] == nil
        let isOfGeneration = file.generation == past.generation
        if isLive { rank += isOfGeneration ? 200 : place.directory == .failed ? 150 : 100 }
        if let digest {
            rank += 1000
            if digest == past.accept?.digest { rank += 50 }
        }
        let expected: SpoolDirectory =
            past.isHeld
            ? .hold
            : past.hasOpenAttempt ? .active : past.waitsForTime ? .deferred : .ready
        if place.directory == expected { rank += 20 }
        return rank + (SpoolDirectory.states.firstIndex(of: place.directory).map { 5 - $0 } ?? 0)
    }
}

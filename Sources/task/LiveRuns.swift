// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import TaskSpool
import TaskTool

/// Where one run's file lies now. It may move the next moment: every use looks again when the
/// file is gone.
struct RunPlace: Equatable {
    var directory: SpoolDirectory
    /// The name there: `ID`, `ID:ATTEMPT+GENERATION`, or `ID@NAME` before it is accepted.
    var file: String
    var run: TaskID
    /// From 0; counts the retries of an operator.
    var generation = 0
    /// From 1, where the name carries it.
    var attempt = 1
    /// TASK_NAME, where the file's name carries it.
    var name: String?
}

/// The runs that have a file in the spool, found by reading directories, never the journal.
struct LiveRuns {
    let spool: Spool

    init(_ choice: SpoolPath) throws(ToolError) {
        _ = try choice.open()
        do {
            spool = try Spool(path: choice.path)
        } catch {
            throw ToolError(
                error.sentence + ", nothing was done", status: ExitStatus.unavailable)
        }
    }

    /// Directories in which a run may be found. taskd moves runs from left to right, so that one
    /// that moves while this reads is rather seen twice than not at all.
    static let directories: [SpoolDirectory] = [
        .incoming, .tmp, .ready, .deferred, .hold, .active, .failed,
    ]

    /// Calls the body for every file of a run.
    func each(
        in directories: [SpoolDirectory] = LiveRuns.directories, _ body: (RunPlace) -> Void
    ) throws(ToolError) {
        for directory in directories {
            do {
                try spool.names(in: directory) { bytes in
                    if let place = Self.place(bytes, directory) { body(place) }
                }
            } catch {
                throw ToolError(
                    unableTo: "read", "\(spool.path)/\(directory.rawValue)", error,
                    "nothing was done")
            }
        }
    }

    private static func place(_ bytes: [UInt8], _ directory: SpoolDirectory) -> RunPlace? {
        let file = String(decoding: bytes, as: UTF8.self)
        if directory == .incoming || directory == .tmp {
            guard let taken = TakenName(bytes) else { return nil }
            return RunPlace(
                directory: directory, file: file, run: taken.id,
                name: UnitName.of(taken.name))
        }
        guard let name = RunFileName(bytes: bytes[...]) else { return nil }
        return RunPlace(
            directory: directory, file: file, run: name.run, generation: name.generation,
            attempt: name.attempt)
    }

    /// All places of one run, the furthest on its way last.
    func places(of run: TaskID) throws(ToolError) -> [RunPlace] {
        var found: [RunPlace] = []
        try each { if $0.run == run { found.append($0) } }
        return found
    }

    /// Whether the spool has a tasklink.
    var isClustered: Bool { (try? File.status("outgoing", at: spool.rootNumber)) != nil }

    /// Where it is on its way to other nodes, or back; nil where it is not.
    func outgoing(of run: TaskID) -> OutgoingName? {
        guard
            let directory = try? File.openBeneath(
                "outgoing", at: spool.rootNumber, flags: .directory),
            let stream = try? DirectoryStream(".", at: directory.number)
        else { return nil }
        while let bytes = (try? stream.next()) ?? nil {
            guard let name = OutgoingName(bytes: bytes), name.file.run == run,
                name.kind == .exported || name.kind == .sent
            else { continue }
            return name
        }
        return nil
    }

    /// The run's plan, from whatever state directory it lies in; nil when it is in none.
    func plan(of run: TaskID) throws(ToolError) -> [UInt8]? {
        for _ in 0..<Self.tries {
            guard
                let place = try places(of: run).last(where: {
                    $0.directory != .incoming && $0.directory != .tmp
                })
            else { return nil }
            do {
                return try spool.read(place.file, place.directory, limit: Spool.longestPlan)
            } catch Errno.noSuchFileOrDirectory {
                continue  // it moved on
            } catch {
                throw ToolError(
                    unableTo: "read", "\(place.directory.rawValue)/\(place.file)", error)
            }
        }
        return nil
    }

    /// How often a file that moves is looked for again.
    static let tries = 50

    /// TASK_NAME of a plan: its last task that the run needs is what was submitted, or the [Then] of
    /// that; see `Plan.name`. Reads no further than the tasks' lines, and parses none.
    static func unitName(ofPlan bytes: [UInt8]) -> String? {
        var name: ArraySlice<UInt8>?
        var last: ArraySlice<UInt8>?
        let head = Plan.head(ofEncoded: bytes)
        for line in head.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            let words = line.split(separator: UInt8(ascii: " "), maxSplits: 3)
            guard words.count >= 3, words[0].elementsEqual("task".utf8) else { continue }
            let fields = words.count > 3 ? words[3].split(separator: UInt8(ascii: " ")) : []
            let isThen = fields.contains(Array("then=yes".utf8)[...])
            last = isThen ? words[2].dropLast(TaskSpec.thenSuffix.utf8.count) : words[2]
            if !fields.contains(Array("optional=yes".utf8)[...]) { name = last }
        }
        return (name ?? last).flatMap { PercentCoding.decodeText($0) }
    }
}

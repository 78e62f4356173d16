// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import TaskSpool
import TaskTool

/// Several units on standard input, divided by lines `---`: one plan, one fsync.
struct UnitStream {
    /// The file name of the drop.
    var file: String
    var plan: Plan
    /// The text of a single unit with [RunIf].
    var definition: [UInt8]?
    /// The task of each unit in the plan; a single nil where there is one unit, the whole run.
    var tasks: [Int?]

    var drop: Drop { definition.map { Drop(name: file, bytes: $0) } ?? Drop(name: file, plan) }

    /// Bytes of standard input that are read at most.
    static let longest = 256 << 20

    /// Reads all of standard input and compiles it.
    ///
    /// - Throws: exit 2 without a sentence where diagnostics have been printed.
    init(reading name: String, _ compiler: UnitCompiler) throws(ToolError) {
        if let problem = DropFileName.problem(name) {
            throw ToolError("unable to use --name=\(name): \(problem)", status: ExitStatus.usage)
        }
        let bytes = try Self.standardInput()
        // The texts in a plan may have any lines.
        let parts = Spool.isPlan(bytes) ? [bytes[...]] : Self.split(bytes)
        if parts.count > 1 {
            try self.init(merging: parts, name, compiler)
            return
        }
        guard let one = try compiler.compile(standardInput: Array(parts[0]), name: name) else {
            throw ToolError("", status: ExitStatus.usage)
        }
        self.init(file: name, plan: one.plan, definition: one.definition, tasks: [nil])
    }

    private init(file: String, plan: Plan, definition: [UInt8]?, tasks: [Int?]) {
        self.file = file
        self.plan = plan
        self.definition = definition
        self.tasks = tasks
    }

    private static func standardInput() throws(ToolError) -> [UInt8] {
        let bytes: [UInt8]?
        do {
            bytes = try File.readAll(0, limit: longest)
        } catch {
            throw ToolError(unableTo: "read", "standard input", error, "nothing was done")
        }
        if let bytes { return bytes }
        throw ToolError(
            "unable to read standard input: it has more than \(longest) bytes, nothing was done",
            status: ExitStatus.usage)
    }

    static func split(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        var parts: [ArraySlice<UInt8>] = []
        var start = 0
        var line = 0
        while line < bytes.count {
            let end = bytes[line...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
            if bytes[line..<end].elementsEqual("---".utf8) {
                parts.append(bytes[start..<line])
                start = min(end + 1, bytes.count)
            }
            line = end + 1
        }
        parts.append(bytes[start...])
        // A divider before the first or after the last unit divides nothing.
        let isEmpty = { (part: ArraySlice<UInt8>) in part.allSatisfy { $0 == 0x0a || $0 == 0x20 } }
        let filled = parts.filter { !isEmpty($0) }
        return filled.isEmpty ? [bytes[...]] : filled
    }

    private init(
        merging parts: [ArraySlice<UInt8>], _ name: String, _ compiler: UnitCompiler
    ) throws(ToolError) {
        var merger = PlanMerger()
        var isWrong = false
        let stem = UnitName.of(name)
        let suffix = name.dropFirst(stem.utf8.count)
        for (index, part) in parts.enumerated() {
            let own = "\(stem)-\(index + 1)\(suffix)"
            guard let one = try compiler.compile(standardInput: Array(part), name: own) else {
                isWrong = true
                continue
            }
            if one.definition != nil {
                reporter.error("\(own) has [RunIf]: submit it alone, it is installed, not run")
                isWrong = true
            } else if let problem = merger.add(one.plan) {
                reporter.error("\(own): \(problem)")
                isWrong = true
            }
        }
        if isWrong { throw ToolError("", status: ExitStatus.usage) }
        self.init(file: name, plan: merger.plan, definition: nil, tasks: merger.roots)
    }
}

/// Puts plans one behind another. A task of the same name and meaning is the same task.
struct PlanMerger {
    private(set) var plan = Plan()
    /// The number of each plan's root.
    private(set) var roots: [Int] = []
    private var numbers: [String: Int] = [:]
    private var blobs: Set<BlobKey> = []
    private var pairs: Set<PlanEdge> = []

    /// What is there once: a file by its bytes, other blobs by their name as well.
    private struct BlobKey: Hashable {
        var kind: PlanBlob.Kind
        var name: String
        var digest: String
    }

    /// Adds a plan; what is wrong where it can't stand beside the others.
    mutating func add(_ other: Plan) -> String? {
        var renumbered: [Int: Int] = [:]
        for task in other.tasks {
            guard let number = numbers[task.spec.name] else {
                let number = plan.tasks.count
                numbers[task.spec.name] = number
                renumbered[task.number] = number
                plan.tasks.append(PlanTask(number: number, spec: task.spec))
                continue
            }
            guard share(number, task.spec), haveSameItems(number, task.number, other) else {
                return "\(task.spec.name) means two things in one stream: submit the units as files"
            }
            renumbered[task.number] = number
        }
        return addEdges(other, renumbered)
    }

    private func haveSameItems(_ number: Int, _ there: Int, _ other: Plan) -> Bool {
        plan.listedItems(of: number) == other.listedItems(of: there)
            && plan.itemList(of: number)?.bytes == other.itemList(of: there)?.bytes
    }

    // What one unit needs is needed, though another may do without.
    private mutating func share(_ number: Int, _ spec: TaskSpec) -> Bool {
        var (one, other) = (plan.tasks[number].spec, spec)
        let isOptional = one.flag(.optional) && other.flag(.optional)
        one[.optional] = []
        other[.optional] = []
        guard one == other else { return false }
        one[.optional] = isOptional ? ["yes"] : []
        plan.tasks[number].spec = one
        return true
    }

    private mutating func addEdges(_ other: Plan, _ renumbered: [Int: Int]) -> String? {
        for edge in other.edges {
            guard let from = renumbered[edge.from], let to = renumbered[edge.to] else { continue }
            if from >= to {
                return "\(plan.tasks[from].spec.name) would run before itself: other units of the "
                    + "stream order it in another way; submit the units as files"
            }
            let moved = PlanEdge(from: from, to: to, kind: edge.kind)
            if pairs.insert(moved).inserted { plan.edges.append(moved) }
        }
        for items in other.items {
            guard let task = renumbered[items.task] else { continue }
            if plan.items.contains(where: { $0.task == task }) { continue }
            plan.items.append(PlanItems(task: task, count: items.count, first: items.first))
        }
        addBlobs(other, renumbered)
        if let root = other.root { roots.append(renumbered[root.number] ?? 0) }
        return nil
    }

    private mutating func addBlobs(_ other: Plan, _ renumbered: [Int: Int]) {
        for blob in other.blobs {
            var blob = blob
            if blob.kind == .items, let task = Int(blob.name).flatMap({ renumbered[$0] }) {
                blob = PlanBlob(kind: .items, name: "\(task)", bytes: blob.bytes)
            }
            let key = BlobKey(
                kind: blob.kind, name: blob.kind == .file ? "" : blob.name, digest: blob.digest)
            if blobs.insert(key).inserted { plan.blobs.append(blob) }
        }
    }
}

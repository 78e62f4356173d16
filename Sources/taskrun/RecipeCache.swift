// SPDX-License-Identifier: Apache-2.0
import TaskJail
import TaskModel

/// Makes recipes, and remembers those of late: most tasks differ in their id and name only.
///
/// A job line is hostile input: what is wrong with it becomes the end of its attempt.
struct RecipeCache {
    private struct Key: Hashable {
        /// All directives; carried files by their digest.
        var fields: [UInt8]
        /// What asks systemd is found elsewhere (`DirectProgram`).
        var asksSystemd: Bool
        /// The text of the item, where others of the fields than programs have a `%i`; empty for any item
        /// where there is a `%i` or `%%`.
        var item: String?

        init(_ fields: [UInt8], _ name: String, _ item: String?) {
            self.fields = fields
            asksSystemd = name.hasPrefix("systemd:")
            guard let item else { return }
            let marks = ItemText.marks(in: fields[...])
            self.item = marks.item ? item : marks.any ? "" : nil
        }
    }

    private let owner: TaskOwner
    private var known: [Key: Recipe] = [:]
    private var keptBytes = 0
    private static let most = 256
    private static let mostBytes = 8 << 20

    init(owner: TaskOwner = .caller) { self.owner = owner }

    /// The recipe of a job of taskd.
    mutating func recipe(for job: PoolJob) -> Recipe {
        // A copy: the slice would keep its whole packet.
        let key = Key(Array(job.fields), job.name, job.itemText)
        if !job.inputs.isEmpty { return makeOwn(job, key) }
        if let recipe = known[key] { return recipe }
        let recipe = make(job, key.item)
        recipe.hasSubmit = true
        return remember(recipe, as: key)
    }

    /// The recipe of a plan's task, or of an item of it.
    mutating func recipe(for task: PlanTask, item: String?, in plan: Plan) -> Recipe {
        var fields: [UInt8] = []
        task.spec.append(to: &fields)
        let key = Key(fields, task.spec.name, item)
        if let recipe = known[key] { return recipe }
        let files = JailFile.files(of: task, in: plan)
        let recipe =
            key.item.map { Recipe(task.spec, item: $0, files: files) }
            ?? Recipe(task.spec, files: files)
        return remember(recipe, as: key)
    }

    /// What it is given is its own: it is not remembered.
    private func makeOwn(_ job: PoolJob, _ key: Key) -> Recipe {
        guard job.inputs.reduce(0, { $0 + $1.bytes.count }) <= ResultPlace.largestInputs else {
            return Recipe(
                refusing: job.name,
                "the results of its dependencies have more than \(ResultPlace.largestInputs) bytes")
        }
        let recipe = make(job, key.item)
        recipe.hasSubmit = true
        recipe.source = key.fields
        recipe.inputs = job.inputs.map {
            JailFile(path: $0.name, mode: 0o444, bytes: Array($0.bytes), digest: $0.sha256)
        }
        return recipe
    }

    private mutating func remember(_ recipe: Recipe, as key: Key) -> Recipe {
        recipe.source = key.fields
        // The next job may bring what was missing.
        if recipe.problem != nil { return recipe }
        // Nor that of one item's text: it does not come again.
        if key.item.map({ !$0.isEmpty }) ?? false { return recipe }
        let bytes = key.fields.count + recipe.files.reduce(0) { $0 + $1.bytes.count }
        keptBytes += bytes
        if known.count >= Self.most || keptBytes > Self.mostBytes {
            known.removeAll(keepingCapacity: true)
            keptBytes = bytes
        }
        known[key] = recipe
        return recipe
    }

    private func make(_ job: PoolJob, _ item: String?) -> Recipe {
        let spec: TaskSpec
        do throws(TaskSpecError) {
            spec = try TaskSpec(name: job.name, parsing: job.fields)
        } catch {
            return Recipe(
                refusing: job.name,
                "the job can't be understood: \(error.key): \(error.problem.what): "
                    + error.problem.allowed)
        }
        var files: [JailFile] = []
        for value in spec[.file] {
            guard let file = Self.file(value, job) else {
                return Recipe(refusing: job.name, "the job's file \(value) came without its bytes")
            }
            files.append(file)
        }
        if let item { return Recipe(spec, item: item, files: files, owner: owner) }
        return Recipe(spec, files: files, owner: owner)
    }

    /// A carried file, checked against the digest that names it.
    private static func file(_ value: String, _ job: PoolJob) -> JailFile? {
        guard let name = JailFile.FileName(value),
            let blob = job.blobs.first(where: { $0.sha256 == name.digest }),
            SHA256.hex(blob.bytes) == name.digest
        else { return nil }
        return JailFile(
            path: name.path, mode: name.mode, bytes: Array(blob.bytes), digest: name.digest)
    }
}

// SPDX-License-Identifier: Apache-2.0
import TaskJail
import TaskModel

/// Makes recipes of job lines, and remembers those of late: jobs of one unit differ in their id only.
///
/// A job line is hostile input: what is wrong with it becomes the end of its attempt.
struct RecipeCache {
    private struct Key: Hashable {
        var name: String
        var fields: ArraySlice<UInt8>
    }

    private var known: [Key: Recipe] = [:]
    private static let most = 256

    mutating func recipe(for job: PoolJob) -> Recipe {
        guard job.blobs.isEmpty else { return Self.make(job) }
        // A copy: the slice would keep its whole packet.
        let key = Key(name: job.name, fields: Array(job.fields)[...])
        if let recipe = known[key] { return recipe }
        let recipe = Self.make(job)
        if known.count >= Self.most { known.removeAll(keepingCapacity: true) }
        known[key] = recipe
        return recipe
    }

    private static func make(_ job: PoolJob) -> Recipe {
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
            guard let file = file(value, job) else {
                return Recipe(refusing: job.name, "the job's file \(value) came without its bytes")
            }
            files.append(file)
        }
        return Recipe(spec, files: files)
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

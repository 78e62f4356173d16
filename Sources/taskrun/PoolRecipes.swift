// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// The recipes of a spool's jobs, and the bytes that those in use cost their owner: jobs that share a
/// recipe pay for it once.
struct PoolRecipes {
    private let owner: PoolOwner
    private var cache: RecipeCache
    /// How many jobs use a recipe, and what it costs.
    private var uses: [ObjectIdentifier: (jobs: Int, bytes: Int)] = [:]

    init(owner: PoolOwner) {
        self.owner = owner
        cache = RecipeCache(owner: owner.task)
    }

    /// The recipe of another job.
    mutating func take(for job: PoolJob) throws(PoolFault) -> Recipe {
        let bytes =
            job.fields.count + (job.blobs + job.inputs).reduce(1024) { $0 + $1.bytes.count }
        guard owner.jobBytes + bytes <= PoolOwner.mostJobBytes else {
            throw PoolFault(
                sentence:
                    "more than \(PoolOwner.mostJobBytes >> 20) MiB of jobs that have not ended")
        }
        let recipe = cache.recipe(for: job)
        let key = ObjectIdentifier(recipe)
        if uses[key] == nil { owner.jobBytes += bytes }
        uses[key, default: (0, bytes)].jobs += 1
        return recipe
    }

    /// A job has ended.
    mutating func giveBack(_ recipe: Recipe) {
        let key = ObjectIdentifier(recipe)
        guard let use = uses[key] else { return }
        uses[key]?.jobs -= 1
        if use.jobs > 1 { return }
        uses[key] = nil
        owner.jobBytes -= use.bytes
    }
}

// SPDX-License-Identifier: Apache-2.0
import TaskJail
import TaskModel

extension JailFile {
    /// The files that a task's `file=` values name, with their bytes out of the plan.
    static func files(of task: PlanTask, in plan: Plan) -> [JailFile] {
        task.spec[.file].compactMap { value in
            guard let name = FileName(value),
                let blob = plan.blob(.file, digest: name.digest)
            else { return nil }
            return JailFile(
                path: name.path, mode: name.mode, bytes: blob.bytes, digest: name.digest)
        }
    }

    /// `PATH:MODE:SHA256` in its parts.
    struct FileName {
        var path: String
        var mode: UInt32
        var digest: String

        init?(_ value: String) {
            let parts = value.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count >= 3, let mode = UInt32(parts[parts.count - 2], radix: 8) else {
                return nil
            }
            path = parts.dropLast(2).joined(separator: ":")
            self.mode = mode
            digest = String(parts[parts.count - 1])
        }
    }
}

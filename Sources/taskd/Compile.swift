// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskSpool

/// What a drop's bytes come to.
enum Compiled {
    case plan(Plan, encoded: [UInt8])
    /// A unit with [RunIf]: it is installed as units/NAME.
    case definition(String)
    /// Lines `file:line:column: what is wrong: what is allowed`.
    case bad(String)
}

/// Step 2: bytes and name of a drop become a plan. Reads only definitions, never a user's path.
func compile(name: String, _ bytes: [UInt8], _ spool: Spool) -> Compiled {
    if Spool.isPlan(bytes) {
        do {
            return .plan(try Plan(parsing: bytes), encoded: bytes)
        } catch {
            return .bad("\(name): \(error.sentence)")
        }
    }
    return .bad("\(name): only plans yet")
}

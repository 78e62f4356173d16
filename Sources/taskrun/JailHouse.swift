// SPDX-License-Identifier: Apache-2.0
import Linux
import TaskModel

/// Makes jailed sessions.
final class JailHouse {
    func session(
        _ job: Job, slot: Slot, loop: EventLoop, delegate: any SessionDelegate
    ) throws(SessionFailure) -> any Session {
        throw SessionFailure(reason: .jail, exit: 226, what: "no jail yet: set Jail=no")
    }
}

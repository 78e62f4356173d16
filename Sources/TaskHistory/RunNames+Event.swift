// SPDX-License-Identifier: Apache-2.0
import TaskModel

extension RunNames {
    /// Those of an accept, or of what is recorded in place of one.
    init(_ event: RawEvent) { self.init(name: event.text("name"), unit: event.text("unit")) }
}

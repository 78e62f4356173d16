// SPDX-License-Identifier: Apache-2.0
public import TaskModel
public import TaskUnit

/// What the journal says of a unit that runs by itself: which of its slots are accounted for.
public struct FiringPast: Equatable, Sendable {
    public var slots = FiredSlots()
    /// The boot in which its @reboot has run, or was armed too late to; the kernel's boot id.
    public var boot: String?

    public init() {}

    /// What an event says: an accept, skip or reject of a slot, an arm of @reboot.
    public mutating func add(_ line: EventLine) {
        if let slot = line["cron"].flatMap({ Int64($0) }) {
            slots.add(slot, continues: line["missed"] == nil)
        }
        if let boot = line["boot"] { self.boot = boot }
    }

    /// The id of a firing, which exists once: of the slot's time (microseconds since 1970), and of whose
    /// unit it is.
    public static func id(slot: Int64, unit: String, owner: UInt32) -> TaskID {
        TaskID(
            milliseconds: UInt64(max(slot, 0) / 1000),
            derivedFrom: Array("cron\0\(owner)\0\(unit)".utf8))
    }

    /// The id of @reboot's firing: the same bits in one boot, whatever the clock says.
    public static func id(
        boot: String, at time: Int64, unit: String, owner: UInt32
    ) -> TaskID {
        TaskID(
            milliseconds: UInt64(max(time, 0) / 1000),
            derivedFrom: Array("reboot\0\(owner)\0\(unit)\0\(boot)".utf8))
    }

    /// What an id says of the firing that it is of; nil: it is of none of the unit's.
    public static func fields(
        of id: TaskID, unit: String, owner: UInt32, boot: String
    ) -> [EventLine.Field]? {
        let slot = Int64(id.milliseconds) * 1000
        if id == self.id(slot: slot, unit: unit, owner: owner) {
            return [.init("cron", String(slot))]
        }
        if id == self.id(boot: boot, at: slot, unit: unit, owner: owner) {
            return [.init("boot", boot)]
        }
        return nil
    }

    func append(_ unit: String, to bytes: inout [UInt8]) {
        var line = "cron \(PercentCoding.encode(unit))"
        if !slots.spans.isEmpty { line += " slots=\(slots.text)" }
        if let boot { line += " boot=\(PercentCoding.encode(boot))" }
        bytes.append(contentsOf: "\(line)\n".utf8)
    }

    init?(_ fields: [String: String]) {
        guard let slots = FiredSlots(fields["slots"] ?? "") else { return nil }
        self.slots = slots
        boot = fields["boot"]
    }
}

// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// What a key or section that nobody knows was probably meant to be.
enum Spelling {
    /// What to write instead of an unknown section.
    static func section(_ name: String) -> String {
        switch name {
        case "Unit": return "write [Dependencies]"
        case "Install": return "leave it out; [RunIf] says when a unit runs"
        case "Timer": return "write [RunIf] with cron="
        case "Exec": return "write [Service]"
        default: break
        }
        let names = UnitSection.allCases.filter { $0 != .plan }.map(\.rawValue)
        if let near = nearest(name, names) { return "write [\(near)]" }
        return "one of " + names.map { "[\($0)]" }.joined(separator: " ")
    }

    /// What to write instead of a key that its section does not have.
    static func key(_ name: String, in section: UnitSection?) -> String {
        if let words = systemd(name) { return words }
        let known = Directive.allCases.filter { $0.traits.section != .plan }
        if let other = known.first(where: { $0.traits.name == name }) {
            return "\(name)= stands in [\(other.traits.section.rawValue)]"
        }
        let here = known.filter { section == nil || $0.traits.section == section }.map(
            \.traits.name)
        if let near = nearest(name, here) { return "write \(near)=" }
        let match = nearest(name, known.map(\.traits.name))
        if let match, let other = known.first(where: { $0.traits.name == match }) {
            return "write \(match)= in [\(other.traits.section.rawValue)]"
        }
        let allowed = here.filter { !$0.isEmpty }.map { $0 + "=" }.joined(separator: " ")
        return allowed.isEmpty ? "see task.unit(5)" : "one of \(allowed)"
    }

    /// systemd's spellings where the thing has another name here.
    private static func systemd(_ name: String) -> String? {
        switch name {
        case "MemoryMax", "MemoryLimit", "LimitAS", "LimitRSS", "LimitDATA": "write LimitMem="
        case "RuntimeMaxSec", "TimeoutSec", "TimeoutStartSec", "JobTimeoutSec": "write MaxTime="
        case "CPUQuota": "write LimitCPU="
        case "TasksMax", "LimitNPROC": "write LimitTasks="
        case "LimitFSIZE": "write LimitDisk="
        case "ExecStart": "write command= in [Command]"
        case "ExecStartPre", "ExecCondition": "write NAME= in [Checks]"
        case "Environment", "PassEnvironment": "write NAME=VALUE lines in [Environment]"
        case "OnCalendar": "write cron= in [RunIf]"
        case "OnUnitActiveSec", "OnBootSec": "write cron= or Every= in [RunIf]"
        case "Requisite", "BindsTo", "PartOf", "Upholds": "write Requires="
        case "StartLimitBurst": "write Restart=N"
        case "StandardError": "StandardOutput= is for both"
        case "RootDirectory", "PrivateTmp", "ProtectSystem", "ProtectHome", "NoNewPrivileges":
            "leave it out; the jail does that"
        case "WantedBy", "RequiredBy": "leave it out; [RunIf] says when a unit runs"
        default: nil
        }
    }

    /// The candidate with the fewest edits, where they are few enough for a slip.
    static func nearest(_ name: String, _ candidates: [String]) -> String? {
        let wanted = Array(name.lowercased().utf8)
        guard !wanted.isEmpty, wanted.count <= 64 else { return nil }
        let limit = max(1, wanted.count / 3)
        var best: (name: String, edits: Int)?
        for candidate in candidates where !candidate.isEmpty {
            let edits = distance(wanted, Array(candidate.lowercased().utf8))
            if edits <= limit, edits < best?.edits ?? .max { best = (candidate, edits) }
        }
        return best?.name
    }

    /// Levenshtein's distance, with a swap of neighbours as one edit.
    private static func distance(_ one: [UInt8], _ other: [UInt8]) -> Int {
        var before: [Int] = []
        var above = Array(0...other.count)
        for (i, byte) in one.enumerated() {
            var row = [i + 1]
            for (j, against) in other.enumerated() {
                var edits = min(above[j + 1], row[j]) + 1
                edits = min(edits, above[j] + (byte == against ? 0 : 1))
                if i > 0, j > 0, byte == other[j - 1], one[i - 1] == against {
                    edits = min(edits, before[j - 1] + 1)
                }
                row.append(edits)
            }
            before = above
            above = row
        }
        return above[other.count]
    }
}

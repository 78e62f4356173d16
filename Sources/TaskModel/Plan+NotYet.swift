// SPDX-License-Identifier: Apache-2.0

extension Plan {
    /// What the plan asks for that this release does not carry out, as lines `NAME: what: allowed`.
    ///
    /// Such a plan is refused, never run without it: a directive that does nothing would be a promise
    /// that is not kept.
    public var notYet: [String] {
        var lines: [String] = []
        for task in tasks {
            for directive in Self.later where task.spec.has(directive) {
                lines.append(
                    "\(task.spec.name): \(directive.traits.name)= is not carried out by this "
                        + "release: leave it out")
            }
            if task.spec.text(.type) == "runner" {
                lines.append(
                    "\(task.spec.name): Type=runner is not carried out by this release: Type=exec")
            }
            if task.spec.text(.standardOutput) == "journal" {
                lines.append(
                    "\(task.spec.name): StandardOutput=journal is not carried out by this release: log"
                )
            }
            if lines.count >= 20 { break }
        }
        return lines
    }

    private static let later = Directive.allCases.filter { !$0.traits.isCarriedOut }
}

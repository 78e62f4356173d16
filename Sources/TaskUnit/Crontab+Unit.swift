// SPDX-License-Identifier: Apache-2.0
import TaskModel

extension Crontab.Job {
    /// The job as a unit: the shell runs the command at the same times, as cron(8) does.
    ///
    /// - Parameter owner: whose spool it is for: a job of his names no user.
    /// - Returns: nil where the unit would not say the same; an error of this code.
    public func unit(owner: String?) -> String? {
        let shell = self["SHELL"].flatMap { $0.isEmpty ? nil : $0 } ?? "/bin/sh"
        var lines = ["# \(place.file), line \(place.line)", "[RunIf]", "cron=\(schedule)"]
        if let zone = self["CRON_TZ"], !zone.isEmpty { lines.append("TimeZone=\(zone)") }
        // cron(8) makes up for nothing, and starts a job beside the one before.
        lines += ["Misfire=skip", "Overlap=allow", "[Service]"]
        if let user, user != owner { lines.append("User=\(user)") }
        if let mail = self["MAILTO"], !mail.isEmpty {
            lines += [
                "# Output is in `task logs`; OnFailure= names a unit that may mail.",
                "X-MailTo=\(mail)",
            ]
        }
        lines += ["[Jail]", "# As under cron. Without this line it runs in the jail.", "Jail=no"]
        let own: Set<String> = ["SHELL", "MAILTO", "CRON_TZ"]
        let environment = variables.filter { !own.contains($0.name) }
        if !environment.isEmpty { lines.append("[Environment]") }
        lines += environment.map { "\($0.name)=\(Self.quoted($0.value, "\"\\"))" }
        let arguments = arguments(shell)
        lines += ["[Command]", "command=\(Self.quoted(shell, "\"\\"))", "[Args]"]
        let words = ["-c"] + arguments.dropFirst().map { Self.quoted($0) }
        lines.append("args=" + words.joined(separator: " "))
        let text = lines.joined(separator: "\n") + "\n"
        return says(text, arguments, environment) ? text : nil
    }

    private func arguments(_ shell: String) -> [String] {
        if input.isEmpty { return ["-c", command] }
        // Its standard input are its arguments, a line each.
        return ["-c", "printf '%s\\n' \"$@\" | \(shell) -c \"$0\"", command] + input
    }

    /// In double quotes, with a backslash before what they would not keep, `%` doubled.
    private static func quoted(_ text: String) -> String { quoted(text, "\"\\$`") }

    private static func quoted(_ text: String, _ special: String) -> String {
        var out = "\""
        for character in text.unicodeScalars {
            if special.unicodeScalars.contains(character) { out += "\\" }
            if character == "%" { out += "%" }
            out.unicodeScalars.append(character)
        }
        return out + "\""
    }

    private func says(_ text: String, _ arguments: [String], _ environment: [Variable]) -> Bool {
        let file = UnitFile(file: "job.task", bytes: Array(text.utf8))
        let (unit, problems) = UnitParser.parse(UnitText(name: "job.task", main: file))
        guard !problems.contains(where: { $0.severity == .error }) else { return false }
        let spec = unit.spec
        return spec[.arg] == arguments && spec[.env] == environment.map { "\($0.name)=\($0.value)" }
            && spec[.cron].count == 1
    }
}

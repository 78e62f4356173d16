// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import TaskPlan
import TaskTool
import TaskUnit

/// From an operand to what is dropped or run: a plan, or the text of a unit that says by itself
/// when it runs.
struct UnitCompiler {
    let spool: SpoolPath

    /// What one operand comes to.
    struct Compiled {
        /// The file name of the drop: `site.task`.
        var file: String
        var plan: Plan
        /// For a unit with [RunIf]: its text with `Dir=`, to be installed.
        var definition: [UInt8]?

        /// What lies in incoming/.
        var drop: Drop { Drop(name: file, bytes: definition ?? plan.encode()) }
    }

    /// Reads and compiles one operand: a file, or the name of an installed unit.
    ///
    /// - Throws: exit 2; a wrong unit's diagnostics have been printed, all of them.
    func compile(_ operand: String) throws(ToolError) -> Compiled? {
        try compile(try locate(operand))
    }

    /// Compiles text that came by standard input.
    func compile(standardInput bytes: [UInt8], name: String) throws(ToolError) -> Compiled? {
        let directory = (try? Caller.workingDirectory()) ?? "/"
        return try compile(
            Located(
                text: UnitText(
                    name: name, main: UnitFile(file: "standard input", bytes: bytes),
                    directory: directory),
                author: Caller.uid))
    }

    private struct Located {
        var text: UnitText
        var author: UInt32
    }

    /// Nil where the unit is wrong: its diagnostics are printed.
    private func compile(_ located: Located) throws(ToolError) -> Compiled? {
        let text = located.text
        let files = UnitFiles(own: text.directory, author: located.author, spool: spool)
        let compiled = PlanCompiler.compile(text, inputs: files.inputs)
        reporter.lines(compiled.diagnostics.map(\.text))
        guard let plan = compiled.plan else { return nil }
        let missing = plan.notYet
        guard missing.isEmpty || compiled.isInstallation else {
            reporter.lines(missing)
            return nil
        }
        var result = Compiled(file: text.name, plan: plan)
        if compiled.isInstallation {
            guard let definition = definition(text, compiled) else { return nil }
            result.definition = definition
        }
        return result
    }

    // MARK: Finding the operand

    private func locate(_ operand: String) throws(ToolError) -> Located {
        let name = operand.split(separator: "/").last.map(String.init) ?? operand
        if let located = try read(operand, name: name) { return located }
        if let template = UnitText.template(of: name) {
            let path = String(operand.dropLast(name.utf8.count)) + template
            if let located = try read(path, name: name) { return located }
        }
        if !operand.contains("/"), let located = try installed(operand) { return located }
        throw ToolError(
            unableTo: "read", operand, .noSuchFileOrDirectory,
            "nothing was done; neither is it the name of a unit in "
                + UnitFiles(own: nil, spool: spool).directories.joined(separator: ", "),
            status: ExitStatus.usage)
    }

    private func read(_ path: String, name: String) throws(ToolError) -> Located? {
        do {
            let file = try File.open(path, flags: .nonBlocking)
            let status = try File.status(of: file.number)
            guard status.isRegular else {
                throw ToolError(
                    "unable to read \(path): it is \(status.kind), nothing was done",
                    status: ExitStatus.usage)
            }
            guard let bytes = try File.readAll(file.number, limit: UnitLimits.bytes) else {
                throw ToolError(
                    "unable to read \(path): it has \(status.size) bytes and at most "
                        + "\(UnitLimits.bytes) are allowed, nothing was done",
                    status: ExitStatus.usage)
            }
            let directory = try directory(of: path, name)
            let files = UnitFiles(own: directory, author: status.uid, spool: spool)
            return Located(
                text: UnitText(
                    name: name, main: UnitFile(file: path, bytes: bytes),
                    dropIns: try dropIns(files, name), directory: directory),
                author: status.uid)
        } catch let error as ToolError {
            throw error
        } catch Errno.noSuchFileOrDirectory {
            return nil
        } catch let error as Errno {
            throw ToolError(
                unableTo: "read", path, error, "nothing was done", status: ExitStatus.usage)
        } catch {
            throw ToolError("unable to read \(path): \(error)", status: ExitStatus.usage)
        }
    }

    private func dropIns(_ files: UnitFiles, _ name: String) throws(ToolError) -> [UnitFile] {
        switch files.dropIns(of: name) {
        case .success(let dropIns): return dropIns
        case .failure(let refusal):
            throw ToolError(
                "unable to read the drop-ins of \(name): \(refusal.what), \(refusal.allowed)",
                status: ExitStatus.usage)
        }
    }

    private func directory(of path: String, _ name: String) throws(Errno) -> String {
        let parent = String(path.dropLast(name.utf8.count))
        return try Caller.realPath(parent.isEmpty ? "." : parent)
    }

    private func installed(_ operand: String) throws(ToolError) -> Located? {
        let files = UnitFiles(own: nil, spool: spool)
        var names = [operand]
        if UnitText.taskName(operand) == operand {
            names += [".task", ".yaml", ".yml"].map { operand + $0 }
        }
        for name in names {
            switch files.find(name) {
            case .absent: continue
            case .found(let text): return Located(text: text, author: Caller.uid)
            case .refused(let what, let allowed):
                throw ToolError(
                    "unable to use \(name): \(what), \(allowed)", status: ExitStatus.usage)
            }
        }
        return nil
    }

    // MARK: Installations

    /// The text that is installed. Its dependencies are looked for when it fires, where its own
    /// directory is none of the places: so they must stand on the search path now.
    private func definition(_ text: UnitText, _ compiled: CompiledPlan) -> [UInt8]? {
        let files = UnitFiles(own: nil, spool: spool)
        let alone = PlanCompiler.compile(text, inputs: files.inputs)
        if alone.hasErrors {
            reporter.lines(alone.diagnostics.map(\.text))
            reporter.error(
                "\(text.main.file) has [RunIf] and is installed: what it requires must be in "
                    + files.directories.joined(separator: ", "))
            return nil
        }
        guard compiled.unit?.settings(.dir).isEmpty != false, let directory = text.directory else {
            return text.main.bytes
        }
        return Self.adding(directory: directory, to: text.main.bytes)
    }

    /// The text with `[Service] Dir=` as its last lines, before an `[End]`; line numbers stay. The
    /// empty line ends what a `\` at the end would go on with.
    static func adding(directory: String, to bytes: [UInt8]) -> [UInt8] {
        let escaped = directory.replacing("%", with: "%%")
        let lines = Array("\n\n[Service]\nDir=\"\(escaped)\"\n".utf8)
        let text = bytes.last == UInt8(ascii: "\n") ? Array(bytes.dropLast()) : bytes
        let end = Array("[End]".utf8)
        if text.count >= end.count, text.suffix(end.count).elementsEqual(end) {
            return text.dropLast(end.count) + lines.dropFirst() + end + [UInt8(ascii: "\n")]
        }
        return text + lines
    }
}

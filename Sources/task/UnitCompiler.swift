// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import TaskPlan
import TaskSpool
import TaskTool
import TaskUnit

/// From an operand to what is dropped or run: a plan, or the text of a unit that says by itself
/// when it runs.
final class UnitCompiler {
    let spool: SpoolPath
    private var searches: [Place: UnitSearch] = [:]
    private var known: [Place: PlanInputs] = [:]
    private var directories: [String: String] = [:]

    init(spool: SpoolPath) { self.spool = spool }

    private struct Place: Hashable {
        var directory: String?
        var author: UInt32
    }

    /// The search path of a unit in a directory; nil where definitions must stand on the path that
    /// all have. One look at each directory serves all units of a call.
    private func search(_ directory: String?, _ author: UInt32 = Caller.uid) -> UnitSearch {
        let place = Place(directory: directory, author: author)
        if let known = searches[place] { return known }
        let search = UnitSearch(
            own: directory, units: "\(spool.path)/units", owner: Caller.uid, author: author)
        searches[place] = search
        return search
    }

    private func inputs(_ directory: String?, _ author: UInt32) -> PlanInputs {
        let place = Place(directory: directory, author: author)
        if let known = known[place] { return known }
        let inputs = search(directory, author).inputs
        known[place] = inputs
        return inputs
    }

    /// What one operand comes to.
    struct Compiled {
        /// The file name of the drop: `site.task`.
        var file: String
        var plan: Plan
        /// For a unit with [RunIf]: its text with `Dir=`, to be installed.
        var definition: [UInt8]?

        /// What lies in incoming/.
        var drop: Drop {
            definition.map { Drop(name: file, bytes: $0) } ?? Drop(name: file, plan)
        }
    }

    /// Reads and compiles one operand: a file, or the name of an installed unit.
    ///
    /// - Throws: exit 2; a wrong unit's diagnostics have been printed, all of them.
    func compile(_ operand: String) throws(ToolError) -> Compiled? {
        let name = operand.split(separator: "/").last.map(String.init) ?? operand
        if let bytes = Self.plan(at: operand) { return verified(bytes, operand, name: name) }
        return try compile(try locate(operand))
    }

    /// Compiles text that came by standard input.
    func compile(standardInput bytes: [UInt8], name: String) throws(ToolError) -> Compiled? {
        if Spool.isPlan(bytes) { return verified(bytes, "standard input", name: name) }
        let directory = (try? directory(of: "", "")) ?? "/"
        return try compile(
            Located(
                text: UnitText(
                    name: name, main: UnitFile(file: "standard input", bytes: bytes),
                    directory: directory),
                author: Caller.uid))
    }

    // A file that was compiled before; nil where it is none, or can't be read: who reads it as a unit
    // says why.
    private static func plan(at path: String) -> [UInt8]? {
        guard let file = try? File.open(path, flags: .nonBlocking),
            (try? File.status(of: file.number))?.isRegular == true
        else { return nil }
        var head = [UInt8](repeating: 0, count: 16)
        guard let count = try? File.read(file.number, into: &head, at: 0),
            Spool.isPlan(Array(head[..<count]))
        else { return nil }
        return (try? File.readAll(file.number, limit: Spool.longestPlan)) ?? nil
    }

    /// Nil where the plan is no longer what it was: that is printed.
    private func verified(_ bytes: [UInt8], _ file: String, name: String) -> Compiled? {
        do {
            let plan = try Plan(parsing: bytes)
            reporter.lines(plan.notYet)
            return plan.notYet.isEmpty ? Compiled(file: name, plan: plan) : nil
        } catch {
            let place = TaskUnit.Place(file: file, line: error.line)
            reporter.lines([Diagnostic(.error, place, error.what, error.allowed).text])
            return nil
        }
    }

    private struct Located {
        var text: UnitText
        var author: UInt32
    }

    /// Nil where the unit is wrong: its diagnostics are printed.
    private func compile(_ located: Located) throws(ToolError) -> Compiled? {
        let text = located.text
        let compiled = PlanCompiler.compile(text, inputs: inputs(text.directory, located.author))
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
                + search(nil).directories.joined(separator: ", "),
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
            let lookup = search(directory, status.uid).text(
                name, UnitFile(file: path, bytes: bytes), directory)
            return Located(text: try found(lookup, name), author: status.uid)
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

    private func found(
        _ lookup: PlanInputs.UnitLookup, _ name: String
    ) throws(ToolError) -> UnitText {
        switch lookup {
        case .found(let text): return text
        case .absent: throw ToolError("unable to use \(name)", status: ExitStatus.usage)
        case .refused(let what, let allowed):
            throw ToolError(
                "unable to use \(name): \(what), nothing was done: \(allowed)",
                status: ExitStatus.usage)
        }
    }

    private func directory(of path: String, _ name: String) throws(Errno) -> String {
        let parent = String(path.dropLast(name.utf8.count))
        if let known = directories[parent] { return known }
        let real = try Caller.realPath(parent.isEmpty ? "." : parent)
        directories[parent] = real
        return real
    }

    private func installed(_ operand: String) throws(ToolError) -> Located? {
        for name in UnitName.files(operand) {
            let lookup = search(nil).find(name)
            if case .absent = lookup { continue }
            return Located(text: try found(lookup, name), author: Caller.uid)
        }
        return nil
    }

    // MARK: Installations

    /// The text that is installed. Its dependencies are looked for when it fires, where its own
    /// directory is none of the places: so they must stand on the search path now.
    private func definition(_ text: UnitText, _ compiled: CompiledPlan) -> [UInt8]? {
        let files = search(nil)
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

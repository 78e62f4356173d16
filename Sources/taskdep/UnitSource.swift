// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import TaskPlan
import TaskSpool
import TaskTool
import TaskUnit

/// A unit, a script, a pipeline or a plan as it was named on the command line.
struct UnitSource {
    /// As messages name it.
    let file: String
    /// The unit's file name: `site.task`.
    let name: String
    let bytes: [UInt8]
    /// The directory that the file is in, absolute, without links.
    let directory: String
    /// Who wrote it: units beside it may be his.
    let author: UInt32

    /// Bytes of a plan that are read at most.
    private static let planBytes = 256 << 20

    /// Reads an operand; `-` is standard input, with the name `stdin.task`.
    ///
    /// - Throws: exit 2 where it can't be read or is too large.
    init(_ operand: String) throws(ToolError) {
        do {
            if operand == "-" {
                self.init(
                    file: "stdin.task", name: "stdin.task", bytes: try Self.read(0, "stdin.task"),
                    directory: try Caller.workingDirectory(), author: Caller.uid)
            } else {
                try self.init(path: operand)
            }
        } catch let error as ToolError {
            throw error
        } catch {
            let reason = (error as? Errno) ?? Errno.ioError
            throw ToolError(
                unableTo: "read", operand, reason, "nothing was compiled",
                status: ExitStatus.usage)
        }
    }

    private init(
        file: String, name: String, bytes: [UInt8], directory: String, author: UInt32
    ) {
        self.file = file
        self.name = name
        self.bytes = bytes
        self.directory = directory
        self.author = author
    }

    /// An absent `resize@big.task` is that instance of `resize@.task` beside it.
    private init(path: String) throws {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let parent = String(path.dropLast(name.utf8.count))
        var file = path
        let isAbsent = (try? File.status(path, following: true)) == nil
        if isAbsent, let template = UnitText.template(of: name) { file = parent + template }
        let descriptor = try File.open(file, flags: .nonBlocking)
        let status = try File.status(of: descriptor.number)
        guard status.isRegular else {
            throw ToolError(
                "unable to read \(file): it is \(status.kind), nothing was compiled: a pipe is "
                    + "read as -", status: ExitStatus.usage)
        }
        self.init(
            file: file, name: name, bytes: try Self.read(descriptor.number, file),
            directory: try Caller.realPath(parent.isEmpty ? "." : parent), author: status.uid)
    }

    private static func read(_ descriptor: Int32, _ file: String) throws -> [UInt8] {
        let bytes = try File.readAll(descriptor, limit: Self.planBytes)
        guard let bytes, bytes.count <= UnitLimits.bytes || Spool.isPlan(bytes) else {
            throw ToolError(
                "unable to compile \(file): it is too large, nothing was compiled: at most "
                    + "\(UnitLimits.bytes) bytes of a unit, \(Self.planBytes) of a plan",
                status: ExitStatus.usage)
        }
        return bytes
    }
}

extension UnitSource {
    /// What an operand comes to.
    struct Outcome {
        /// TASK_NAME of the root.
        var name: String
        var plan: Plan
        var encoded: [UInt8]
    }

    /// Compiles it, or verifies the plan that it is, and prints all diagnostics.
    ///
    /// - Returns: nil where something is wrong: it has been said.
    func compile() -> Outcome? {
        Spool.isPlan(bytes) ? verified() : compiled(search.inputs)
    }

    /// Compiles it for its diagnostics: a template `NAME@.task` as `NAME@INSTANCE.task`, and files
    /// with INSTANCE in their names count as there.
    func lint() -> Outcome? {
        guard let at = name.firstIndex(of: "@"), at > name.startIndex,
            name[name.index(after: at)...].hasPrefix("."), !Spool.isPlan(bytes)
        else { return compile() }
        let source = UnitSource(
            file: file, name: "\(name[...at])INSTANCE\(name[at...].dropFirst())", bytes: bytes,
            directory: directory, author: author)
        var inputs = source.search.inputs
        let read = inputs.file
        inputs.file = { directory, path, limit in
            path.contains("INSTANCE")
                ? .found(bytes: [], mode: 0o644) : read(directory, path, limit)
        }
        return source.compiled(inputs)
    }

    private func verified() -> Outcome? {
        do {
            let plan = try Plan(parsing: bytes)
            return Outcome(name: UnitName.of(name), plan: plan, encoded: bytes)
        } catch {
            reporter.lines([Diagnostic(.error, place(error.line), error.what, error.allowed).text])
            return nil
        }
    }

    private func compiled(_ inputs: PlanInputs) -> Outcome? {
        let text: UnitText
        switch search.text(name, UnitFile(file: file, bytes: bytes), directory) {
        case .found(let found): text = found
        case .absent: return nil
        case .refused(let what, let allowed):
            reporter.lines([Diagnostic(.error, place(1), what, allowed).text])
            return nil
        }
        let result = PlanCompiler.compile(text, inputs: inputs)
        reporter.lines(result.diagnostics.map(\.text))
        guard let plan = result.plan, !result.hasErrors else { return nil }
        return Outcome(name: result.name, plan: plan, encoded: plan.encode())
    }

    private func place(_ line: Int) -> Place { Place(file: file, line: line) }

    private var search: UnitSearch {
        let spool = SpoolPath.choose(option: nil)
        return UnitSearch(
            own: directory, units: spool.exists ? "\(spool.path)/units" : nil,
            owner: Caller.uid, author: author)
    }
}

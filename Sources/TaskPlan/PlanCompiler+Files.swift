// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskUnit

extension PlanCompiler {
    /// Puts into the plan what a task carries: relative programs, Files=, its script, its items.
    mutating func carry(_ index: Int) {
        guard let unit = nodes[index].unit else { return }
        let directory = nodes[index].spec.text(.dir) ?? nodes[index].directory
        attached = ([], [])
        if let script = unit.script { carryScript(script, index) }
        var usesDirectory = false
        for (program, place) in programs(unit) where program != unit.script.map(Self.scriptName) {
            usesDirectory = true
            carryProgram(program, directory, place, index)
        }
        var left = CarryLimits.files
        for setting in unit.settings(.files) {
            usesDirectory = true
            carryFile(setting, directory, &left, index)
        }
        nodes[index].spec[.files] = []
        nodes[index].spec[.file] = attached.values
        if usesDirectory, let directory { nodes[index].spec[.dir] = [directory] }
        readItems(unit, directory, index)
    }

    /// The relative programs of command and checks: those with a `/` that is not the first byte.
    private mutating func programs(_ unit: UnitDefinition) -> [(path: String, place: Place)] {
        var found: [(path: String, place: Place)] = []
        for setting in unit.settings
        where setting.directive == .command || setting.directive == .check {
            var line = setting.value
            if setting.directive == .check {
                line = line.divided(at: "=").map { String($0.behind) } ?? ""
            }
            guard let program = (try? ShellWords.split(line))?.first, program.contains("/"),
                !program.hasPrefix("/")
            else { continue }
            do throws(ValueProblem) {
                found.append((try DirectiveType.relativePath.canonical(program), setting.place))
            } catch {
                self.error(setting.place, "\(program) leaves Dir=", error.allowed)
            }
        }
        return found
    }

    private mutating func carryProgram(
        _ path: String, _ directory: String?, _ place: Place, _ index: Int
    ) {
        guard let directory else { return }
        switch inputs.file(directory, path, CarryLimits.command) {
        case .found(let bytes, let mode): attach(path, bytes, mode, index, place)
        case .absent, .tooLarge, .unread: break
        case .refused(let why): warn(place, "\(path) does not travel: \(why)", "a file to read")
        }
    }

    private mutating func carryFile(
        _ setting: UnitDefinition.Setting, _ directory: String?, _ left: inout Int, _ index: Int
    ) {
        let words = Self.words(setting)
        guard let directory else {
            error(setting.place, "\(words) without a directory", "Dir= beside it")
            return
        }
        switch inputs.file(directory, setting.value, left) {
        case .found(let bytes, let mode):
            left -= bytes.count
            attach(setting.value, bytes, mode, index, setting.place)
        case .absent: error(setting.place, "\(words): no such file in \(directory)", "a file there")
        case .tooLarge:
            error(setting.place, "\(words) is too large", "\(CarryLimits.files) bytes of Files=")
        case .refused(let why): error(setting.place, "\(words): \(why)", "a file to read")
        case .unread: errorUnread(setting.place, words, directory)
        }
    }

    mutating func errorUnread(_ place: Place, _ words: String, _ directory: String) {
        error(
            place, "\(words): \(directory) is not read for a plain drop",
            "a file of units/, or task submit, which carries it")
    }

    private mutating func carryScript(_ script: UnitFile, _ index: Int) {
        let place = Place(file: script.file, line: 1)
        guard script.bytes.count <= CarryLimits.files else {
            error(
                place, "a script of \(script.bytes.count) bytes",
                "at most \(CarryLimits.files); a unit can name a larger one")
            return
        }
        let name = Self.scriptName(script)
        // Its [Then] has a command of its own.
        if !nodes[index].spec.has(.command) { nodes[index].spec[.command] = ["./" + name] }
        attach(name, script.bytes, 0o755, index, place)
    }

    private static func scriptName(_ script: UnitFile) -> String {
        script.file.split(separator: "/").last.map(String.init) ?? "script"
    }

    private mutating func attach(
        _ path: String, _ bytes: [UInt8], _ mode: Int, _ index: Int, _ place: Place
    ) {
        guard carriedBytes + bytes.count <= PlanLimits.blobs / 2 else {
            error(place, "too many bytes to carry", "\(PlanLimits.blobs / 2) in a plan")
            return
        }
        let blob = PlanBlob(kind: .file, name: path, bytes: bytes)
        if carried.insert(blob.digest).inserted {
            blobs.append(blob)
            carriedBytes += bytes.count
        }
        let value = "\(path):\(String(mode & 0o777, radix: 8)):\(blob.digest)"
        if attached.known.insert(value).inserted { attached.values.append(value) }
    }
}

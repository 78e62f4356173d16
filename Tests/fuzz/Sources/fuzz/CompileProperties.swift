// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskPlan
import TaskUnit

/// Units and pipelines: what the parser accepts, the compiler compiles or refuses with a place.
enum CompileProperties {
    /// A unit, or a script; a byte 0x1e begins a drop-in.
    static func unit(_ bytes: [UInt8]) {
        let parts = bytes.split(separator: 0x1e, maxSplits: 3, omittingEmptySubsequences: false)
        let dropIns = parts.dropFirst().enumerated().map {
            UnitFile(file: "u.task.d/\($0.offset).conf", bytes: Array($0.element))
        }
        let name = bytes.count % 2 == 0 ? "u.task" : "u@big.task"
        let main = UnitFile(file: "/d/u.task", bytes: Array(parts[0]))
        let text = UnitText(name: name, main: main, dropIns: dropIns, directory: "/d")
        let (unit, problems) = UnitParser.parse(text)
        places(problems, [main] + dropIns)
        if !problems.contains(where: { $0.severity == .error }) {
            for setting in unit.settings { isCanonical(setting) }
        }
        compile(text, [main] + dropIns, world([:]))
    }

    static func pipeline(_ bytes: [UInt8]) {
        let main = UnitFile(file: "/d/u.yaml", bytes: bytes)
        let text = UnitText(name: "u.yaml", main: main, directory: "/d")
        let (pipeline, problems) = PipelineParser.parse(text)
        places(problems, [main])
        for node in pipeline.nodes {
            if case .inline(let unit) = node.content, problems.isEmpty {
                for setting in unit.settings { isCanonical(setting) }
            }
        }
        compile(text, [main], world([:]))
    }

    /// task.conf, behind each byte 0x1e a file of its directory: what counts is canonical, and written
    /// down it counts again.
    static func configuration(_ bytes: [UInt8]) {
        let parts = bytes.split(separator: 0x1e, maxSplits: 3, omittingEmptySubsequences: false)
        let files = parts.enumerated().map {
            UnitFile(file: "/c/\($0.offset).conf", bytes: Array($0.element))
        }
        let (found, problems) = ConfigurationParser.parse(files)
        places(problems, files)
        var text = ""
        for setting in Setting.allCases {
            let traits = setting.traits
            let value = found[setting]
            require((try? traits.type.canonical(value)) == value, "\(setting): a canonical value")
            text += "[\(traits.section.rawValue)]\n\(setting.rawValue)=\(value)\n"
            guard traits.type == .diskSize else { continue }
            require((0...Int64.max).contains(found.bytes(setting, of: 1 << 40)), "a size")
        }
        let written = UnitFile(file: "/c/task.conf", bytes: Array(text.utf8))
        let (again, none) = ConfigurationParser.parse([written])
        require(none.isEmpty, "what counts can be written: \(none.map(\.text))")
        for setting in Setting.allCases {
            require(again[setting] == found[setting], "\(setting): parse, print, parse")
        }
    }

    /// Parts that begin with a line `== NAME` (or without one); the first is the root, the others are
    /// what it can name.
    static func several(_ bytes: [UInt8]) {
        var files: [(name: String, file: UnitFile)] = []
        for line in bytes.split(separator: 0x0a, omittingEmptySubsequences: false) {
            if line.starts(with: "== ".utf8) || files.isEmpty {
                let isHead = line.starts(with: "== ".utf8)
                let name = isHead ? String(decoding: line.dropFirst(3), as: UTF8.self) : "a.task"
                files.append((name, UnitFile(file: "/d/\(name)", bytes: [])))
                if isHead { continue }
            }
            files[files.count - 1].file.bytes += line + [0x0a]
        }
        var units: [String: UnitText] = [:]
        for (name, file) in files where units[name] == nil {
            units[name] = UnitText(name: name, main: file, directory: "/d")
        }
        guard let first = files.first, let root = units[first.name] else { return }
        compile(root, files.map(\.file), world(units))
    }

    /// A file or none, as its name's hash says.
    private static func world(_ units: [String: UnitText]) -> PlanInputs {
        PlanInputs(
            unit: { name in
                if let unit = units[name] { return .found(unit) }
                let isRefused = choice(name.utf8) % 16 == 0
                return isRefused ? .refused(what: "writable", allowed: "chmod") : .absent
            },
            file: { directory, path, limit in
                require(!path.utf8.starts(with: "/".utf8), "a file below its directory")
                switch choice(path.utf8) % 8 {
                case 0: return .absent
                case 1: return .tooLarge
                case 2: return .refused("EACCES")
                default: return .found(bytes: Array("\(path)\n\n".utf8.prefix(limit)), mode: 0o755)
                }
            }, places: "/d")
    }

    private static func compile(_ root: UnitText, _ files: [UnitFile], _ inputs: PlanInputs) {
        let compiled = PlanCompiler.compile(root, inputs: inputs)
        places(compiled.diagnostics, files)
        require((compiled.plan == nil) == compiled.hasErrors, "a plan, or an error that says why")
        guard let plan = compiled.plan else { return }
        let bytes = plan.encode()
        PlanProperties.isWhole(plan, bytes)
        let again = PlanCompiler.compile(root, inputs: inputs)
        require(again.plan?.encode() == bytes, "equal units give equal bytes")
        _ = plan.notYet
    }

    private static func isCanonical(_ setting: UnitDefinition.Setting) {
        let type = setting.directive.traits.type
        if setting.directive == .command || setting.directive == .cron { return }
        let again = try? type.canonical(setting.value)
        require(again.map { Array($0.utf8) } == Array(setting.value.utf8), "a canonical setting")
    }

    /// Every diagnostic has a line and a column of its file.
    private static func places(_ diagnostics: [Diagnostic], _ files: [UnitFile]) {
        for diagnostic in diagnostics {
            let place = diagnostic.place
            let named = files.filter { $0.file == place.file }
            require(!diagnostic.what.isEmpty && !diagnostic.allowed.isEmpty, "what, and what else")
            if named.isEmpty { continue }
            require(
                named.contains { isInside(place, $0.bytes) },
                "a place in the file: \(diagnostic.text)")
        }
    }

    private static func isInside(_ place: Place, _ bytes: [UInt8]) -> Bool {
        let lines = bytes.split(separator: 0x0a, omittingEmptySubsequences: false)
        guard place.line >= 1, place.line <= lines.count, place.column >= 1 else { return false }
        return place.column <= lines[place.line - 1].count + 1
    }
}

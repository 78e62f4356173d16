// SPDX-License-Identifier: Apache-2.0
import TaskModel
public import TaskUnit

/// Compiles a unit, a script or a pipeline, and all that it depends on, into one plan.
///
/// Pure: files come through `PlanInputs`. Nothing recurses; every number has a limit.
public struct PlanCompiler {
    var inputs: PlanInputs
    var diagnostics: [Diagnostic] = []
    var nodes: [PlanNode] = []
    var edges: [NodeEdge] = []
    /// The nodes by TASK_NAME.
    var nodeByName: [String: Int] = [:]
    /// What each name that was looked for led to.
    var resolved: [String: NameTarget] = [:]
    /// Nodes whose dependencies are not read yet.
    var pending: [Int] = []
    /// Pipelines whose members are not made yet, with the group nodes around them.
    var pendingPipelines: [PendingPipeline] = []
    /// Every text that went in, for the plan's blobs.
    var texts: [UnitText] = []
    /// Names of the texts that came in as handlers.
    var handlerTexts: Set<String> = []
    var blobs: [PlanBlob] = []
    /// Digests of the file blobs.
    var carried: Set<String> = []
    var carriedBytes = 0
    /// Of all arrays: how many items, and the bytes of their lists.
    var itemCount = 0
    var itemBytes = 0
    /// The `file=` values of the node that is read.
    var attached: (values: [String], known: Set<String>) = ([], [])
    /// The tasks that the run is about.
    var roots: [Int] = []
    var rootName = ""
    /// Whether the limit of tasks was reported.
    private var isFull = false

    /// Compiles a root.
    ///
    /// - Returns: a plan, or the diagnostics that say why there is none.
    public static func compile(_ root: UnitText, inputs: PlanInputs) -> CompiledPlan {
        var compiler = PlanCompiler(inputs: inputs)
        return compiler.compile(root, isConditional: false)
    }

    /// Compiles what [RunIf] fires: where it has Requires=, the task NAME.check comes before all else.
    public static func compile(firing root: UnitText, inputs: PlanInputs) -> CompiledPlan {
        var compiler = PlanCompiler(inputs: inputs)
        return compiler.compile(root, isConditional: true)
    }

    private init(inputs: PlanInputs) { self.inputs = inputs }

    private mutating func compile(_ root: UnitText, isConditional: Bool) -> CompiledPlan {
        rootName = UnitName.of(root.name)
        var unit: UnitDefinition?
        checkName(root)
        if root.kind == .pipeline {
            addRootPipeline(root)
        } else {
            unit = addRoot(root)
            checkZone(unit)
        }
        drain()
        addOrders()
        addSequels()
        if isConditional, let unit { addCondition(of: unit, root.directory) }
        for index in nodes.indices { carry(index) }
        let errors = diagnostics.contains { $0.severity == .error }
        let plan = errors ? nil : finish()
        let failed = diagnostics.contains { $0.severity == .error }
        return CompiledPlan(
            name: rootName, plan: failed ? nil : plan, diagnostics: diagnostics,
            isInstallation: unit?.isInstallation ?? false, unit: unit)
    }

    // Never UTC instead: a unit whose times nobody knows would fire at the wrong ones.
    private mutating func checkZone(_ unit: UnitDefinition?) {
        guard let zone = unit?.settings(.timeZone).last, !inputs.hasZone(zone.value) else { return }
        error(
            zone.place, "there is no time zone \(zone.value)",
            "a file's name below /usr/share/zoneinfo, as Europe/Berlin, or UTC")
    }

    private mutating func checkName(_ root: UnitText) {
        if !DirectiveType.isUnitName(root.name) || root.name.hasPrefix("systemd:") {
            error(
                Place(file: root.main.file, line: 1), "\(root.name) is no unit's name",
                DirectiveType.unitName.allowed + ", not systemd: first")
        }
    }

    private mutating func addRoot(_ root: UnitText) -> UnitDefinition {
        let (unit, problems) = UnitParser.parse(root)
        diagnostics += problems
        texts.append(root)
        let index = add(PlanNode(spec: unit.spec, unit: unit, directory: root.directory))
        if index >= 0 { roots.append(index) }
        return unit
    }

    /// What the condition decides hangs on it: all but what a failure leads to.
    private mutating func addCondition(of unit: UnitDefinition, _ directory: String?) {
        guard let check = unit.condition else { return }
        if nodeByName[check.name] != nil {
            return error(
                check.place, "\(check.name) is a unit beside this condition", "another name for it")
        }
        let handlers = Set(edges.filter { $0.kind == .fail }.map(\.to))
        let others = nodes.indices.filter { !handlers.contains($0) }
        let index = add(PlanNode(spec: check.spec, unit: check, directory: directory))
        guard index >= 0 else { return }
        for other in others {
            edges.append(
                NodeEdge(
                    from: index, to: other, kind: .ok, isRequirement: true, place: check.place,
                    words: "Requires= in [RunIf]"))
        }
    }

    /// Adds a node, to be read later; -1 where there are too many.
    mutating func add(_ node: PlanNode) -> Int {
        guard nodes.count < PlanLimits.tasks else {
            if !isFull {
                isFull = true
                error(
                    node.unit?.place ?? Place(file: rootName, line: 1), "too many tasks",
                    "at most \(PlanLimits.tasks) in a plan")
            }
            return -1
        }
        nodes.append(node)
        nodeByName[node.spec.name] = nodes.count - 1
        pending.append(nodes.count - 1)
        return nodes.count - 1
    }

    /// Reads what was added until nothing new comes.
    private mutating func drain() {
        while true {
            if let pipeline = pendingPipelines.popLast() {
                expand(pipeline)
            } else if let index = pending.popLast() {
                readDependencies(index)
            } else {
                return
            }
        }
    }

    private mutating func readDependencies(_ index: Int) {
        guard let unit = nodes[index].unit else { return }
        for setting in unit.settings {
            switch setting.directive {
            case .requires, .wants: pull(setting, index)
            case .onSuccess, .onFailure: handle(setting, index)
            default: break
            }
        }
    }

    private mutating func pull(_ setting: UnitDefinition.Setting, _ index: Int) {
        guard case .node(let source) = resolve(setting) else { return }
        let isRequirement = setting.directive == .requires
        edges.append(
            NodeEdge(
                from: source, to: index, kind: isRequirement ? .ok : .end,
                isRequirement: isRequirement, place: setting.place, words: Self.words(setting)))
    }

    static func words(_ setting: UnitDefinition.Setting) -> String {
        "\(setting.directive.traits.name)=\(setting.value)"
    }

    /// After= and Before= order what runs at all, so they are read last.
    private mutating func addOrders() {
        for index in nodes.indices {
            guard let unit = nodes[index].unit else { continue }
            for setting in unit.settings
            where setting.directive == .after || setting.directive == .before {
                guard case .node(let other) = order(setting) else { continue }
                let isAfter = setting.directive == .after
                edges.append(
                    NodeEdge(
                        from: isAfter ? other : index, to: isAfter ? index : other, kind: .end,
                        isRequirement: false, place: setting.place, words: Self.words(setting)))
            }
        }
    }

    mutating func error(_ place: Place, _ what: String, _ allowed: String) {
        report(.error, place, what, allowed)
    }

    mutating func warn(_ place: Place, _ what: String, _ allowed: String) {
        report(.warning, place, what, allowed)
    }

    private mutating func report(
        _ severity: Diagnostic.Severity, _ place: Place, _ what: String, _ allowed: String
    ) {
        let diagnostic = Diagnostic(severity, place, what, allowed)
        // One error counts always: without any there would be a plan.
        if diagnostics.count < 1000
            || severity == .error && !diagnostics.contains(where: { $0.severity == .error })
        {
            diagnostics.append(diagnostic)
        }
    }
}

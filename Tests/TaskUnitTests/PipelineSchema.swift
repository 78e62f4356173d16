// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// contrib/schema/task.pipeline.schema.json, from the table of directives.
///
/// A value is what `SettingReader` reads of a text; a number, `true`, `false` and `null` are the text that
/// stands there. What no schema can say is in task.pipeline(5).
enum PipelineSchema {
    static var text: String { document.pretty }

    private static let document: JSONText = [
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:taskspool:schema:pipeline:1",
        "title": "A pipeline of taskspool: task.pipeline(5)",
        "description":
            "Made from the table of directives: Tests/TaskUnitTests/PipelineSchemaTests.swift.",
        "$ref": "#/$defs/member",
        "$defs": .object(structure + rules + types),
    ]

    private typealias Members = [(key: String, value: JSONText)]

    // MARK: What nests

    private static var structure: Members {
        [
            (
                "member",
                [
                    "anyOf": [
                        ref("name"), ref("list"), group("parallel"), group("sequence"), ref("task"),
                    ]
                ]
            ),
            (
                "name",
                whole(SchemaPattern.literalName, plain)
            ),
            ("list", ["type": "array", "minItems": 1, "items": ref("member")]),
            ("task", task),
            ("then", then),
        ]
    }

    private static func group(_ key: String) -> JSONText {
        [
            "type": "object", "required": [.text(key)],
            "properties": .object([(key: key, value: ref("list"))]),
            "additionalProperties": false,
        ]
    }

    private static var task: JSONText {
        var keys: Members = [("name", ref("taskName"))]
        keys += inline.map { ($0.traits.name, property($0)) }
        keys.append(("Environment", ref("environment")))
        keys.append(("Checks", ref("checks")))
        keys.append(("Then", ref("then")))
        return [
            "type": "object", "properties": .object(keys),
            "patternProperties": ["^X-": true], "additionalProperties": false,
            "allOf": .list(rules.map { ref($0.key) }),
        ]
    }

    /// [Then]'s keys; its command is no item's.
    private static var then: JSONText {
        let keys: Members = Directive.allCases.filter { $0.traits.section == .then }.map {
            ($0.traits.name, ["allOf": [property($0), ref("noItem")]])
        }
        return [
            "type": "object", "properties": .object(keys), "patternProperties": ["^X-": true],
            "additionalProperties": false,
            "if": ["required": ["args"], "properties": ["args": ["not": ref("nothing")]]],
            "then": ["required": ["command"]],
        ]
    }

    /// The directives that are keys of a member, in the table's order.
    private static var inline: [Directive] {
        Directive.allCases.filter {
            [.dependencies, .service, .jail, .args, .command, .array].contains($0.traits.section)
        }
    }

    private static func property(_ directive: Directive) -> JSONText {
        let traits = directive.traits
        var members: Members = [("description", .text(traits.help + "; " + traits.type.allowed))]
        if let value = traits.defaultText { members.append(("default", .text(value))) }
        members.append(("$ref", .text("#/$defs/" + typeName(directive))))
        return .object(members)
    }

    private static func ref(_ name: String) -> JSONText { ["$ref": "#/$defs/\(name)"] }

    // MARK: What must hold between keys

    private static func has(_ key: String) -> JSONText {
        let something: JSONText = ["not": ref("nothing")]
        return [
            "required": [.text(key)],
            "properties": .object([(key: key, value: something)]),
        ]
    }

    private static let hasThen: JSONText = [
        "required": ["Then"], "properties": ["Then": ["required": ["command"]]],
    ]
    private static let hasItems: JSONText = ["anyOf": [has("Items"), ["required": ["Count"]]]]

    private static func no(_ keys: [String]) -> JSONText {
        .object([("properties", .object(keys.map { ($0, ref("nothing")) }))])
    }

    private static var rules: Members {
        [
            ("groupsHaveNoArguments", groupsHaveNoArguments),
            ("itemsOrCount", ["if": ["required": ["Count"]], "then": no(["Items"])]),
            ("maxParallelOfItems", maxParallelOfItems), ("remainsAlone", remainsAlone),
            ("credentialsNeedAJail", credentialsNeedAJail),
            ("onlyArraysHaveItems", onlyArraysHaveItems), ("thenIsNoItem", thenIsNoItem),
        ]
    }

    private static let noItemsNorThen: [JSONText] = [
        ["not": ["required": ["Count"]]], ["not": hasThen],
    ]

    private static var groupsHaveNoArguments: JSONText {
        [
            "if": ["not": ["required": ["command"]]],
            "then": ["allOf": .list([no(["args", "Items"])] + noItemsNorThen)],
        ]
    }

    private static var maxParallelOfItems: JSONText {
        ["if": ["not": hasItems], "then": ["properties": ["MaxParallel": ["const": ""]]]]
    }

    private static var remainsAlone: JSONText {
        [
            "if": [
                "required": ["RemainAfterExit"],
                "properties": ["RemainAfterExit": ["not": ref("noSpan")]],
            ],
            "then": ["allOf": .list([no(["Semaphore", "Items"])] + noItemsNorThen)],
        ]
    }

    private static var credentialsNeedAJail: JSONText {
        [
            "if": ["required": ["Jail"], "properties": ["Jail": ["const": "no"]]],
            "then": no(["LoadCredential"]),
        ]
    }

    private static var onlyArraysHaveItems: JSONText {
        [
            "if": ["not": ["anyOf": [["required": ["Items"]], ["required": ["Count"]]]]],
            "then": withoutItem(inline.map(\.traits.name) + ["Environment", "Checks"]),
            "else": withoutItem(["Items"]),
        ]
    }

    private static var thenIsNoItem: JSONText {
        [
            "if": ["allOf": [hasItems, hasThen]],
            "then": withoutItem(inline.filter(isSequels).map(\.traits.name)),
        ]
    }

    private static func withoutItem(_ keys: [String]) -> JSONText {
        .object([("properties", .object(keys.map { ($0, ref("noItem")) }))])
    }

    /// What [Then] has of its unit.
    private static func isSequels(_ directive: Directive) -> Bool {
        [.service, .jail].contains(directive.traits.section)
            && ![.key, .remainAfterExit, .requireEnd, .limitCPU].contains(directive)
    }

    // MARK: Values

    /// One definition for all directives whose values read alike.
    private static func typeName(_ directive: Directive) -> String {
        let traits = directive.traits
        if !traits.isCarriedOut { return traits.name }
        switch directive {
        case .command, .thenCommand: return "command"
        case .arg, .thenArg, .items: return "words"
        case .requireEnd: return traits.name
        default: break
        }
        var name = "\(traits.type)".split(separator: "(")[0].description
        switch traits.type {
        case .integer, .limit, .choice: name = traits.name
        default: break
        }
        if traits.isList { name += "List" }
        // An empty value takes back what is set: there must be a default.
        if !traits.isList, traits.defaultText != nil, name != traits.name { name += "OrDefault" }
        return name
    }

    private static var types: Members {
        var found: Members = [
            ("taskName", whole("(?!systemd:)" + SchemaPattern.literalName, plain)),
            ("command", whole(SchemaPattern.command, plain)),
            ("words", ["anyOf": [whole(SchemaPattern.line, plain), list(of: .text)]]),
            ("text", whole(SchemaPattern(isWord: false).any() + "*", plain)),
            ("environment", environment), ("checks", checks), ("noItem", noItem),
            ("nothing", nothing), ("no", no), ("RequireEnd", ref("no")), ("noSpan", noSpan),
        ]
        for directive in inline {
            let name = typeName(directive)
            if !found.contains(where: { $0.key == name }) { found.append((name, value(directive))) }
        }
        return found
    }

    private static var nothing: JSONText {
        [
            "anyOf": [
                whole("\(SchemaPattern.blank)*", []), ["type": "array", "maxItems": 0],
            ]
        ]
    }

    private static var noSpan: JSONText {
        ["anyOf": [["const": 0], whole("(?![\\s\\S]*infinity)[^1-9]*", [])]]
    }

    private static var no: JSONText {
        let words = SchemaPattern.anyCase(["no", "false", "off", "0", "n", "f"])
        return ["anyOf": [whole("|\(words)", []), ["enum": [false, 0]]]]
    }

    private static let plain: [JSONText] = ["number", "boolean", "null"]

    private static func value(_ directive: Directive) -> JSONText {
        let traits = directive.traits
        guard traits.isCarriedOut else { return notCarriedOut(directive) }
        if traits.isList {
            return ["anyOf": [words(traits.type), list(of: traits.type)]]
        }
        return scalar(traits.type, orDefault: traits.defaultText != nil)
    }

    /// Read, and refused unless it says nothing.
    private static func notCarriedOut(_ directive: Directive) -> JSONText {
        let traits = directive.traits
        if traits.isList { return ref("nothing") }
        return traits.defaultText == "no" ? ref("no") : false
    }

    private static func scalar(_ type: DirectiveType, orDefault: Bool) -> JSONText {
        let pattern = SchemaPattern(isWord: false).value(type) ?? SchemaPattern.end
        let text = whole(orDefault ? "|\(pattern)" : pattern, others(type))
        let numbers = number(type)
        return numbers.isEmpty ? text : ["anyOf": .list([text] + numbers)]
    }

    private static func list(of type: DirectiveType) -> JSONText {
        ["type": "array", "items": scalar(type, orDefault: false)]
    }

    /// Words that blanks divide: each as it must be, or, where there are quotes, only that those close.
    private static func words(_ type: DirectiveType) -> JSONText {
        let word = SchemaPattern(isWord: true).value(type) ?? SchemaPattern.end
        let blank = SchemaPattern.blank
        let all = "\(blank)*(?:(?:\(word))(?:\(blank)+(?:\(word)))*\(blank)*)?"
        let text = whole("\(all)\(SchemaPattern.end)|\(SchemaPattern.quotedWords)", others(type))
        let numbers = number(type)
        return numbers.isEmpty ? text : ["anyOf": .list([text] + numbers)]
    }

    /// A text, or what other readers of YAML take for another type.
    private static func whole(_ pattern: String, _ others: [JSONText]) -> JSONText {
        [
            "type": others.isEmpty ? "string" : .list(["string"] + others),
            "pattern": .text(SchemaPattern.whole(pattern)),
        ]
    }

    private static func others(_ type: DirectiveType) -> [JSONText] {
        switch type {
        case .text, .user, .token, .unitName, .relativePath: plain
        case .semaphore: plain
        case .flag: ["boolean"]
        case .input, .output: ["null"]
        default: []
        }
    }

    /// The numbers that are values of a type.
    private static func number(_ type: DirectiveType) -> [JSONText] {
        switch type {
        case .flag: [["enum": [0, 1]]]
        case .span: [["type": "number", "minimum": 0, "maximum": 9_223_372_036_854]]
        case .size, .outputSize:
            [["type": "number", "minimum": 0, "maximum": 999_999_999_999_999_999]]
        case .restart: [whole(0...1_000_000)]
        case .exitStatus: [whole(0...255)]
        case .signal: [whole(1...31)]
        case .integer(let range), .limit(let range): [whole(range)]
        default: []
        }
    }

    private static func whole(_ range: ClosedRange<Int>) -> JSONText {
        [
            "type": "integer", "minimum": .number(range.lowerBound),
            "maximum": .number(range.upperBound),
        ]
    }

    // MARK: Mappings

    private static let environment: JSONText = [
        "type": "object",
        "patternProperties": [
            "^(?!TASK_)[A-Za-z_][A-Za-z0-9_]{0,255}\(SchemaPattern.end)": ["$ref": "#/$defs/text"]
        ],
        "additionalProperties": false,
    ]

    private static var checks: JSONText {
        [
            "type": "object",
            "patternProperties": [
                "^[A-Za-z0-9._-]{1,64}\(SchemaPattern.end)": whole(SchemaPattern.check, plain)
            ],
            "additionalProperties": false,
        ]
    }

    /// No `%i` in it; `%%i` is a percent sign and a letter.
    private static var noItem: JSONText {
        [
            "if": ["type": "string"],
            "then": ["pattern": .text(SchemaPattern.whole("(?:[^%]|%%|%(?![%i]))*"))],
            "items": ref("noItem"), "additionalProperties": ref("noItem"),
        ]
    }
}

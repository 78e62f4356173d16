// SPDX-License-Identifier: Apache-2.0
import Glibc
import TaskModel
import Testing

enum ManPage {
    static func lines(_ name: String) throws -> [Substring] {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let file = try #require(fopen("/\(root)/man/\(name)", "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n")
    }
}

/// man/task.unit.5 and the table of directives say the same.
@Suite struct ManPageTests {
    private func page() throws -> [Substring] { try ManPage.lines("task.unit.5") }

    private func items() throws -> [String] {
        try page().filter { $0.hasPrefix(".It Va ") }.map { String($0.dropFirst(7)) }
    }

    private var known: [String] {
        Directive.allCases.filter { $0.traits.section != .plan && !$0.traits.name.isEmpty }
            .map { "\($0.traits.name)=" }
    }

    @Test func everyDirectiveIsInThePage() throws {
        let items = try items()
        for name in known { #expect(items.contains(name), "\(name) is missing") }
    }

    @Test func thePageHasNoOther() throws {
        let known = Set(known)
        for item in try items() { #expect(known.contains(item), "\(item) is in no table") }
    }

    /// Of keys that two sections have each stands in its own.
    @Test func eachStandsInItsSection() throws {
        var section = ""
        var items: [String: Set<String>] = [:]
        for line in try page() {
            if line.hasPrefix(".S") { section = String(line.dropFirst(4)) }
            if line.hasPrefix(".It Va ") {
                items[section, default: []].insert("\(line.dropFirst(7))")
            }
        }
        for directive in Directive.allCases where !directive.traits.name.isEmpty {
            let (section, name) = (directive.traits.section, directive.traits.name)
            guard section != .plan else { continue }
            #expect(items["[\(section.rawValue)]"]?.contains("\(name)=") == true, "\(directive)")
        }
    }

    @Test func defaultsAreThePages() throws {
        let text = try page().joined(separator: " ")
        for directive in Directive.allCases where directive.traits.section != .plan {
            guard let value = directive.traits.defaultText else { continue }
            #expect(text.contains("the default is \(value)."), "\(directive) = \(value)")
        }
    }
}

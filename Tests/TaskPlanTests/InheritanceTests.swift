// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskPlan
import Testing

@Suite struct InheritanceTests {
    private typealias Case = (directive: Directive, parent: String, child: String, becomes: String?)

    /// What a parent has, what its subtask says, and what becomes of it; nil: refused.
    private static let cases: [Case] = [
        (.user, "test", "test", "test"), (.user, "test", "", "test"), (.user, "test", "root", nil),
        (.user, "", "root", nil),
        (.group, "users", "", "users"), (.group, "", "docker", nil),
        (.queue, "small", "", "small"), (.queue, "small", "large", nil),
        (.supplementaryGroups, "audio video", "video", "video"),
        (.supplementaryGroups, "audio", "", ""), (.supplementaryGroups, "audio", "docker", nil),
        (.loadCredential, "a:/etc/a", "a:/etc/a", "a:/etc/a"),
        (.loadCredential, "a:/etc/a", "", ""), (.loadCredential, "a:/etc/a", "a:/etc/shadow", nil),
        (.file, "x:755:\(one)", "x:755:\(one)", "x:755:\(one)"),
        (.file, "x:755:\(one)", "x:755:\(two)", nil),
        (.systemCallArchitectures, "native x86", "", ""),
        (.systemCallArchitectures, "", "native x86", nil),
        (.limitMem, "64M", "", "64M"), (.limitMem, "64M", "32M", "32M"),
        (.limitMem, "64M", "65M", nil), (.limitMem, "", "1T", "1T"),
        (.memoryHigh, "64M", "", "64M"), (.memoryHigh, "64M", "1G", nil),
        (.limitDisk, "", "2G", nil), (.limitDisk, "2G", "", "2G"), (.limitDisk, "8M", "4M", "4M"),
        (.limitDisk, "8M", "9M", nil),
        (.limitCPU, "50%", "", "50%"), (.limitCPU, "50%", "51%", nil), (.limitCPU, "", "9%", "9%"),
        (.limitTasks, "10", "", "10"), (.limitTasks, "10", "11", nil),
        (.limitTasks, "", "infinity", nil),
        (.maxTime, "2s", "", "2s"), (.maxTime, "2s", "1s", "1s"), (.maxTime, "2s", "3s", nil),
        (.maxCPUTime, "2s", "1min", nil), (.timeoutStopSec, "", "11s", nil),
        (.timeoutStopSec, "1s", "", "1s"), (.logLimit, "1M:fail", "2M", nil),
        (.logLimit, "1M:fail", "", "1M:fail"),
        (.priority, "-5", "", "-5"), (.priority, "-5", "-4", nil), (.priority, "", "1", nil),
        (.priority, "", "-1", "-1"),
        (.nice, "5", "", "5"), (.nice, "5", "6", "6"), (.nice, "5", "4", nil),
        (.nice, "", "-1", nil),
        (.jail, "", "no", nil), (.jail, "strict", "", "strict"), (.jail, "strict", "no", nil),
        (.jail, "no", "no", "no"), (.jail, "no", "", ""), (.jail, "", "strict", "strict"),
        (.privateNetwork, "yes", "", "yes"), (.privateNetwork, "", "yes", "yes"),
        (.procSubset, "pid", "", "pid"), (.procSubset, "", "pid", "pid"),
        (.workingDirectory, "/w", "/w", "/w"), (.workingDirectory, "/w", "", ""),
        (.workingDirectory, "/w", "/w/below", nil), (.workingDirectory, "", "/w", nil),
        (.bindPaths, "/w:/x", "/w:/y", "/w:/y"), (.bindPaths, "/w", "/", nil),
        (.bindPaths, "/w", "-/w/link", nil),
        (.dir, "/d", "", "/d"), (.dir, "/d", "/d", "/d"), (.dir, "/d", "/root", nil),
        (.bindReadOnlyPaths, "/r", "-/r:/z", "-/r:/z"), (.bindReadOnlyPaths, "/r", "/etc", nil),
        (.standardInput, "", "text:x", "text:x"), (.standardInput, "file:/a", "file:/a", "file:/a"),
        (.standardInput, "file:/a", "file:/b", nil), (.standardInput, "file:/a", "", ""),
        (.standardOutput, "", "null", "null"), (.standardOutput, "", "file:/o", nil),
        (.systemCallFilter, "@debug", "@debug", "@debug"),
        (.systemCallFilter, "@debug ~reboot", "~kill", "~kill ~reboot"),
        (.systemCallFilter, "", "@debug", nil),
        (.semaphore, "db:2", "db:3", nil), (.semaphore, "db:2", "db:2 other:9", "db:2 other:9"),
        (.semaphore, "db", "db:2", nil), (.semaphore, "db:2", "", ""),
        (.restart, "3", "", ""), (.killSignal, "SIGINT", "", ""), (.env, "A=1", "B=2", "B=2"),
    ]

    private static let one = String(repeating: "1", count: 64)
    private static let two = String(repeating: "2", count: 64)

    private static func spec(_ directive: Directive, _ text: String) -> TaskSpec {
        var spec = TaskSpec(name: "t")
        spec[directive] = text.isEmpty ? [] : text.split(separator: " ").map(String.init)
        return spec
    }

    @Test(arguments: cases.indices)
    func aSubtaskMayWhatItsParentMay(index: Int) throws {
        let (directive, parent, child, becomes) = Self.cases[index]
        let (above, below) = (Self.spec(directive, parent), Self.spec(directive, child))
        guard let becomes else {
            let error = #expect(throws: InheritanceError.self) {
                try Inheritance.apply(above, to: below)
            }
            #expect(error?.directive == directive)
            #expect(error.map { child.contains($0.value) } ?? false)
            return
        }
        let result = try Inheritance.apply(above, to: below)
        #expect(result[directive].joined(separator: " ") == becomes)
    }

    /// Each directive has a case that is refused, or bounds nothing for a reason that is stated; one
    /// whose default is its weakest can't be refused, only be made stronger.
    @Test(arguments: Directive.allCases)
    func everyDirectiveIsDecided(directive: Directive) {
        let own = Self.cases.filter { $0.directive == directive }
        if case .free(let reason) = Inheritance.rule(directive) {
            #expect(!reason.isEmpty && !own.contains { $0.becomes == nil })
        } else if [.privateNetwork, .procSubset].contains(directive) {
            #expect(own.contains { $0.child.isEmpty && $0.becomes == $0.parent })
        } else {
            #expect(own.contains { $0.becomes == nil }, "no case of \(directive) is refused")
        }
        #expect(directive.traits.isInPlan || own.isEmpty)
    }

    /// Places are the parent's whatever directive names them; to read, not to write.
    @Test func placesAreThoseOfTheParent() throws {
        var parent = TaskSpec(name: "p")
        parent[.workingDirectory] = ["/w"]
        parent[.bindPaths] = ["-/b:/inside"]
        parent[.bindReadOnlyPaths] = ["/r"]
        parent[.dir] = ["/d"]
        for path in ["/w", "/b"] {
            for directive in [Directive.workingDirectory, .bindPaths, .bindReadOnlyPaths, .dir] {
                _ = try Inheritance.apply(parent, to: Self.spec(directive, path))
            }
        }
        for path in ["/r", "/d", "/inside"] {
            for directive in [Directive.workingDirectory, .bindPaths] {
                #expect(throws: InheritanceError.self) {
                    try Inheritance.apply(parent, to: Self.spec(directive, path))
                }
            }
        }
    }

    @Test func theSentenceNamesKeyValueAndWhatTheParentHas() {
        let error = #expect(throws: InheritanceError.self) {
            try Inheritance.apply(
                Self.spec(.limitMem, "64M"), to: Self.spec(.limitMem, "1G"))
        }
        #expect(
            error?.sentence
                == "LimitMem=1G is more than the task that dropped it may do: it has LimitMem=64M")
    }

    /// What a subtask inherits its own subtasks may have, and no more.
    @Test func inheritanceGoesDown() throws {
        let child = try Inheritance.apply(
            Self.spec(.limitMem, "64M"), to: Self.spec(.command, "true"))
        #expect(throws: InheritanceError.self) {
            try Inheritance.apply(child, to: Self.spec(.limitMem, "65M"))
        }
        #expect(try Inheritance.apply(child, to: Self.spec(.limitMem, "63M"))[.limitMem] == ["63M"])
    }
}

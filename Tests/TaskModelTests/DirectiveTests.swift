// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@Suite struct DirectiveTests {
    @Test(arguments: Directive.allCases)
    func everyRowIsWhole(directive: Directive) throws {
        let traits = directive.traits
        #expect(!traits.help.isEmpty && !traits.help.hasSuffix("."))
        #expect(Directive.allCases[directive.ordinal] == directive)
        if traits.section != .plan {
            let key = traits.name.isEmpty ? "anything" : traits.name
            #expect(Directive(section: traits.section, key: key) == directive)
        }
        #expect((Directive(planKey: directive.rawValue) == directive) == traits.isInPlan)
        for word in traits.defaultText?.split(separator: " ") ?? [] {
            #expect(try traits.type.canonical(String(word)) == word, "a default is canonical")
        }
    }

    @Test(
        arguments: [
            (.limitMem, "8192M", "8G"), (.maxTime, "2000ms", "2s"), (.restart, "0", "never"),
            (.restart, "05", "5"), (.killSignal, "INT", "SIGINT"), (.killSignal, "15", "SIGTERM"),
            (.successExitStatus, "SIGTERM", "SIGTERM"), (.privateNetwork, "TRUE", "yes"),
            (.logLimit, "64M", "64M"), (.logLimit, "1024K:fail", "1M:fail"),
            (.limitCPU, "150%", "150%"), (.files, "./a//b/./c", "a/b/c"),
            (.workingDirectory, "/tmp//x/", "/tmp/x"),
            (.check, "c=./x y", "c=./x y"), (.env, "A=", "A="),
            (.cron, " *  * * * * ", "* * * * *"),
            (.limitTasks, "infinity", "infinity"), (.nice, "-20", "-20"),
        ] as [(Directive, String, String)])
    func valuesBecomeCanonical(directive: Directive, text: String, canonical: String) throws {
        #expect(try directive.traits.type.canonical(text) == canonical)
        #expect(try directive.traits.type.canonical(canonical) == canonical)
    }

    @Test(
        arguments: [
            (.limitMem, "8GB"), (.limitMem, "lots"), (.maxTime, "soon"), (.restart, "always"),
            (.restart, "-1"), (.killSignal, "SIGFOO"), (.privateNetwork, "maybe"),
            (.limitCPU, "1.5"),
            (.files, "../x"), (.files, "/etc/passwd"), (.workingDirectory, "tmp"), (.env, "1A=x"),
            (.env, "TASK_ID=1"), (.env, "noequals"), (.check, "a b=x"), (.check, "a='"),
            (.nice, "20"),
            (.requires, "a/b"), (.requires, ".hidden"), (.type, "simple"), (.file, "a:644:00"),
            (.successExitStatus, "256"), (.description, "a\nb"), (.description, "a\0b"),
            (.packages, "requests"), (.cron, " "), (.user, "a b"), (.user, ""), (.semaphore, "x:0"),
        ] as [(Directive, String)])
    func wrongValuesSayWhatIsAllowed(directive: Directive, text: String) {
        let error = #expect(throws: ValueProblem.self) {
            try directive.traits.type.canonical(text)
        }
        #expect(error?.what.isEmpty == false && error?.allowed.isEmpty == false)
    }
}

/// A mark joins the Character before it: bytes are what a file system divides a path by.
@Suite struct JoinedSeparatorTests {
    @Test(
        arguments: [
            (.files, "..\u{2f}\u{301}x/../../etc"), (.files, "/\u{301}etc"), (.files, "a/\u{301}b"),
            (.workingDirectory, "/a/\u{301}../b"), (.bindPaths, "/a:\u{301}/b"),
            (.bindPaths, "/a:/\u{301}b"), (.loadCredential, "a:/x/\u{301}../y"),
            (.file, "../\u{301}x:755:" + String(repeating: "0", count: 64)),
        ] as [(Directive, String)])
    func isRefused(directive: Directive, text: String) {
        #expect(throws: ValueProblem.self) { try directive.traits.type.canonical(text) }
    }

    @Test func isNoneInOtherText() throws {
        #expect(try DirectiveType.path.canonical("/e\u{301}/\u{e9}") == "/e\u{301}/\u{e9}")
        #expect(try DirectiveType.assignment.canonical("A=\u{301}") == "A=\u{301}")
    }
}

@Suite struct TaskSpecTests {
    @Test func whatEqualsTheDefaultIsNotKept() {
        var spec = TaskSpec(name: "x")
        spec[.limitDisk] = ["1G"]
        spec[.restartPreventExitStatus] = ["64", "65", "77", "78"]
        #expect(spec == TaskSpec(name: "x"))
        #expect(spec.size(.limitDisk).bytes == 1 << 30)
        #expect(spec.values(.restartPreventExitStatus) == ["64", "65", "77", "78"])
        #expect(spec.number(.limitTasks) == 4096 && spec.number(.restart) == 0)
    }

    @Test func fieldsComeBackInTableOrder() throws {
        let line = " command=pandoc env=A=1 LimitMem=8G arg=a%20b arg= MaxTime=2s env=B=%25"
        let spec = try TaskSpec(name: "site", parsing: Array(line.utf8)[...])
        #expect(spec.argv == ["pandoc", "a b", ""])
        #expect(spec[.env] == ["A=1", "B=%"])
        #expect(spec.span(.maxTime).microseconds == 2_000_000)
        var bytes: [UInt8] = []
        spec.append(to: &bytes)
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == " LimitMem=8G MaxTime=2s env=A%3D1 env=B%3D%25 arg=a%20b arg= command=pandoc")
        #expect(try TaskSpec(name: "site", parsing: bytes[...]) == spec)
    }

    @Test func aListThatBeginsWithItsDefaultKeepsIt() throws {
        let line = Array(" SuccessExitStatus=0 SuccessExitStatus=3".utf8)
        let spec = try TaskSpec(name: "x", parsing: line[...])
        #expect(spec[.successExitStatus] == ["0", "3"])
    }

    @Test(arguments: ["Bogus=1", "LimitMem=8GB", "plain", "arg=%zz", "Requires=a", "MaxTime="])
    func refusesForeignFields(field: String) {
        #expect(throws: TaskSpecError.self) {
            try TaskSpec(name: "x", parsing: Array(field.utf8)[...])
        }
    }
}

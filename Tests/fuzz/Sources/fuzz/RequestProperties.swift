// SPDX-License-Identifier: Apache-2.0
import CLinux
import TaskModel

@testable import TaskJail

/// What taskrun lays into a slot's area for its launcher, a program of C that follows every offset: made
/// from the fields of any task, so that no offset leads out of it, and no text is another.
enum RequestProperties {
    private static let facts = HostFacts.detect()
    private static let guardBytes = 64

    /// A task line's fields, behind a byte 0x1e the strings that name the attempt, each ended by 0x1f.
    static func test(_ bytes: [UInt8]) {
        let parts = bytes.split(separator: 0x1e, maxSplits: 1, omittingEmptySubsequences: false)
        guard let fields = parts.first, let spec = try? TaskSpec(name: "x", parsing: fields) else {
            return
        }
        let strings = (parts.count > 1 ? parts[1] : []).map { $0 == 0x1f ? 0 : $0 }
        let variables = strings.isEmpty ? [] : strings + [0]
        do throws(JailError) {
            let request = try JailRequest(
                spec: spec, programs: programs(spec), environment: spec[.env], owner: 0,
                files: files(spec))
            let plan = try JailPlan(request, facts: facts)
            printed(plan)
            written(plan, variables)
        } catch {
            require(!error.message.isEmpty, "a sentence")
        }
    }

    private static func programs(_ spec: TaskSpec) -> [JailProgram] {
        let checks = spec[.check].compactMap { line -> JailProgram? in
            let words = try? ShellWords.split(line)
            return words.map { JailProgram(check: "c", arguments: $0) }
        }
        return checks + (spec.argv.isEmpty ? [] : [JailProgram(arguments: spec.argv)])
    }

    private static func files(_ spec: TaskSpec) -> [JailFile] {
        spec[.file].map {
            JailFile(path: $0, mode: 0o755, bytes: Array($0.utf8), digest: SHA256.hex($0.utf8))
        }
    }

    private static func printed(_ plan: JailPlan) {
        for text in [plan.text(), plan.json()] {
            require(text.utf8.allSatisfy { $0 >= 0x20 || $0 == 0x0a }, "a printed plan's bytes")
        }
        require(!plan.json().utf8.contains(0x0a), "a plan is one line of JSON")
    }

    /// The area, between bytes that must stay as they are.
    private static func written(_ plan: JailPlan, _ variables: [UInt8]) {
        let size = Int(CL_JAIL_AREA)
        let space = UnsafeMutableRawPointer.allocate(
            byteCount: size + 2 * guardBytes, alignment: 4096)
        defer { space.deallocate() }
        let area = space + guardBytes
        for edge in [space, area + size] {
            edge.initializeMemory(as: UInt8.self, repeating: 0xa5, count: guardBytes)
        }
        do throws(JailError) {
            try plan.image.write(to: area, generation: 7, intoCgroup: true, adding: variables)
            Area(area).check(plan, variables)
        } catch {
            require(error.code == JailCode.execute.rawValue, "too long, and nothing else")
        }
        for edge in [space, area + size] {
            let bytes = UnsafeRawBufferPointer(start: edge, count: guardBytes)
            require(bytes.allSatisfy { $0 == 0xa5 }, "nothing outside of the area is written")
        }
    }
}

/// Follows a request as jail_launcher.c does.
private struct Area {
    private let base: UnsafeMutableRawPointer
    private let request: cl_jail_request
    private let length: Int

    init(_ base: UnsafeMutableRawPointer) {
        self.base = base
        request = base.load(as: cl_jail_request.self)
        length = Int(request.length)
        require(length <= Int(CL_JAIL_AREA), "a request's length")
    }

    func check(_ plan: JailPlan, _ variables: [UInt8]) {
        require(request.generation == 7 && request.into_cgroup == 1, "the attempt")
        steps(plan)
        let programs = plan.request.programs
        require(request.run_count == UInt32(programs.count), "programs")
        for (index, program) in programs.enumerated() {
            let run = load(
                cl_jail_run.self, Int(request.runs) + index * MemoryLayout<cl_jail_run>.stride)
            let words = array(run.argv)
            require(words.count == program.arguments.count, "arguments")
            require(
                words.dropFirst().elementsEqual(
                    program.arguments.dropFirst().map { Array($0.utf8) }),
                "arguments are the task's")
            require(run.check == (program.check == nil ? 0 : 1), "a check")
        }
        let own = variables.split(separator: 0, omittingEmptySubsequences: false).dropLast()
        let all = own.map(Array.init) + plan.environment.map { Array($0.utf8) }
        require(array(request.envp) == all, "the environment")
        require(text(request.base_key).count < 1900, "a base's key")
        require(text(request.scratch).elementsEqual("/scratch".utf8), "the scratch")
    }

    private func steps(_ plan: JailPlan) {
        let parts = [request.open, request.base, request.`init`, request.task]
        require(parts.reduce(0) { $0 + Int($1.count) } == plan.ops.count, "steps")
        var next: UInt32 = 0
        for part in parts {
            require(part.first == next, "a part's first step")
            next += part.count
        }
        for index in 0..<plan.ops.count {
            let stride = MemoryLayout<cl_jail_step>.stride
            let step = load(cl_jail_step.self, Int(request.steps) + index * stride)
            guard let op = plan.ops.at(index) else { return require(false, "a step") }
            require(step.op == op.kind.rawValue, "a step's kind")
            if let from = op.from { require(text(step.from) == Array(from.utf8), "from") }
            if let to = op.to { require(text(step.to) == Array(to.utf8), "to") }
            switch op.payload {
            case .none: require(step.data == 0, "no data")
            case .text(let value): require(text(step.data) == Array(value.utf8), "a text")
            case .bytes(let value): require(take(step.data, value.count) == value, "bytes")
            case .groups(let value): _ = take(step.data, value.count * 4)
            case .filter: _ = take(step.data, Int(step.size))
            }
        }
    }

    private func load<Value: BitwiseCopyable>(_ type: Value.Type, _ offset: Int) -> Value {
        require(offset > 0 && offset + MemoryLayout<Value>.size <= length, "an offset: \(offset)")
        require(offset % MemoryLayout<Value>.alignment == 0, "aligned: \(offset)")
        return base.load(fromByteOffset: offset, as: type)
    }

    private func take(_ offset: UInt32, _ count: Int) -> [UInt8] {
        require(offset > 0 && Int(offset) + count <= length, "bytes at \(offset)")
        return Array(UnsafeRawBufferPointer(start: base + Int(offset), count: count))
    }

    private func text(_ offset: UInt32) -> [UInt8] {
        require(offset > 0 && Int(offset) < length, "a text at \(offset)")
        let rest = UnsafeRawBufferPointer(start: base + Int(offset), count: length - Int(offset))
        guard let end = rest.firstIndex(of: 0) else {
            require(false, "a text that ends")
            return []
        }
        return Array(rest[..<end])
    }

    private func array(_ offset: UInt32) -> [[UInt8]] {
        var found: [[UInt8]] = []
        var at = Int(offset)
        while true {
            let next = load(UInt64.self, at)
            if next == 0 { return found }
            require(next < UInt64(length), "an offset of a text")
            found.append(text(UInt32(next)))
            at += 8
        }
    }
}

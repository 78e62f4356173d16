// SPDX-License-Identifier: Apache-2.0
import CLinux

/// Lays a plan out as a slot's launcher reads it: header, steps, then texts; every reference is an
/// offset from the start, 0 for none. `RequestImage` keeps the result.
struct RequestLayout {
    private let area: UnsafeMutableRawPointer
    private var used = 0
    private var isTooLong = false

    private init(_ area: UnsafeMutableRawPointer) {
        self.area = area
    }

    /// The bytes of a plan without the array of its environment, and the places of that one's texts;
    /// nil when they do not fit into an area.
    static func make(_ builder: JailBuilder) -> (bytes: [UInt8], environment: [UInt32])? {
        // Pages that nothing is written to cost nothing.
        let area = UnsafeMutableRawPointer.allocate(
            byteCount: Int(CL_JAIL_AREA), alignment: 4096)
        defer { area.deallocate() }
        var layout = RequestLayout(area)
        var request = cl_jail_request()
        _ = layout.reserve(MemoryLayout<cl_jail_request>.stride)
        request.clone_flags = builder.cloneFlags
        request.disk_poll = builder.request.limits.disk == nil ? 0 : 1
        layout.addSteps(builder.ops, &request)
        request.base_key = layout.text(builder.baseKey)
        request.scratch = layout.text(JailBuilder.scratch)
        layout.addPrograms(builder.request.programs, &request)
        let environment = builder.environment.map { layout.text($0) }
        if layout.isTooLong { return nil }
        area.storeBytes(of: request, as: cl_jail_request.self)
        return (Array(UnsafeRawBufferPointer(start: area, count: layout.used)), environment)
    }

    /// Other programs behind what is there; nil when they do not fit.
    static func replacing(_ programs: [JailProgram], in bytes: [UInt8]) -> [UInt8]? {
        let area = UnsafeMutableRawPointer.allocate(
            byteCount: Int(CL_JAIL_AREA), alignment: 4096)
        defer { area.deallocate() }
        bytes.withUnsafeBytes {
            if let base = $0.baseAddress { area.copyMemory(from: base, byteCount: $0.count) }
        }
        var layout = RequestLayout(area)
        layout.used = bytes.count
        var request = area.load(as: cl_jail_request.self)
        layout.addPrograms(programs, &request)
        if layout.isTooLong { return nil }
        area.storeBytes(of: request, as: cl_jail_request.self)
        return Array(UnsafeRawBufferPointer(start: area, count: layout.used))
    }

    private mutating func addSteps(_ ops: JailOps, _ request: inout cl_jail_request) {
        let stride = MemoryLayout<cl_jail_step>.stride
        let start = reserve(ops.count * stride)
        request.steps = UInt32(start)
        var index = 0
        for (part, path) in [
            (ops.open, \cl_jail_request.open), (ops.base, \.base), (ops.initial, \.`init`),
            (ops.task, \.task),
        ] as [([JailOp], WritableKeyPath<cl_jail_request, cl_jail_part>)] {
            request[keyPath: path] = cl_jail_part(first: UInt32(index), count: UInt32(part.count))
            for op in part {
                let step = step(op)
                if !isTooLong {
                    area.storeBytes(
                        of: step, toByteOffset: start + index * stride, as: cl_jail_step.self)
                }
                index += 1
            }
        }
    }

    private mutating func step(_ op: JailOp) -> cl_jail_step {
        var step = cl_jail_step()
        step.op = op.kind.rawValue
        step.flags = UInt32(op.flags)
        step.code = UInt32(op.code.rawValue)
        step.size = op.size
        step.a = op.a
        step.b = op.b
        if let from = op.from { step.from = text(from) }
        if let to = op.to { step.to = text(to) }
        switch op.payload {
        case .none: break
        case .text(let value): step.data = text(value)
        case .bytes(let value): step.data = bytes(value)
        case .groups(let value):
            step.data = value.withUnsafeBytes { copy($0, alignedTo: 4) }
        case .filter(let options):
            let program = SeccompFilters.compiled(options).bytes
            step.size = UInt32(program.count)
            step.data = program.withUnsafeBytes { copy($0, alignedTo: 8) }
        }
        return step
    }

    private mutating func addPrograms(
        _ programs: [JailProgram], _ request: inout cl_jail_request
    ) {
        let stride = MemoryLayout<cl_jail_run>.stride
        let start = reserve(programs.count * stride)
        request.runs = UInt32(start)
        request.run_count = UInt32(programs.count)
        for (index, program) in programs.enumerated() {
            var run = cl_jail_run()
            run.argv = strings(Self.resolved(program.arguments))
            run.check = program.check == nil ? 0 : 1
            if isTooLong { return }
            area.storeBytes(of: run, toByteOffset: start + index * stride, as: cl_jail_run.self)
        }
    }

    /// `./check` of a unit is a file of the unit's directory; arguments are the program's own.
    private static func resolved(_ arguments: [String]) -> [String] {
        guard let name = arguments.first, name.contains("/"), !name.hasPrefix("/") else {
            return arguments
        }
        let path = JailBuilder.components(name).joined(separator: "/")
        return ["\(JailBuilder.unitDirectory)/\(path)"] + arguments.dropFirst()
    }

    // MARK: - Bytes

    private mutating func reserve(_ count: Int) -> Int {
        let start = (used + 7) & ~7
        if start + count > Int(CL_JAIL_AREA) {
            isTooLong = true
            return start
        }
        area.advanced(by: used).initializeMemory(
            as: UInt8.self, repeating: 0, count: start + count - used)
        used = start + count
        return start
    }

    private mutating func copy(_ bytes: UnsafeRawBufferPointer, alignedTo alignment: Int) -> UInt32
    {
        let start = (used + alignment - 1) & ~(alignment - 1)
        if start + bytes.count + 1 > Int(CL_JAIL_AREA) {
            isTooLong = true
            return 0
        }
        area.advanced(by: used).initializeMemory(as: UInt8.self, repeating: 0, count: start - used)
        if let base = bytes.baseAddress {
            area.advanced(by: start).copyMemory(from: base, byteCount: bytes.count)
        }
        area.storeBytes(of: 0, toByteOffset: start + bytes.count, as: UInt8.self)
        used = start + bytes.count + 1
        return UInt32(start)
    }

    private mutating func bytes(_ value: [UInt8]) -> UInt32 {
        value.withUnsafeBytes { copy($0, alignedTo: 1) }
    }

    private mutating func text(_ value: String) -> UInt32 {
        var value = value
        return value.withUTF8 { copy(UnsafeRawBufferPointer($0), alignedTo: 1) }
    }

    /// A null-terminated array of 64-bit offsets, which the launcher turns into pointers.
    private mutating func strings(_ values: [String]) -> UInt32 {
        let start = reserve((values.count + 1) * 8)
        for (index, value) in values.enumerated() {
            let offset = UInt64(text(value))
            if isTooLong { return 0 }
            area.storeBytes(of: offset, toByteOffset: start + index * 8, as: UInt64.self)
        }
        return UInt32(start)
    }
}

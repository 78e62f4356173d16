// SPDX-License-Identifier: Apache-2.0
import CLinux

/// A plan as a slot's launcher reads it: made once, copied into the slot's area for each attempt. The
/// launcher turns offsets there into pointers, so that it is copied anew for the next one.
final class RequestImage: Sendable {
    private let bytes: [UInt8]
    /// Places of the environment's texts.
    private let environment: [UInt32]

    /// - Throws: 203 when arguments, environment and files do not fit into 2 MiB.
    init(_ builder: JailBuilder) throws(JailError) {
        guard let made = RequestLayout.make(builder) else { throw Self.tooLong }
        bytes = made.bytes
        environment = made.environment
    }

    private init(_ bytes: [UInt8], _ environment: [UInt32]) {
        self.bytes = bytes
        self.environment = environment
    }

    /// The same with other programs.
    func running(_ programs: [JailProgram]) throws(JailError) -> RequestImage {
        guard let made = RequestLayout.replacing(programs, in: bytes) else { throw Self.tooLong }
        return RequestImage(made, environment)
    }

    /// Writes the request of one attempt.
    ///
    /// - Parameter variables: strings, each ended by a zero byte: the environment's beginning.
    /// - Throws: 203 when they do not fit.
    func write(
        to area: UnsafeMutableRawPointer, generation: UInt32, intoCgroup: Bool,
        adding variables: [UInt8]
    ) throws(JailError) {
        let array = (bytes.count + 7) & ~7
        let added = variables.count { $0 == 0 }
        let texts = array + (added + environment.count + 1) * 8
        let end = texts + variables.count
        if end > Int(CL_JAIL_AREA) { throw Self.tooLong }
        bytes.withUnsafeBytes { area.copyMemory(from: $0) }
        variables.withUnsafeBytes { (area + texts).copyMemory(from: $0) }
        let pointers = (area + array).assumingMemoryBound(to: UInt64.self)
        var next = 0
        var start = texts
        for (at, byte) in variables.enumerated() where byte == 0 {
            pointers[next] = UInt64(start)
            next += 1
            start = texts + at + 1
        }
        for offset in environment {
            pointers[next] = UInt64(offset)
            next += 1
        }
        pointers[next] = 0
        let request = area.assumingMemoryBound(to: cl_jail_request.self)
        request.pointee.generation = generation
        request.pointee.into_cgroup = intoCgroup ? 1 : 0
        request.pointee.envp = UInt32(array)
        request.pointee.length = UInt32(end)
    }

    private static var tooLong: JailError {
        JailError(.execute, "unable to pass arguments, environment and files: longer than 2 MiB")
    }
}

extension UnsafeMutableRawPointer {
    fileprivate func copyMemory(from source: UnsafeRawBufferPointer) {
        guard let base = source.baseAddress else { return }
        copyMemory(from: base, byteCount: source.count)
    }
}

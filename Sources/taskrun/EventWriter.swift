// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage

/// Event lines on their way to a descriptor: all of one turn of the loop go out in one write.
final class EventWriter {
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    /// The error that ended the writing; what comes after is dropped.
    private(set) var failure: Errno?

    init(to descriptor: Int32) { self.descriptor = descriptor }

    func append(_ line: [UInt8]) {
        buffer.append(contentsOf: line)
        buffer.append(UInt8(ascii: "\n"))
        if buffer.count > 256 * 1024 { flush() }
    }

    func flush() {
        if buffer.isEmpty || failure != nil { return }
        do throws(Errno) {
            try File.writeAll(buffer, to: descriptor)
        } catch {
            failure = error
        }
        buffer.removeAll(keepingCapacity: true)
    }
}

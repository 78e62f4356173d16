// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A file of the kernel that is read again and again.
final class KernelFile {
    let descriptor: Int32

    init?(_ path: String, _ mode: Int32) {
        descriptor = open(path, mode | O_CLOEXEC)
        if descriptor < 0 { return nil }
    }

    /// The number at the start of a line, behind a word and its blank.
    func number(after word: StaticString) -> Int64? {
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { space in
            let count = pread(descriptor, space.baseAddress, space.count, 0)
            if count <= 0 { return nil }
            for line in space[..<count].split(separator: UInt8(ascii: "\n")) {
                let begins = word.withUTF8Buffer { line.starts(with: $0) }
                if begins { return Self.number(line.dropFirst(word.utf8CodeUnitCount)) }
            }
            return nil
        }
    }

    private static func number(_ digits: Slice<UnsafeMutableRawBufferPointer>) -> Int64? {
        var value: Int64 = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            value = product &+ Int64(digit - UInt8(ascii: "0"))
        }
        return value
    }

    func write(_ text: StaticString) -> Bool {
        pwrite(descriptor, text.utf8Start, text.utf8CodeUnitCount, 0) >= 0
    }

    deinit { close(descriptor) }
}

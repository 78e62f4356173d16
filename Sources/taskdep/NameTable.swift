// SPDX-License-Identifier: Apache-2.0
import Linux

/// Numbers names by their bytes, in the order in which they come: open addressing over ranges of
/// one buffer, no allocation a name.
struct NameTable {
    /// One name; `length` 0 is a free slot.
    private struct Slot {
        /// A name of up to 8 bytes itself, zero-padded; of a longer one its hash.
        var key: UInt64 = 0
        var length: UInt32 = 0
        var node: UInt32 = 0
    }

    private var slots: [Slot]
    private var mask: Int
    /// An attacker who knows no seed finds no names that collide.
    private let seed = Random.bits64() | 1
    /// Where each name begins in the buffer, by number.
    private(set) var starts: [UInt32] = []
    /// Bytes of each name.
    private(set) var lengths: [UInt32] = []
    /// Bytes of all names together.
    private(set) var bytes = 0

    var count: Int { starts.count }

    /// - Parameter expected: how many names may come; more are taken, too.
    init(expecting expected: Int) {
        var size = 1024
        while size < expected { size *= 2 }
        slots = [Slot](repeating: Slot(), count: size)
        mask = size - 1
        starts.reserveCapacity(expected)
        lengths.reserveCapacity(expected)
    }

    /// A name on its way to a number.
    struct Candidate {
        fileprivate var start: Int
        fileprivate var length: Int
        fileprivate var key: UInt64
        fileprivate var mix: UInt64
    }

    /// What is known of a name before the table is looked at. Eight bytes behind the buffer's last
    /// name are readable.
    @inline(__always)
    func candidate(at start: Int, length: Int, in text: UnsafeRawBufferPointer) -> Candidate {
        let key = length <= 8 ? Self.word(text, start, length) : hash(text, start, length)
        return Candidate(start: start, length: length, key: key, mix: mix(key, length))
    }

    /// Reads the slots where some names will be looked for: independent reads, for which the
    /// processor waits at once. The value has no meaning.
    func touch(_ some: Slice<UnsafeMutableBufferPointer<Candidate>>) -> UInt32 {
        slots.withUnsafeBufferPointer { slots in
            var sum: UInt32 = 0
            for name in some { sum &+= slots[place(name.mix)].node }
            return sum
        }
    }

    /// The number of a name, a new one where it is new.
    mutating func number(of name: Candidate, in text: UnsafeRawBufferPointer) -> UInt32 {
        var at = place(name.mix)
        while true {
            let slot = slots[at]
            if slot.length == 0 { break }
            if slot.key == name.key, Int(slot.length) == name.length,
                name.length <= 8 || same(slot.node, text, name.start, name.length)
            {
                return slot.node
            }
            at = (at + 1) & mask
        }
        let node = UInt32(count)
        slots[at] = Slot(key: name.key, length: UInt32(name.length), node: node)
        starts.append(UInt32(name.start))
        lengths.append(UInt32(name.length))
        bytes += name.length
        if count > slots.count / 8 * 5 { grow() }
        return node
    }

    private mutating func grow() {
        let old = slots
        slots = [Slot](repeating: Slot(), count: old.count * 2)
        mask = slots.count - 1
        for slot in old where slot.length > 0 {
            var at = place(mix(slot.key, Int(slot.length)))
            while slots[at].length > 0 { at = (at + 1) & mask }
            slots[at] = slot
        }
    }

    private func same(
        _ node: UInt32, _ text: UnsafeRawBufferPointer, _ start: Int, _ length: Int
    ) -> Bool {
        let other = Int(starts[Int(node)])
        return text[other..<other + length].elementsEqual(text[start..<start + length])
    }

    @inline(__always)
    private func place(_ mix: UInt64) -> Int { Int(truncatingIfNeeded: mix) & mask }

    @inline(__always)
    private func mix(_ key: UInt64, _ length: Int) -> UInt64 {
        Self.fold(key ^ seed, 0x9e37_79b9_7f4a_7c15 ^ UInt64(truncatingIfNeeded: length))
    }

    private func hash(_ text: UnsafeRawBufferPointer, _ start: Int, _ length: Int) -> UInt64 {
        var sum = seed
        var at = 0
        while at < length {
            let word = Self.word(text, start + at, min(8, length - at))
            sum = Self.fold(sum ^ word, 0xa076_1d64_78bd_642f)
            at += 8
        }
        return sum
    }

    /// Up to 8 bytes as a number.
    @inline(__always)
    private static func word(
        _ text: UnsafeRawBufferPointer, _ start: Int, _ length: Int
    ) -> UInt64 {
        let word = UInt64(
            littleEndian: text.loadUnaligned(fromByteOffset: start, as: UInt64.self))
        return length == 8 ? word : word & (1 << UInt64(length * 8) - 1)
    }

    /// Both halves of a product (wyhash's step).
    @inline(__always)
    private static func fold(_ one: UInt64, _ other: UInt64) -> UInt64 {
        let product = one.multipliedFullWidth(by: other)
        return product.high ^ product.low
    }
}

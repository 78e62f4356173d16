// SPDX-License-Identifier: Apache-2.0

/// SHA-256 (FIPS 180-4), for the digests of plans and units. Not constant-time: nothing secret is
/// hashed here.
public struct SHA256: Sendable {
    private var state: [UInt32] = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a,
        0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    private var pending: [UInt8] = []
    private var length: UInt64 = 0
    private var schedule = [UInt32](repeating: 0, count: 64)

    public init() {
        pending.reserveCapacity(64)
    }

    /// The 32 bytes of a buffer's digest.
    public static func digest(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var hash = SHA256()
        hash.update(Array(bytes))
        return hash.finish()
    }

    /// The digest as 64 lower-case hexadecimal characters.
    public static func hex(_ bytes: some Sequence<UInt8>) -> String {
        Hex.text(digest(bytes))
    }

    public mutating func update(_ bytes: [UInt8]) {
        length += UInt64(bytes.count)
        bytes.withUnsafeBufferPointer { buffer in
            var at = 0
            if !pending.isEmpty {
                let take = min(64 - pending.count, buffer.count)
                pending.append(contentsOf: buffer[0..<take])
                at = take
                if pending.count < 64 { return }
                pending.withUnsafeBufferPointer {
                    Self.compress($0, at: 0, &state, &schedule)
                }
                pending.removeAll(keepingCapacity: true)
            }
            while at + 64 <= buffer.count {
                Self.compress(buffer, at: at, &state, &schedule)
                at += 64
            }
            pending.append(contentsOf: buffer[at...])
        }
    }

    /// Ends the message and returns 32 bytes.
    public mutating func finish() -> [UInt8] {
        let bits = length &* 8
        let zeros = (119 - Int(length % 64)) % 64
        var tail = [UInt8](repeating: 0, count: 1 + zeros + 8)
        tail[0] = 0x80
        for index in 0..<8 {
            tail[1 + zeros + index] = UInt8(truncatingIfNeeded: bits >> UInt64(56 - 8 * index))
        }
        update(tail)
        return [UInt8](unsafeUninitializedCapacity: 32) { space, count in
            for index in 0..<32 {
                let word = state[index / 4]
                space[index] = UInt8(truncatingIfNeeded: word >> UInt32(24 - index % 4 * 8))
            }
            count = 32
        }
    }

    private static func compress(
        _ block: UnsafeBufferPointer<UInt8>, at start: Int, _ state: inout [UInt32],
        _ schedule: inout [UInt32]
    ) {
        state.withUnsafeMutableBufferPointer { state in
            schedule.withUnsafeMutableBufferPointer { w in
                constants.withUnsafeBufferPointer { k in
                    expand(block, at: start, w)
                    mix(state, w, k)
                }
            }
        }
    }

    @inline(__always)
    private static func expand(
        _ block: UnsafeBufferPointer<UInt8>, at start: Int, _ w: UnsafeMutableBufferPointer<UInt32>
    ) {
        for i in 0..<16 {
            let at = start &+ i &* 4
            w[i] =
                UInt32(block[at]) << 24 | UInt32(block[at &+ 1]) << 16
                | UInt32(block[at &+ 2]) << 8 | UInt32(block[at &+ 3])
        }
        for i in 16..<64 {
            let s0 = turn(w[i &- 15], 7) ^ turn(w[i &- 15], 18) ^ w[i &- 15] &>> 3
            let s1 = turn(w[i &- 2], 17) ^ turn(w[i &- 2], 19) ^ w[i &- 2] &>> 10
            w[i] = w[i &- 16] &+ s0 &+ w[i &- 7] &+ s1
        }
    }

    @inline(__always)
    private static func mix(
        _ state: UnsafeMutableBufferPointer<UInt32>, _ w: UnsafeMutableBufferPointer<UInt32>,
        _ k: UnsafeBufferPointer<UInt32>
    ) {
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        var (e, f, g, h) = (state[4], state[5], state[6], state[7])
        for i in 0..<64 {
            let s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)
            let t1 = h &+ s1 &+ (e & f ^ ~e & g) &+ k[i] &+ w[i]
            let s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)
            let t2 = s0 &+ (a & b ^ a & c ^ b & c)
            (h, g, f, e) = (g, f, e, d &+ t1)
            (d, c, b, a) = (c, b, a, t1 &+ t2)
        }
        state[0] &+= a
        state[1] &+= b
        state[2] &+= c
        state[3] &+= d
        state[4] &+= e
        state[5] &+= f
        state[6] &+= g
        state[7] &+= h
    }

    @inline(__always)
    private static func turn(_ word: UInt32, _ count: UInt32) -> UInt32 {
        word &>> count | word &<< (32 &- count)
    }

    private static let constants: [UInt32] = [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1,
        0x923f_82a4, 0xab1c_5ed5, 0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3,
        0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174, 0xe49b_69c1, 0xefbe_4786,
        0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
        0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147,
        0x06ca_6351, 0x1429_2967, 0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13,
        0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85, 0xa2bf_e8a1, 0xa81a_664b,
        0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
        0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a,
        0x5b9c_ca4f, 0x682e_6ff3, 0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208,
        0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
    ]
}

/// Hexadecimal text.
public enum Hex {
    private static let digits = Array("0123456789abcdef".utf8)

    public static func text(_ bytes: [UInt8]) -> String {
        String(unsafeUninitializedCapacity: 2 * bytes.count) { space in
            for (index, byte) in bytes.enumerated() {
                space[2 * index] = digits[Int(byte >> 4)]
                space[2 * index + 1] = digits[Int(byte & 15)]
            }
            return 2 * bytes.count
        }
    }

    /// The bytes of an even number of digits; nil for what is none.
    public static func bytes(_ text: some StringProtocol) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        for place in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digit(digits[place]), let low = digit(digits[place + 1]) else {
                return nil
            }
            bytes.append(UInt8(truncatingIfNeeded: high << 4 | low))
        }
        return bytes
    }

    /// Appends 8 digits.
    public static func append(_ word: UInt32, to bytes: inout [UInt8]) {
        for shift in stride(from: 28, through: 0, by: -4) {
            bytes.append(digits[Int(word >> UInt32(shift) & 15)])
        }
    }

    /// Lower-case digits, 1 to 8 of them. Not upper-case: a bit that flips must not read as well.
    public static func parse(_ bytes: some Collection<UInt8>) -> UInt32? {
        guard (1...8).contains(bytes.count) else { return nil }
        var value: UInt32 = 0
        for byte in bytes {
            guard let digit = digit(byte), byte < 65 || byte > 70 else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }

    /// The value of a digit in either case; nil for what is none.
    public static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

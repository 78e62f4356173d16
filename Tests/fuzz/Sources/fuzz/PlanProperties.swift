// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// Plans: what is read is what was written, and no byte can be another.
enum PlanProperties {
    static func test(_ bytes: [UInt8]) {
        _ = try? Plan(parsing: bytes)
        var buffer = bytes[...]
        _ = try? PlanBlob(takingFrom: &buffer)
        let body = withDigests(bytes)
        let whole = body + Array("digest \(SHA256.hex(body))\n".utf8)
        let plan: Plan
        do throws(PlanError) {
            plan = try Plan(parsing: whole)
        } catch {
            let lines = whole.count { $0 == 0x0a }
            return require(error.line <= lines && error.line >= 1, "a line of the plan: \(error)")
        }
        let printed = plan.encode()
        isWhole(plan, printed)
        // A byte that is no UTF-8 becomes the nine of a coded U+FFFD.
        require(printed.count <= 9 * whole.count + 100, "a plan's size")
    }

    /// Encoded bytes are that plan; no byte of them can be changed, none left out at the end.
    static func isWhole(_ plan: Plan, _ bytes: [UInt8]) {
        guard let again = try? Plan(parsing: bytes) else {
            return require(false, "a plan that was printed is none")
        }
        require(again == plan, "plan: print, parse")
        require(again.encode() == bytes, "plan: print, parse, print")
        require(Plan.digest(ofEncoded: bytes) == plan.digest, "the digest of its bytes")
        for edge in plan.edges { require(edge.from < edge.to, "an edge forwards") }
        for task in plan.tasks { _ = plan.files(of: task) }
        _ = plan.root
        var changed = bytes
        let place = choice(bytes)
        changed[Int(place % UInt64(bytes.count))] ^= 1 << UInt8(place >> 40 & 7)
        require((try? Plan(parsing: changed)) == nil, "a plan with a flipped bit")
        let cut = Array(bytes.prefix(Int(choice(bytes, 1) % UInt64(bytes.count))))
        require((try? Plan(parsing: cut)) == nil, "a plan cut off")
    }

    /// The same with right digests in blob lines, and without a last line of its own.
    private static func withDigests(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        var rest = bytes[...]
        while let end = rest.firstIndex(of: 0x0a) {
            let line = rest[rest.startIndex..<end]
            rest = rest[(end + 1)...]
            if line.starts(with: "digest ".utf8), rest.isEmpty { break }
            let words = line.split(separator: 0x20, omittingEmptySubsequences: false)
            guard words.count == 5, words[0].elementsEqual("blob".utf8),
                let count = Decimal.parse(words[4]), count < rest.count
            else {
                out += line + [0x0a]
                continue
            }
            let raw = rest.prefix(count)
            rest = rest.dropFirst(count)
            let head = words[0...2].joined(separator: [0x20])
            out += head + Array(" \(SHA256.hex(raw)) \(count)\n".utf8) + raw
        }
        return out + rest
    }
}

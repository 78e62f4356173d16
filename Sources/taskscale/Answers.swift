// SPDX-License-Identifier: Apache-2.0
import TaskFleet
import TaskModel

/// Reads what the two programs say. An answer of which one line is wrong is not used at all: half a list would
/// look like machines that are missing.
enum Answers {
    /// `{"id","state","group","since"}` a line; machines of another group are none of ours.
    ///
    /// `since` is in seconds since 1970.
    static func machines(_ answer: [UInt8], group: String) throws(CallFailure) -> [Machine] {
        var found: [String: Machine] = [:]
        for (number, line) in try lines(answer) {
            func refusal(_ why: String) -> CallFailure {
                CallFailure(sentence: "the provider's line \(number): \(why)")
            }
            let object: FlatJSON
            do throws(ValueProblem) {
                object = try FlatJSON(parsing: line)
            } catch {
                throw refusal("\(error.what): \(error.allowed)")
            }
            guard object.string("group") == group else { continue }
            guard let id = object.string("id"), Options.isName(id) else {
                throw refusal("no \"id\" of 1 to 64 of A-Z a-z 0-9 . _ -")
            }
            guard let state = object.string("state").flatMap(Machine.State.init(rawValue:)) else {
                throw refusal(
                    "no \"state\" of \(id): starting, up or stopping"
                )
            }
            guard let since = object.integer("since"), (0...(1 << 40)).contains(since) else {
                throw refusal("no \"since\" of \(id): seconds since 1970")
            }
            let machine = Machine(id: id, state: state, since: since * 1_000_000)
            guard found.updateValue(machine, forKey: id) == nil else {
                throw refusal("\(id) stands there twice")
            }
        }
        return found.values.sorted { ($0.since, $0.id) < ($1.since, $1.id) }
    }

    /// An id a line.
    static func created(_ answer: [UInt8]) throws(CallFailure) -> [String] {
        var ids: [String] = []
        for (number, line) in try lines(answer) {
            let id = String(decoding: line, as: UTF8.self)
            guard Options.isName(id) else {
                throw CallFailure(
                    sentence: "the provider's line \(number) after create is no id: "
                        + id.debugDescription
                )
            }
            ids.append(id)
        }
        return ids
    }

    /// `backlog WAITING HELD MEAN_US|-` once, and `node NAME live|silent serving|draining BUNDLES SEEN` a node.
    static func ledger(
        _ answer: [UInt8]
    ) throws(CallFailure) -> (backlog: Backlog, nodes: [FleetNode]) {
        var backlog: Backlog?
        var nodes: [FleetNode] = []
        for (number, line) in try lines(answer) {
            let words = String(decoding: line, as: UTF8.self).split(separator: " ").map(String.init)
            if let read = Self.backlog(words), backlog == nil {
                backlog = read
            } else if let node = node(words) {
                nodes.append(node)
            } else {
                throw CallFailure(
                    sentence: "the ledger's line \(number) says neither backlog nor node: "
                        + String(decoding: line.prefix(80), as: UTF8.self).debugDescription)
            }
        }
        guard let backlog else { throw CallFailure(sentence: "the ledger says no backlog") }
        return (backlog, nodes)
    }

    private static func backlog(_ words: [String]) -> Backlog? {
        guard words.count == 4, words[0] == "backlog", let waiting = count(words[1]),
            let held = count(words[2])
        else { return nil }
        guard words[3] != "-" else { return Backlog(waiting: waiting, held: held, mean: nil) }
        return count(words[3]).map { Backlog(waiting: waiting, held: held, mean: Int64($0)) }
    }

    private static func node(_ words: [String]) -> FleetNode? {
        guard words.count == 6, words[0] == "node", ["live", "silent"].contains(words[2]),
            ["serving", "draining"].contains(words[3]), let bundles = count(words[4]),
            let seen = count(words[5])
        else { return nil }
        return FleetNode(
            name: words[1], isLive: words[2] == "live", isDraining: words[3] == "draining",
            bundles: bundles, seen: Int64(seen))
    }

    private static func count(_ text: String) -> Int? {
        Int(text).flatMap { (0...(1 << 60)).contains($0) ? $0 : nil }
    }

    /// Lines with their numbers. Without a line feed at the end the last one may be half a line.
    private static func lines(
        _ answer: [UInt8]
    ) throws(CallFailure) -> [(Int, ArraySlice<UInt8>)] {
        guard answer.isEmpty || answer.last == UInt8(ascii: "\n") else {
            throw CallFailure(sentence: "an answer without a line feed at its end: it is cut off")
        }
        return answer.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .enumerated().map { ($0.offset + 1, $0.element) }.filter { !$0.1.isEmpty }
    }
}

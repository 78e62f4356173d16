// SPDX-License-Identifier: Apache-2.0

/// What became of the items of an array task: two bits each, whatever their number.
///
/// Items are known by their numbers. Those below `first` or past the last that was set are open.
public struct ItemStates: Equatable, Sendable {
    /// What is decided of an item. The letters are those of the checkpoint.
    public enum State: UInt8, CaseIterable, Sendable {
        /// It has not ended.
        case open = 0
        /// Also where a condition said no.
        case success
        case failure
        case cancelled

        public var letter: UInt8 {
            switch self {
            case .open: UInt8(ascii: "o")
            case .success: UInt8(ascii: "s")
            case .failure: UInt8(ascii: "f")
            case .cancelled: UInt8(ascii: "c")
            }
        }

        /// The two bits of a task's final state; open for one that is none.
        public init(_ state: TaskState) {
            switch state {
            case .success, .skipped: self = .success
            case .failure: self = .failure
            case .cancelled: self = .cancelled
            default: self = .open
            }
        }
    }

    /// The lowest number.
    public let first: Int
    /// One more than the highest number that has its bits.
    public private(set) var end: Int
    private var words: [UInt64]

    private static let perWord = 32

    /// Room for the items `first` to `end - 1`, all open.
    public init(first: Int = 0, end: Int = 0) {
        self.first = first
        self.end = max(first, end)
        words = [UInt64](
            repeating: 0, count: (max(0, end - first) + Self.perWord - 1) / Self.perWord)
    }

    public subscript(_ item: Int) -> State {
        get {
            guard item >= first, item < end else { return .open }
            let at = item - first
            let bits = words[at / Self.perWord] >> UInt64(2 * (at % Self.perWord)) & 3
            return State(rawValue: UInt8(bits)) ?? .open
        }
        set {
            guard item >= first, item < first + PlanLimits.items else { return }
            if item >= end { grow(to: item + 1) }
            let at = item - first
            let shift = UInt64(2 * (at % Self.perWord))
            let cleared = words[at / Self.perWord] & ~(3 << shift)
            words[at / Self.perWord] = cleared | UInt64(newValue.rawValue) << shift
        }
    }

    private mutating func grow(to end: Int) {
        let count = (end - first + Self.perWord - 1) / Self.perWord
        if count > words.count {
            words.append(contentsOf: repeatElement(0, count: count - words.count))
        }
        self.end = end
    }

    /// Calls the body for each stretch of one state, in order. O(items).
    public func each(_ body: (_ state: State, _ items: Range<Int>) -> Void) {
        var start = first
        while start < end {
            let state = self[start]
            var next = start + 1
            while next < end, self[next] == state {
                // A whole word of the same at once.
                let at = next - first
                if at % Self.perWord == 0, next + Self.perWord <= end,
                    words[at / Self.perWord] == 0x5555_5555_5555_5555 &* UInt64(state.rawValue)
                {
                    next += Self.perWord
                } else {
                    next += 1
                }
            }
            body(state, start..<next)
            start = next
        }
    }

    /// Appends ` FIRST STRETCHES`: a letter each, and how many where it is more than one.
    public func append(to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: " "))
        Decimal.append(first, to: &bytes)
        bytes.append(UInt8(ascii: " "))
        each { state, items in
            bytes.append(state.letter)
            if items.count > 1 { Decimal.append(items.count, to: &bytes) }
        }
        if first == end { bytes.append(UInt8(ascii: "-")) }
    }

    /// Reads what `append` wrote; nil for anything else.
    public init?(first: some Collection<UInt8>, stretches: some Collection<UInt8>) {
        guard let start = Decimal.parse(first), start <= PlanLimits.items else { return nil }
        self.init(first: start)
        if stretches.elementsEqual("-".utf8) { return }
        var rest = Array(stretches)[...]
        while let letter = rest.popFirst() {
            guard let state = State.allCases.first(where: { $0.letter == letter }) else {
                return nil
            }
            let digits = rest.prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
            rest = rest.dropFirst(digits.count)
            guard let count = digits.isEmpty ? 1 : Decimal.parse(digits), count > 0,
                count <= PlanLimits.items - (end - start)
            else { return nil }
            let from = end
            grow(to: from + count)
            if state != .open { for item in from..<(from + count) { self[item] = state } }
        }
    }
}

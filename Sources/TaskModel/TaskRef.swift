// SPDX-License-Identifier: Apache-2.0

/// What an event line is about: a run `RUN`, a task of it `RUN.K`, an item of an array `RUN.K.I`.
public struct TaskRef: Hashable, Sendable {
    public var run: TaskID
    /// The task's number in plan order, from 0; nil for the run itself.
    public var task: Int?
    /// The item of an array task, from 0.
    public var item: Int?

    public init(run: TaskID, task: Int? = nil, item: Int? = nil) {
        self.run = run
        self.task = task
        self.item = item
    }

    /// Parses `RUN`, `RUN.K` or `RUN.K.I`.
    public init?(_ text: some StringProtocol) {
        self.init(bytes: Array(text.utf8)[...])
    }

    public init?(bytes: ArraySlice<UInt8>) {
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard (1...3).contains(parts.count), let run = TaskID(bytes: parts[0]) else { return nil }
        self.run = run
        if parts.count > 1 {
            guard let task = Decimal.parse(parts[1]) else { return nil }
            self.task = task
        }
        if parts.count > 2 {
            guard let item = Decimal.parse(parts[2]) else { return nil }
            self.item = item
        }
    }

    public func append(to bytes: inout [UInt8]) {
        run.append(to: &bytes)
        for part in [task, item] {
            guard let part else { return }
            bytes.append(UInt8(ascii: "."))
            Decimal.append(part, to: &bytes)
        }
    }
}

extension TaskRef: CustomStringConvertible {
    public var description: String {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// The name of a live run's file in a state directory: `ID`, `ID:ATTEMPT`, `ID+GENERATION`; of one that was claimed
/// from the ledger `=EPOCH.GEN` follows.
///
/// Attempt 1 and generation 0 are left out.
public struct RunFileName: Hashable, Sendable {
    public var run: TaskID
    /// The attempt of a run of one task, from 1.
    public var attempt: Int
    /// Retries by an operator, from 0.
    public var generation: Int
    /// Under which a claimed run may start; nil: it is this spool's own.
    public var token: ClaimToken? {
        get { epoch > 0 ? ClaimToken(epoch: epoch, gen: Int(gen)) : nil }
        set { (epoch, gen) = (newValue?.epoch ?? 0, Int32(clamping: newValue?.gen ?? 0)) }
    }
    // Two words of many runs, of which few are claimed.
    private var epoch: Int64 = 0
    private var gen: Int32 = 0

    public init(
        run: TaskID, attempt: Int = 1, generation: Int = 0, token: ClaimToken? = nil
    ) {
        self.run = run
        self.attempt = attempt
        self.generation = generation
        self.token = token
    }

    public init?(bytes: ArraySlice<UInt8>) {
        guard bytes.count >= TaskID.length,
            let run = TaskID(bytes: bytes.prefix(TaskID.length))
        else { return nil }
        self.init(run: run)
        var rest = bytes.dropFirst(TaskID.length)
        if rest.first == UInt8(ascii: ":") {
            let digits = rest.dropFirst().prefix {
                $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "=")
            }
            guard let attempt = Decimal.parse(digits), attempt > 1 else { return nil }
            self.attempt = attempt
            rest = rest.dropFirst(1 + digits.count)
        }
        if rest.first == UInt8(ascii: "+") {
            let digits = rest.dropFirst().prefix { $0 != UInt8(ascii: "=") }
            guard let generation = Decimal.parse(digits), generation > 0 else { return nil }
            self.generation = generation
            rest = rest.dropFirst(1 + digits.count)
        }
        if rest.first == UInt8(ascii: "=") {
            guard let token = ClaimToken(rest.dropFirst()) else { return nil }
            self.token = token
            rest = []
        }
        guard rest.isEmpty else { return nil }
    }
}

extension RunFileName: CustomStringConvertible {
    public var description: String {
        var text = run.description
        if attempt > 1 { text += ":\(attempt)" }
        if generation > 0 { text += "+\(generation)" }
        if let token { text += "=\(token)" }
        return text
    }
}

/// Decimal numbers in byte buffers, without String.
public enum Decimal {
    /// Digits only, no sign, no leading zero but `0` itself; nil also above Int.max.
    public static func parse(_ bytes: some Collection<UInt8>) -> Int? {
        guard let first = bytes.first, first != UInt8(ascii: "0") || bytes.count == 1 else {
            return nil
        }
        var value = 0
        for byte in bytes {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
            if overflow || carry { return nil }
            value = sum
        }
        return value
    }

    /// Appends the digits of a number, with `-` where it is negative.
    public static func append(_ value: some BinaryInteger, to bytes: inout [UInt8]) {
        if let value = Int(exactly: value) { return append(value, to: &bytes) }
        bytes.append(contentsOf: String(value).utf8)
    }

    /// The same, not generic: it is called for every line.
    public static func append(_ value: Int, to bytes: inout [UInt8]) {
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        // 2^64 has 20 digits.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var rest = value.magnitude
            var at = 20
            repeat {
                at -= 1
                digits[at] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest != 0
            bytes.append(contentsOf: digits[at...])
        }
    }
}

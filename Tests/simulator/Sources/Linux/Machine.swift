// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// The system calls that taskd makes, as faults and traces name them.
public enum Call: String, CaseIterable, Sendable {
    case open, create, close, read, write, sync, syncData, truncate, allocate, rename, unlink,
        mkdir, stat
    case list, lock, lease, space, times, wait, watch, events, connect, send, receive, spawn
}

/// Who acts beside taskd: owners, the pool, the clock. Asked at every call, and when taskd waits.
public protocol World: AnyObject {
    /// Before a call has its effect; may kill taskd, which the call then meets.
    func willCall(_ call: Call, _ name: String)
    /// taskd waits: something becomes ready, time passes, or it dies.
    func idle(until deadline: Int64?, _ isReady: () -> Bool)
    /// A program is started; nil: the errno.
    func spawn(_ arguments: [String]) -> ModelProcess?
    /// taskd was told that bytes of a file, and its name, are durable.
    func becameDurable(_ file: DiskNode, _ bytes: ArraySlice<UInt8>)
    /// What taskd says.
    func said(_ text: String)
}

/// A child of taskd.
public final class ModelProcess {
    public let pid: Int32
    /// The word of wait(2), once it has ended.
    public var status: Int32?
    public init(pid: Int32) { self.pid = pid }
}

/// An error that the next calls of a kind meet.
public struct Fault: Sendable {
    public var call: Call
    public var error: Errno
    /// So many calls of that kind pass before.
    public var skip: Int
    public var times: Int
    public init(_ call: Call, _ error: Errno, skip: Int, times: Int) {
        (self.call, self.error, self.skip, self.times) = (call, error, skip, times)
    }
}

/// The machine that taskd believes to run on: one, with one process of interest.
public final class Machine {
    public let disk: Disk
    public unowned let world: any World
    public var random: Dice
    public private(set) var calls = 0
    public private(set) var isDead = true
    public var faults: [Fault] = []
    /// A digest of all that happened: equal seeds give equal digests.
    public private(set) var digest: UInt64 = 14_695_981_039_346_656_037
    /// Faults that were met, by kind.
    public private(set) var met: [String: Int] = [:]
    public var bootTime: Int64 = 1_000_000
    public var realOffset: Int64 = 1_760_000_000_000_000
    public private(set) var boot = 1
    public private(set) var process = Process(pid: 0, start: 0)
    private var nextPid: Int32 = 100
    private var nextDescriptor: Int32 = 3
    private var afterDeath = 0
    /// Events that an inotify queue holds.
    public var queueLimit = 16_384
    public var terminate = false

    /// The machine that the calls of this module act on: set by each history, used by one thread.
    // swift-format-ignore: NeverUseImplicitlyUnwrappedOptionals
    nonisolated(unsafe) public static var current: Machine!

    public init(world: any World, dice: Dice, rules: Disk.Rules) {
        self.world = world
        random = dice
        disk = Disk(rules)
        for name in ["/dev", "/s-parent"] { disk.makeSystemDirectory(name) }
        disk.clock = { [unowned self] in Clock.coarse(self) }
    }

    // MARK: Lives

    /// What belongs to one life of taskd.
    public final class Process {
        public let pid: Int32
        public let start: Int64
        var open: [Int32: Open] = [:]
        var inotifies: [Inotify.Queue] = []
        var loops: [EventLoop] = []
        var timers: [WallTimer.State] = []
        public var descriptors: Int { open.count }
        init(pid: Int32, start: Int64) { (self.pid, self.start) = (pid, start) }
    }

    /// A new process: what follows are its calls.
    public func begin() {
        nextPid += 1
        process = Process(pid: nextPid, start: bootTime / 10_000)
        isDead = false
        terminate = false
        afterDeath = 0
    }

    /// The process is no more: no call of it has an effect from now on.
    public func kill() {
        if isDead { return }
        isDead = true
        note("kill")
    }

    /// Its code has returned: descriptors, locks, leases and watches go.
    public func bury() {
        isDead = true
        for open in process.open.values { disk.close(open) }
        for loop in process.loops { loop.tearDown() }
        process.open = [:]
        process.loops = []
        process.inotifies = []
        process.timers = []
    }

    /// The power goes and comes: what was not synced may be lost.
    public func powerFailure(_ dice: inout Dice) {
        kill()
        note("power failure")
        disk.powerFailure(&dice)
        boot += 1
        realOffset += bootTime + 20_000_000
        bootTime = 1_000_000
    }

    /// CLOCK_BOOTTIME of the next time of day that taskd waits for.
    public var wallDeadline: Int64? {
        process.timers.filter { $0.time < .max }.map { $0.time - realOffset }.min()
    }

    // MARK: Calls

    /// Every call begins here.
    func enter(_ call: Call, _ name: String = "") throws(Errno) {
        if isDead { throw deadCall() }
        calls += 1
        bootTime += 1
        note(call.rawValue, name)
        world.willCall(call, name)
        if isDead { throw deadCall() }
        if !faults.isEmpty, let error = fault(call) {
            note("error", error.description)
            throw error
        }
    }

    private func deadCall() -> Errno {
        afterDeath += 1
        bootTime += 1
        precondition(afterDeath < 200_000, "taskd goes on though every call fails")
        return .ioError
    }

    private func fault(_ call: Call) -> Errno? {
        guard let index = faults.firstIndex(where: { $0.call == call }) else { return nil }
        if faults[index].skip > 0 {
            faults[index].skip -= 1
            return nil
        }
        let error = faults[index].error
        faults[index].times -= 1
        if faults[index].times <= 0 { faults.remove(at: index) }
        met["\(call.rawValue) \(Machine.word(error))", default: 0] += 1
        return error
    }

    private static func word(_ error: Errno) -> String {
        switch error {
        case .ioError: "EIO"
        case .noSpace: "ENOSPC"
        case .tooManyOpenFiles: "EMFILE"
        case .tooManyOpenFilesInSystem: "ENFILE"
        case .interrupted: "EINTR"
        case .noMemory: "ENOMEM"
        case .diskQuotaExceeded: "EDQUOT"
        default: "\(error.rawValue)"
        }
    }

    /// Adds to the digest, and to the trace.
    public func note(_ word: String, _ detail: String = "") {
        for byte in word.utf8 { mix(byte) }
        for byte in detail.utf8 { mix(byte) }
        if let trace {
            trace("\(bootTime) \(isDead ? "-" : "\(calls)") \(word) \(detail)")
        }
    }
    public var trace: ((String) -> Void)?

    private func mix(_ byte: UInt8) { digest = (digest ^ UInt64(byte)) &* 1_099_511_628_211 }

    // MARK: Descriptors

    func give(_ open: Open) throws(Errno) -> Int32 {
        if process.open.count >= 512 { throw .tooManyOpenFiles }
        nextDescriptor += 1
        process.open[nextDescriptor] = open
        return nextDescriptor
    }

    func open(_ number: Int32) throws(Errno) -> Open {
        guard let open = process.open[number] else { throw .badFileDescriptor }
        return open
    }

    func close(_ number: Int32) {
        guard let open = process.open.removeValue(forKey: number) else { return }
        disk.close(open)
    }
}

/// Numbers by chance from a seed (splitmix64; Steele, Lea and Flood, 2014).
public struct Dice: Sendable {
    private var state: UInt64
    public init(_ seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// 0 ..< count.
    public mutating func below(_ count: Int) -> Int { Int(next() % UInt64(max(1, count))) }

    /// True once in so many throws.
    public mutating func oneIn(_ count: Int) -> Bool { below(count) == 0 }

    public mutating func pick<Item>(_ items: [Item]) -> Item { items[below(items.count)] }
}

// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// A program to start: the world knows what it does.
public final class Program {
    let arguments: [String]
    public init(path: String, arguments: [String], environment: [String]) {
        self.arguments = arguments
    }
}

public struct SpawnError: Error, Equatable, Sendable {
    public var errno: Errno
}

public struct SpawnOptions: Sendable {
    public var standardInput: Int32 = 0
    public var standardOutput: Int32 = 1
    public var standardError: Int32 = 2
    public var newSession = false
    public var diesWithParent = false
    public var nice: Int32 = 0
    public var isIdleIO = false
    public init() {}
}

public struct Child: ~Copyable {
    public let pid: Int32
    public let pidfd: Descriptor
    private let process: ModelProcess

    private init(_ process: ModelProcess, _ pidfd: consuming Descriptor) {
        self.process = process
        pid = process.pid
        self.pidfd = pidfd
    }

    public static func start(
        _ program: borrowing Program, _ options: SpawnOptions
    ) throws(SpawnError) -> Child {
        let machine: Machine = Machine.current
        do throws(Errno) {
            try machine.enter(.spawn, program.arguments.first ?? "")
            guard let process = machine.world.spawn(program.arguments) else { throw Errno.noMemory }
            return Child(process, Descriptor(owning: try machine.give(Open(.process(process)))))
        } catch {
            throw SpawnError(errno: error)
        }
    }

    public static func killUnreaped(_ pid: Int32) {}

    public func ended() throws(Errno) -> ProcessEnd? {
        try Machine.current.enter(.wait)
        return process.status.map { ProcessEnd(status: $0) }
    }
}

public struct ProcessEnd: Equatable, Sendable {
    public var status: Int32
    public var exitCode: Int32? { status & 127 == 0 ? status >> 8 & 255 : nil }
    public var signal: Int32? { status & 127 == 0 ? nil : status & 127 }
}

/// TERM comes when the world says so.
public struct SignalSource: ~Copyable {
    public let descriptor: Descriptor
    public init(_ signals: [Int32]) throws(Errno) {
        try Machine.current.enter(.watch)
        // Nobody sends another than SIGTERM.
        let what: Open.What = signals.contains(15) ? .signals : .bytes([])
        descriptor = Descriptor(owning: try Machine.current.give(Open(what)))
    }
    public func next() throws(Errno) -> Int32? { nil }
    public static func block(_ signal: Int32) {}
    public static func ignorePipe() {}
}

public enum SignalName {
    public static func name(of signal: Int32) -> String { "\(signal)" }
}

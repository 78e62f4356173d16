// SPDX-License-Identifier: Apache-2.0
public import Linux
import SystemPackage

/// Another program that runs beside this one, and is waited for.
public final class Subprogram {
    private let child: Child
    private var status: Int32?

    /// Starts a prepared program.
    public init(_ program: Program, _ options: SpawnOptions) throws(SpawnError) {
        child = try Child.start(program, options)
    }

    /// Starts a program of the suite with this one's environment.
    public static func start(
        _ name: String, _ arguments: [String], _ options: SpawnOptions
    ) throws(ToolError) -> Subprogram {
        let program = try Sibling.program(name, arguments)
        do {
            return try Subprogram(program, options)
        } catch {
            throw ToolError(
                unableTo: "start", name, error.errno, status: ExitStatus.toolFailed)
        }
    }

    /// For an event loop: readable when the program has ended.
    public var pidfd: Int32 { child.pidfd.number }

    public func signal(_ number: Int32) { child.signal(number) }

    /// Waits for the end.
    /// - Returns: its exit code, or 128 + the signal that ended it.
    @discardableResult
    public func wait() -> Int32 {
        while status == nil {
            guard let ended = try? child.ended() else {
                guard pause() else { return ExitStatus.toolFailed }
                continue
            }
            status = ended.exitCode ?? 128 + (ended.signal ?? 0)
        }
        return status ?? ExitStatus.toolFailed
    }

    // Sleeps until the descriptor is readable.
    private func pause() -> Bool {
        do {
            let loop = try EventLoop()
            let token = try loop.add(child.pidfd.number, .readable) { _ in }
            try loop.turn(until: nil)
            loop.remove(token)
            return true
        } catch {
            return false
        }
    }
}

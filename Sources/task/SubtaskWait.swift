// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskTool

/// `task wait` within a task: sleeps until subtasks have ended, by `.wait` in $TASK_SUBMIT
/// (task-jail(7)). Whoever waits so has no slot.
struct SubtaskWait {
    private static let wait = ".wait"
    private static let reason = ".wait.reason"

    private let place: String
    /// Of drops; none for all.
    private let names: [String]
    private let directory: OpenDirectory

    private final class OpenDirectory {
        let descriptor: Descriptor
        init(_ path: String) throws(Errno) { descriptor = try File.openDirectory(path) }
    }

    init(_ place: String, _ names: [String]) throws {
        self.place = place
        self.names = names
        for name in names {
            guard let problem = DropFileName.problem(name) else { continue }
            throw ToolError(
                "unable to wait for \(name): \(problem)", status: ExitStatus.usage)
        }
        do {
            directory = try OpenDirectory(place)
        } catch {
            throw ToolError(unableTo: "open", place, error, "there is nothing to wait for")
        }
    }

    private var number: Int32 { directory.descriptor.number }

    /// - Parameter end: CLOCK_BOOTTIME in microseconds; nil for ever.
    /// - Returns: false when that has passed.
    func wait(until end: Int64?) throws -> Bool {
        let news = RemovalNews(number)
        do throws(Errno) {
            try ask()
        } catch .fileExists {
            throw ToolError(
                "unable to wait: another process of this task waits already",
                status: ExitStatus.tryLater)
        } catch {
            throw ToolError(unableTo: "wait in", place, error, "the subtasks go on")
        }
        while isAsked {
            let now = Clock.boot()
            if let end, end <= now { return false }
            news.wait(until: min(end ?? .max, now + 100_000))
        }
        if let why = text(Self.reason) {
            throw ToolError("unable to wait: \(why)", status: ExitStatus.toolFailed)
        }
        return true
    }

    private var isAsked: Bool { (try? File.status(Self.wait, at: number)) != nil }

    private func ask() throws(Errno) {
        let made = Self.wait + ".\(Caller.pid)"
        try? File.unlink(Self.reason, at: number)
        let file = try File.open(
            made, at: number, flags: [.writeOnly, .create, .truncate, .noFollow])
        try File.writeAll(names.flatMap { Array($0.utf8) + [0x0a] }, to: file.number)
        do throws(Errno) {
            try File.renameNew(made, at: number, to: Self.wait, at: number)
        } catch {
            try? File.unlink(made, at: number)
            throw error
        }
    }

    private func text(_ name: String) -> String? {
        guard let file = try? File.open(name, at: number, flags: [.noFollow, .nonBlocking]),
            let bytes = try? File.readAll(file.number, limit: 64 << 10)
        else { return nil }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").first.map(String.init)
    }

    /// That of the first that did not succeed: of those that were named in their order, of all by name.
    func status() throws -> Int32 {
        for name in try names.isEmpty ? all() : names {
            let status = self.status(of: name)
            if status != 0 { return status }
        }
        return 0
    }

    private func all() throws -> [String] {
        var found: Set<String> = []
        var reader = DirectoryNames()
        do {
            while let bytes = try reader.next(in: number) {
                let name = String(decoding: bytes, as: UTF8.self)
                for suffix in [".end", ".reason"] where name.hasSuffix(suffix) {
                    if name != Self.reason { found.insert(String(name.dropLast(suffix.count))) }
                }
            }
        } catch {
            throw ToolError(unableTo: "read", place, error, "how they ended is not known")
        }
        return found.sorted()
    }

    private func status(of name: String) -> Int32 {
        guard let end = text(name + ".end") else {
            let why = text(name + ".reason") ?? "it has no \(name).end"
            reporter.error("unable to run \(name): \(why)")
            return ExitStatus.usage
        }
        var fields: [Substring: Substring] = [:]
        for word in end.split(separator: " ") {
            let pair = word.split(separator: "=", maxSplits: 1)
            if pair.count == 2 { fields[pair[0]] = pair[1] }
        }
        switch (fields["state"], fields["reason"]) {
        case ("success", _), ("skipped", _): return ExitStatus.ok
        case ("cancelled", _): return ExitStatus.interrupted
        case (_, "timeout"): return ExitStatus.timedOut
        case (_, "oom"): return ExitStatus.outOfMemory
        case (_, "missing"): return ExitStatus.missing
        default: return ExitStatus.no
        }
    }
}

/// Waits for a name to leave a directory. A hint only: who waits looks.
private final class RemovalNews {
    private let inotify: Inotify?
    private let loop: EventLoop?

    init(_ directory: Int32) {
        inotify = try? Inotify()
        loop = try? EventLoop()
        guard let inotify, (try? inotify.watch(directory: directory, for: .deleted)) != nil else {
            return
        }
        _ = try? loop?.add(inotify.number, .readable) { _ in _ = try? inotify.read() }
    }

    func wait(until time: Int64) { _ = try? loop?.turn(until: time) }
}

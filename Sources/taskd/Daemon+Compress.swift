// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskSpool

/// When what is sealed is compressed, by a process of its own that nobody waits for.
struct CompressionState {
    /// The segments that were written at the last look: others mean that one is complete.
    var journal: SegmentName?
    var log: SegmentName?
    /// When the next one starts, in CLOCK_BOOTTIME; nil: after the next seal.
    var due: Int64?
    /// The one that runs: there is never a second.
    var child: Pool.ChildHolder?

    /// After a start, of what an earlier taskd left: when tasks have started.
    static let afterStart: Int64 = 10_000_000
    /// After a seal: the pool has the old log segment open for a moment.
    static let afterSeal: Int64 = 2_000_000
}

extension Daemon {
    /// When to start one, in CLOCK_BOOTTIME; nil: not now.
    var compressionDue: Int64? { compression.child == nil ? compression.due : nil }

    /// Starts `tasklog compress` where something was sealed, at idle priority. It dies with this process,
    /// which may happen at any time (task-spool(7), Compression).
    func maybeCompress() {
        noteSeals()
        guard let due = compressionDue, due <= Clock.boot(), !isStopping else { return }
        compression.due = nil
        do {
            compression.child = try startCompression()
        } catch let error as SpawnError {
            sayUncompressed("start \(options.tasklog): \(error.errno)")
        } catch {
            sayUncompressed("start \(options.tasklog): \(error)")
        }
    }

    private func startCompression() throws -> Pool.ChildHolder {
        let program = Program(
            path: options.tasklog,
            arguments: ["tasklog", "compress", "--quiet", "--spool=\(spool.path)"],
            environment: Caller.environment().filter { !$0.hasPrefix("NOTIFY_SOCKET=") })
        let null = try File.open("/dev/null", flags: .readWrite)
        var settings = SpawnOptions()
        settings.standardInput = null.number
        settings.standardOutput = null.number
        settings.diesWithParent = true
        settings.nice = 19
        settings.isIdleIO = true
        let holder = Pool.ChildHolder(try Child.start(program, settings))
        do {
            holder.token = try loop.add(holder.child.pidfd.number, .readable) { [self] _ in
                compressionEnded(holder)
            }
        } catch {
            Child.killUnreaped(holder.child.pid)  // nobody would hear of its end
            throw error
        }
        return holder
    }

    private func noteSeals() {
        if options.tasklog.isEmpty || options.tasklog == "none" { return }
        let boot = Clock.boot()
        if compression.journal == nil {
            compression.due = boot + CompressionState.afterStart
        } else if compression.journal != journal.segment
            || compression.log != nil && compression.log != pool.logSegment
        {
            compression.due = min(compression.due ?? .max, boot + CompressionState.afterSeal)
        }
        compression.journal = journal.segment
        compression.log = pool.logSegment
    }

    private func compressionEnded(_ holder: Pool.ChildHolder) {
        guard let end = (try? holder.child.ended()) ?? nil else { return }
        if let token = holder.token { loop.remove(token) }
        compression.child = nil
        if end.exitCode == 0 { return }
        let how =
            end.signal.map { "signal \(SignalName.name(of: $0))" } ?? "status \(end.exitCode ?? 0)"
        sayUncompressed("compress segments: \(options.tasklog) ended by \(how)")
    }

    private func sayUncompressed(_ what: String) {
        report.warning(
            "unable to \(what), sealed segments stay as they are until the next is sealed")
    }
}

// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import SystemPackage

/// Closes what a stranger passed: close(2) may wait for as long as he likes (SO_LINGER, a file system
/// that he serves), so that a process beside this one does it, which shares its descriptors.
///
/// One process at a time: who makes one wait delays what he passed later, and nobody else. Nothing is
/// ever left open for lack of a process; what waits is tried again.
public final class AsideCloser {
    private let loop: EventLoop
    private var waiting: [Int32] = []
    private var process: (pid: Int32, pidfd: Int32, watch: WatchToken?)?

    // What one peer has on its way at most, and an honest one has none.
    private static let most = 64

    public init(_ loop: EventLoop) { self.loop = loop }

    /// So much waits that its owner is not served any more.
    public var isBehind: Bool { waiting.count > Self.most }
    public var isIdle: Bool { waiting.isEmpty && process == nil }

    /// Takes over open descriptors.
    public func close(_ numbers: [Int32]) {
        waiting += numbers
        advance()
    }

    /// Goes on with what waits, where the process has ended or none could be had.
    public func advance() {
        if let process {
            guard cl_has_ended(process.pid) != 0 else { return }
            if let watch = process.watch { loop.remove(watch) }
            _ = Descriptor(owning: process.pidfd)
            self.process = nil
        }
        if waiting.isEmpty { return }
        var pid: Int32 = 0
        let pidfd = cl_close_aside(waiting, Int32(waiting.count), &pid)
        guard pidfd >= 0 else { return }
        waiting = []
        let watch = try? loop.add(pidfd, .readable) { [weak self] _ in self?.advance() }
        process = (pid, pidfd, watch)
    }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The kernel's log from now on, for the names of those that it killed for want of memory.
///
/// Read only after such a kill. Who may not read it learns no names.
final class KernelLog {
    private let descriptor: Int32
    private var victims: [String: OOMVictim] = [:]
    // One a slot; more are of cgroups that nobody asks for.
    private static let most = 1024

    init() {
        descriptor = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        if descriptor >= 0 { lseek(descriptor, 0, Int32(SEEK_END)) }
    }

    /// The first one killed in a cgroup since it was asked for.
    ///
    /// - Parameter cgroup: the end of its path, as no other has it: `/POOL/SLOT`.
    func takeVictim(of cgroup: String) -> OOMVictim? {
        readOn()
        guard let known = victims.first(where: { $0.key.hasSuffix(cgroup) }) else { return nil }
        victims[known.key] = nil
        return known.value
    }

    private func readOn() {
        if descriptor < 0 { return }
        if victims.count > Self.most { victims = [:] }
        withUnsafeTemporaryAllocation(byteCount: 8192, alignment: 8) { space in
            while true {
                let count = read(descriptor, space.baseAddress, space.count)
                // EPIPE: what lay there was overwritten; the next read goes on behind it.
                if count < 0, errno == EPIPE || errno == EINTR { continue }
                if count <= 0 { return }
                note(String(decoding: space[..<count], as: UTF8.self))
            }
        }
    }

    private func note(_ record: String) {
        guard let (path, victim) = Self.victim(in: record), victims[path] == nil else { return }
        victims[path] = victim
    }

    /// The cgroup and the process of an `oom-kill:` record of kmsg:
    /// `6,812,99,-;oom-kill:constraint=…,task_memcg=PATH,task=COMM,pid=N,uid=N`. A process names
    /// itself, so the number is the last `,pid=`, and the path stands before the name.
    static func victim(in record: String) -> (path: String, victim: OOMVictim)? {
        let line = record.prefix { $0 != "\n" }
        guard let message = line.firstIndex(of: ";"),
            line[message...].dropFirst().hasPrefix("oom-kill:"),
            let place = range(of: ",task_memcg=", in: line[message...]),
            let task = range(of: ",task=", in: line[place.upperBound...]),
            let number = lastRange(of: ",pid=", in: line[task.upperBound...])
        else { return nil }
        let digits = line[number.upperBound...].prefix { $0.isNumber }
        guard let pid = Int32(digits) else { return nil }
        let name = String(line[task.upperBound..<number.lowerBound])
        return (
            String(line[place.upperBound..<task.lowerBound]), OOMVictim(name: name, pid: pid)
        )
    }

    private static func range(of word: String, in text: Substring) -> Range<String.Index>? {
        var start = text.startIndex
        while start < text.endIndex {
            if text[start...].hasPrefix(word) {
                return start..<text.index(start, offsetBy: word.count)
            }
            start = text.index(after: start)
        }
        return nil
    }

    private static func lastRange(of word: String, in text: Substring) -> Range<String.Index>? {
        var found: Range<String.Index>?
        var rest = text
        while let next = range(of: word, in: rest) {
            found = next
            rest = text[next.upperBound...]
        }
        return found
    }

    deinit { if descriptor >= 0 { close(descriptor) } }
}

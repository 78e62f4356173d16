// SPDX-License-Identifier: Apache-2.0
import CSeccomp
import Glibc

/// What a unit changes in the system call filter: it can give back the calls of debuggers, refuse more,
/// and let 32-bit programs run.
///
/// A list of what alone is allowed (`SystemCallFilter=@system-service`) is not carried out: the jail's
/// own filter is one already, and a second would be a promise about every library of the task.
public struct JailSystemCalls: Equatable, Sendable {
    /// @debug.
    public var allowsDebugging = false
    /// Names of refused calls, sorted.
    public private(set) var refused: [String] = []
    /// SystemCallArchitectures=native x86.
    public var hasX86 = false

    public init() {}

    /// - Parameters:
    ///   - filter: `@debug`, `~NAME` or `~@GROUP` each.
    ///   - architectures: `native`, on x86-64 also `x86`.
    /// - Throws: 228 with what is possible.
    public init(filter: [String], architectures: [String]) throws(JailError) {
        var names: Set<String> = []
        for word in filter {
            if word == "@debug" {
                allowsDebugging = true
            } else if word.hasPrefix("~") {
                names.formUnion(try Self.names(String(word.dropFirst())))
            } else {
                throw JailError(
                    .seccomp,
                    "unable to filter SystemCallFilter=\(word): write @debug to allow tracing, or "
                        + "~\(word) to refuse it; a list of what alone is allowed is not carried out"
                )
            }
        }
        refused = names.sorted()
        for word in architectures where word != "native" {
            #if arch(x86_64)
                if word == "x86" {
                    hasX86 = true
                    continue
                }
            #endif
            throw JailError(
                .seccomp,
                "unable to filter SystemCallArchitectures=\(word): write native, or native x86 on "
                    + "x86-64")
        }
    }

    private static func names(_ word: String) throws(JailError) -> [String] {
        if word.hasPrefix("@") {
            if let group = SeccompGroups.byName[word] { return group }
            let groups = SeccompGroups.byName.keys.sorted().joined(separator: " ")
            throw JailError(
                .seccomp, "unable to filter SystemCallFilter=~\(word): groups are \(groups)")
        }
        if SeccompGroups.needed.contains(word) {
            throw JailError(
                .seccomp,
                "unable to filter SystemCallFilter=~\(word): no program starts or ends without it")
        }
        // -1: no architecture has it; other negative numbers: another one has.
        if seccomp_syscall_resolve_name(word) == -1 {
            throw JailError(
                .seccomp,
                "unable to filter SystemCallFilter=~\(word): there is no such system call, see "
                    + "syscalls(2)")
        }
        return [word]
    }
}

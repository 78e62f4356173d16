// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Why a jail cannot be built: never a payload's own exit, always with the cure where there is one.
public struct JailError: Error, Equatable, Sendable {
    /// Exit code of systemd.exec(5), 200-245.
    public var code: Int32
    /// `unable to VERB OBJECT: REASON`, without the program's name and the consequence.
    public var message: String
    /// The machine has no room just now (processes, memory, descriptors): the same may work later.
    public var isTransient = false

    public init(_ code: JailCode, _ message: String) {
        self.code = code.rawValue
        self.message = message
    }

    /// What the kernel refused, with its word for it.
    init(_ code: JailCode, _ message: String, errno number: Int32) {
        self.init(code, "\(message): \(String(cString: strerror(number)))")
        isTransient = Self.isShortage(number)
    }

    static func isShortage(_ number: Int32) -> Bool {
        [EAGAIN, ENOMEM, EMFILE, ENFILE, EBUSY].contains(number)
    }
}

/// The exit codes of systemd.exec(5) that a set-up step can have; 244 is ours.
public enum JailCode: Int32, Sendable {
    case workingDirectory = 200
    case nice = 201
    case descriptors = 202
    case execute = 203
    case limits = 205
    case outOfMemoryAdjust = 206
    case signalMask = 207
    case standardInput = 208
    case standardOutput = 209
    case group = 216
    case user = 217
    case capabilities = 218
    case cgroup = 219
    case session = 220
    case network = 225
    case namespace = 226
    case noNewPrivileges = 227
    case seccomp = 228
    case keyring = 237
    case credentials = 243
    case landlock = 244
}

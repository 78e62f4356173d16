// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Linux

/// Who a task is, inside and outside of its jail.
public struct JailIdentity: Equatable, Sendable {
    /// Names as the jail's /etc/passwd and /etc/group have them.
    public var user: String
    public var group: String
    /// Ids inside the jail; as root also outside.
    public var uid: UInt32
    public var gid: UInt32
    public var supplementaryGroups: [UInt32] = []
    /// An ordinary user's jail: the ids that the host sees.
    public var outside: (uid: UInt32, gid: UInt32)?

    public static func == (left: Self, right: Self) -> Bool {
        left.user == right.user && left.group == right.group && left.uid == right.uid
            && left.gid == right.gid && left.supplementaryGroups == right.supplementaryGroups
            && left.outside?.uid == right.outside?.uid && left.outside?.gid == right.outside?.gid
    }

    /// Decides who a task runs as.
    ///
    /// As root: `user` (default: the owner) when the owner is root, is that user, or has a line in
    /// run-as; a group must be the user's own unless the owner is root. As an ordinary user: the
    /// name is only what the task sees, its rights are the caller's.
    /// - Throws: 217 or 216 with the command or line that helps.
    public static func resolve(
        user: String?, group: String?, supplementary: [String] = [], owner: UInt32,
        rules: RunAsRules = .system
    ) throws(JailError) -> JailIdentity {
        if geteuid() != 0 { return ordinary(user: user, group: group) }
        let target = try account(user, owner: owner)
        if target.uid != owner, owner != 0 {
            let name = Account.name(uid: owner) ?? String(owner)
            guard rules.permits(owner: name, user: target.name) else {
                throw JailError(
                    .user,
                    "unable to run as \(target.name) for \(name): not permitted; root can add the "
                        + "line `\(name): \(target.name)` to \(RunAsRules.path)")
            }
        }
        let primary = try member(group, of: target, owner: owner)
        var extra: [UInt32] = []
        for name in supplementary { extra.append(try member(name, of: target, owner: owner).gid) }
        return JailIdentity(
            user: target.name, group: primary.name, uid: target.uid, gid: primary.gid,
            supplementaryGroups: [primary.gid] + extra.filter { $0 != primary.gid }, outside: nil)
    }

    private static func account(_ name: String?, owner: UInt32) throws(JailError) -> Account {
        guard let name, !name.isEmpty else {
            if let found = Account.find(uid: owner) { return found }
            return Account(name: "task", uid: owner, gid: owner)
        }
        if let found = Account.find(name: name) { return found }
        throw JailError(
            .user,
            "unable to run as \(name): no such user on this machine; create it with "
                + "`useradd --system --no-create-home \(name)`")
    }

    private static func member(
        _ name: String?, of user: Account, owner: UInt32
    ) throws(JailError) -> (name: String, gid: UInt32) {
        guard let name, !name.isEmpty else {
            return (Account.groupName(gid: user.gid) ?? user.name, user.gid)
        }
        guard let gid = Account.groupID(name: name) else {
            throw JailError(
                .group,
                "unable to run with group \(name): no such group on this machine; create it with "
                    + "`groupadd --system \(name)`")
        }
        if owner == 0 || gid == user.gid || Account.isMember(user.name, of: name) {
            return (name, gid)
        }
        throw JailError(
            .group, "unable to run with group \(name): \(user.name) is not a member of it")
    }

    /// The caller's, which cannot be dropped without root.
    private static func ownGroups() -> [UInt32] {
        var list = [gid_t](repeating: 0, count: 65536)
        let count = getgroups(Int32(list.count), &list)
        return Array(list.prefix(Int(max(0, count))))
    }

    private static func ordinary(user: String?, group: String?) -> JailIdentity {
        let own = (uid: geteuid(), gid: getegid())
        let ownName = Account.name(uid: own.uid) ?? "task"
        let name = user.flatMap { $0.isEmpty ? nil : $0 } ?? ownName
        let groupName = group.flatMap { $0.isEmpty ? nil : $0 } ?? name
        // Any id serves where the host has no such user: it is a name inside only.
        let uid = name == ownName ? own.uid : Account.find(name: name)?.uid ?? 64_000
        let gid =
            name == ownName && group == nil ? own.gid : Account.groupID(name: groupName) ?? uid
        return JailIdentity(
            user: name, group: groupName, uid: uid, gid: gid, supplementaryGroups: ownGroups(),
            outside: own)
    }
}

/// Whoever a unit belongs to, with all the rights that he has on the host's files; as an ordinary user
/// it is the caller.
public struct JailOwner: Equatable, Sendable {
    public var name: String
    public var uid: UInt32
    public var gid: UInt32
    public var groups: [UInt32]

    /// Asks the account data base; who is not in it has no group but the one of his number.
    public init(uid: UInt32) {
        let account = Account.find(uid: uid) ?? Account(name: String(uid), uid: uid, gid: uid)
        name = account.name
        self.uid = uid
        gid = account.gid
        groups = account.groups
    }
}

/// The host's account data base (getpwnam(3), getgrnam(3)).
struct Account {
    var name: String
    var uid: UInt32
    var gid: UInt32

    /// All groups of the account (getgrouplist(3)).
    var groups: [UInt32] {
        var count: Int32 = 256
        var list = [gid_t](repeating: 0, count: Int(count))
        guard getgrouplist(name, gid, &list, &count) >= 0 else { return [gid] }
        return Array(list.prefix(Int(count)))
    }

    static func find(name: String) -> Account? {
        guard let entry = getpwnam(name) else { return nil }
        return Account(name: name, uid: entry.pointee.pw_uid, gid: entry.pointee.pw_gid)
    }

    static func find(uid: UInt32) -> Account? {
        guard let entry = getpwuid(uid) else { return nil }
        return Account(
            name: String(cString: entry.pointee.pw_name), uid: uid, gid: entry.pointee.pw_gid)
    }

    static func name(uid: UInt32) -> String? { find(uid: uid)?.name }

    static func groupID(name: String) -> UInt32? { getgrnam(name)?.pointee.gr_gid }

    static func groupName(gid: UInt32) -> String? {
        getgrgid(gid).map { String(cString: $0.pointee.gr_name) }
    }

    static func isMember(_ user: String, of group: String) -> Bool {
        guard let entry = getgrnam(group), var next = entry.pointee.gr_mem else { return false }
        while let member = next.pointee {
            if String(cString: member) == user { return true }
            next += 1
        }
        return false
    }
}

/// Root's file of who may run tasks as whom: lines `OWNER: USER…`, `#` comments. Read byte by byte, so
/// that no line end or colon is part of a letter. A line whose OWNER is not one word grants nothing.
public struct RunAsRules: Equatable, Sendable {
    public static let path = "/etc/task/run-as"
    /// Owner to the users that he may become.
    private var users: [[UInt8]: Set<[UInt8]>] = [:]

    public init(parsing text: String) {
        for line in Array(text.utf8).split(separator: UInt8(ascii: "\n")) {
            let bare = line.prefix { $0 != UInt8(ascii: "#") }
            guard let colon = bare.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let owner = Self.words(bare[..<colon])
            if owner.count != 1 { continue }
            users[owner[0], default: []].formUnion(Self.words(bare[(colon + 1)...]))
        }
    }

    private static func words(_ line: ArraySlice<UInt8>) -> [[UInt8]] {
        let blanks = Array(" \t\r".utf8)
        return line.split { blanks.contains($0) }.map(Array.init)
    }

    /// The file of this machine; empty where it is absent, or where others than root may write it.
    public static var system: RunAsRules {
        guard let file = try? File.open(path),
            let status = try? File.status(of: file.number), status.uid == 0,
            status.mode & 0o022 == 0, let bytes = try? File.readAll(file.number, limit: 1 << 20)
        else { return RunAsRules(parsing: "") }
        return RunAsRules(parsing: String(decoding: bytes, as: UTF8.self))
    }

    public func permits(owner: String, user: String) -> Bool {
        users[Array(owner.utf8)]?.contains(Array(user.utf8)) ?? false
    }
}

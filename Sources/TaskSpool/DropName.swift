// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What a name in incoming/ says (task-spool(7), "Names").
public enum DropName: Equatable, Sendable {
    /// An editor's or a copier's temporary name: never taken.
    case temporary
    /// A name outside `[A-Za-z0-9@._:-]{1,128}`: rejected under a safe name.
    case unsafe
    /// `RUN.cancel` or `RUN.K.cancel`.
    case cancel(TaskRef)
    /// `ULID@GEN.claim`: tasklink claimed it from the ledger.
    case claim(TaskID)
    /// Anything else; `id` where the name is `ULID@NAME`, as `task submit` makes it.
    case unit(name: String, id: TaskID?)

    public static let longest = 128

    public init(_ bytes: [UInt8]) {
        if bytes.first == UInt8(ascii: ".") || bytes.last == UInt8(ascii: "~") {
            self = .temporary
            return
        }
        guard (1...Self.longest).contains(bytes.count), bytes.allSatisfy(Self.isSafe),
            bytes.first != UInt8(ascii: "-")
        else {
            self = .unsafe
            return
        }
        let name = String(decoding: bytes, as: UTF8.self)
        if name.hasSuffix(".cancel"), let ref = TaskRef(name.dropLast(7)) {
            self = .cancel(ref)
        } else if bytes.count > TaskID.length + 1, bytes[TaskID.length] == UInt8(ascii: "@"),
            let id = TaskID(bytes: bytes.prefix(TaskID.length))
        {
            let own = String(name.dropFirst(TaskID.length + 1))
            self = ClaimDrop.isName(own) ? .claim(id) : .unit(name: own, id: id)
        } else {
            self = .unit(name: name, id: nil)
        }
    }

    private static func isSafe(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "@"), UInt8(ascii: "."),
            UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// A name that can be kept: bytes that are not allowed become `_`, at most 100 of them.
    public static func safe(_ bytes: [UInt8]) -> String {
        let kept = bytes.prefix(100).map { isSafe($0) ? $0 : UInt8(ascii: "_") }
        let name = String(decoding: kept, as: UTF8.self)
        return name.isEmpty || name.hasPrefix("-") || name.hasPrefix(".") ? "_\(name)" : name
    }
}

/// A taken drop's name in tmp/: `ID@NAME`. Its name must survive a crash: what the file is, and what
/// the unit is called, hang on it.
public struct TakenName: Hashable, Sendable {
    public var id: TaskID
    public var name: String

    public init(id: TaskID, name: String) {
        self.id = id
        self.name = name
    }

    public init?(_ bytes: [UInt8]) {
        guard bytes.count > TaskID.length + 1, bytes[TaskID.length] == UInt8(ascii: "@"),
            let id = TaskID(bytes: bytes.prefix(TaskID.length))
        else { return nil }
        self.init(id: id, name: String(decoding: bytes.dropFirst(TaskID.length + 1), as: UTF8.self))
    }

    public var text: String { "\(id)@\(name)" }
}

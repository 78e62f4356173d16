// SPDX-License-Identifier: Apache-2.0
public import TaskModel

/// What a name in outgoing/ says (task-spool(7), "Many machines").
public struct OutgoingName: Hashable, Sendable {
    public enum Kind: String, CaseIterable, Sendable {
        /// taskd: it will not start soon. Until it is sent taskd may take it back.
        case exported = ""
        /// tasklink: from now on it starts by claim alone.
        case sent = ".sent"
        /// tasklink: the ledger never had it, and does not take it.
        case back = ".back"
        /// taskd: its owner wants it ended, wherever it is.
        case cancel = ".cancel"
        /// tasklink: it has ended somewhere; how.
        case settled = ".settled"
        /// taskd: a claimed run has ended here; how.
        case ended = ".ended"
        /// tasklink: that is its result.
        case committed = ".committed"
        /// tasklink: it is not, another node has the run.
        case refused = ".refused"
    }

    public var file: RunFileName
    public var kind: Kind

    public init(_ file: RunFileName, _ kind: Kind) {
        self.file = file
        self.kind = kind
    }

    /// nil for what is none: the files of a session, and what is being written.
    public init?(bytes: [UInt8]) {
        for kind in Kind.allCases.reversed()
        where bytes.suffix(kind.rawValue.utf8.count)
            .elementsEqual(kind.rawValue.utf8)
        {
            guard let file = RunFileName(bytes: bytes.dropLast(kind.rawValue.utf8.count)),
                file.attempt == 1, (file.token != nil) == kind.isOfClaim
            else { continue }
            self.init(file, kind)
            return
        }
        return nil
    }

    /// The same run at another step.
    public func at(_ kind: Kind) -> OutgoingName { OutgoingName(file, kind) }
}

extension OutgoingName.Kind {
    var isOfClaim: Bool { self == .ended || self == .committed || self == .refused }
}

extension OutgoingName: CustomStringConvertible {
    public var description: String { "\(file)\(kind.rawValue)" }
}

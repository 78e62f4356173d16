// SPDX-License-Identifier: Apache-2.0

/// Every setting of task.conf(5).
///
/// The raw value is its key. `traits` is the one table: the parser, `task config` and the check of the
/// man page follow from it.
public enum Setting: String, CaseIterable, Sendable {
    // [Node]
    case slots = "Slots"
    // [Retention]
    case journalMax = "JournalMax"
    case logMax = "LogMax"
    case failedMax = "FailedMax"
    case rejectedMax = "RejectedMax"
    // [Ledger]
    case ledgerURL = "URL"
}

/// The sections of task.conf, in the order in which task.conf(5) describes them.
public enum SettingSection: String, CaseIterable, Sendable {
    case node = "Node"
    case retention = "Retention"
    case ledger = "Ledger"
}

/// One row of the table of settings.
public struct SettingTraits: Sendable {
    public let section: SettingSection
    public let type: DirectiveType
    /// What counts where nothing is written, in canonical spelling.
    public let defaultText: String
    /// One line of help.
    public let help: String
}

extension Setting {
    /// THE table.
    public var traits: SettingTraits {
        switch self {
        case .slots:
            SettingTraits(
                section: .node, type: .slots, defaultText: "auto",
                help: "attempts that run at once; auto: 4 a CPU")
        case .journalMax:
            SettingTraits(
                section: .retention, type: .diskSize, defaultText: "10%",
                help: "bytes of journal/, or a part of its file system")
        case .logMax:
            SettingTraits(
                section: .retention, type: .diskSize, defaultText: "20%",
                help: "bytes of log/, or a part of its file system")
        case .failedMax:
            SettingTraits(
                section: .retention, type: .limit(0...100_000_000), defaultText: "10000",
                help: "plans in failed/ that can be retried")
        case .rejectedMax:
            SettingTraits(
                section: .retention, type: .limit(0...100_000_000), defaultText: "1000",
                help: "files in rejected/, with their reasons")
        case .ledgerURL:
            SettingTraits(
                section: .ledger, type: .text, defaultText: "none",
                help: "PostgreSQL connection string or URI of the ledger that tasklink joins")
        }
    }

    /// The setting of a section that a key means.
    public init?(section: SettingSection, key: String) {
        guard let found = Self(rawValue: key), found.traits.section == section else { return nil }
        self = found
    }
}

/// A number of bytes, or a part of a file system's size: `8G`, `10%`, `infinity`.
public enum DiskSize: Equatable, Sendable {
    case bytes(ByteLimit)
    case percent(Int)

    /// Parses `SIZE` or `N%`, N from 0 to 100.
    public init?(_ text: String) {
        guard text.hasSuffix("%") else {
            guard let size = ByteLimit(text) else { return nil }
            self = .bytes(size)
            return
        }
        guard let number = DirectiveType.number(String(text.dropLast()), 0...100) else {
            return nil
        }
        self = .percent(Int(number) ?? 0)
    }

    /// In bytes of a file system that has `total`; `Int64.max` is without limit.
    public func bytes(of total: Int64) -> Int64 {
        switch self {
        case .bytes(let size): size.bytes
        case .percent(let part):
            total / 100 * Int64(part) + total % 100 * Int64(part) / 100
        }
    }
}

extension DiskSize: CustomStringConvertible {
    public var description: String {
        switch self {
        case .bytes(let size): size.description
        case .percent(let part): "\(part)%"
        }
    }
}

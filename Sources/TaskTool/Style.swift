// SPDX-License-Identifier: Apache-2.0
import Linux
public import TaskModel

/// `--color=auto|always|never`.
public enum ColorChoice: String, CaseIterable, Sendable {
    case auto, always, never
}

/// How text for people looks where it goes: colours, and the width that is there.
public struct Style: Equatable, Sendable {
    public var isColored: Bool
    /// Columns of the terminal; nil: no limit.
    public var width: Int?

    /// No colour, no limit.
    public static let plain = Style(isColored: false, width: nil)

    public init(isColored: Bool, width: Int?) {
        self.isColored = isColored
        self.width = width
    }

    /// What suits a descriptor: colour only on a terminal that is not `dumb`, never by `auto` with
    /// a non-empty NO_COLOR; CLICOLOR_FORCE turns it on.
    public init(_ choice: ColorChoice, for descriptor: Int32) {
        let isTerminal = Terminal.isTerminal(descriptor)
        width = isTerminal ? Terminal.columns(descriptor) : nil
        switch choice {
        case .always: isColored = true
        case .never: isColored = false
        case .auto: isColored = Self.allowed(isTerminal, Caller.environment)
        }
    }

    static func allowed(_ isTerminal: Bool, _ environment: (String) -> String?) -> Bool {
        if environment("NO_COLOR") != nil { return false }
        if let force = environment("CLICOLOR_FORCE"), force != "0" { return true }
        return isTerminal && environment("TERM") != "dumb"
    }

    /// Colours of a state: green ended well, red badly, yellow was stopped, cyan goes on.
    public func paint(_ text: String, as state: TaskState) -> String {
        switch state {
        case .success: paint(text, "32")
        case .failure, .rejected, .lost: paint(text, "31")
        case .cancelled, .skipped: paint(text, "33")
        case .running, .waiting: paint(text, "36")
        case .created, .pending, .ready: text
        }
    }

    public func bold(_ text: String) -> String { paint(text, "1") }
    public func dim(_ text: String) -> String { paint(text, "2") }

    private func paint(_ text: String, _ code: String) -> String {
        isColored ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
    }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import TaskModel

/// Messages on standard error: `taskrun: LEVEL: unable to VERB OBJECT: REASON, CONSEQUENCE`.
enum Message {
    static func error(_ sentence: String) { say("error", sentence) }
    static func warning(_ sentence: String) { say("warning", sentence) }

    private static func say(_ level: String, _ sentence: String) {
        // A sentence may name a path or a word of a unit.
        let text = SafeText.printable(sentence)
        try? File.writeAll(Array("taskrun: \(level): \(text)\n".utf8), to: 2)
    }

    static func quit(_ status: Int32, _ sentence: String) -> Never {
        error(sentence)
        exit(status)
    }
}

/// Exit codes of taskrun's own, beside those of tasks (sysexits.h).
enum Status {
    static let usage: Int32 = 2
    static let tool: Int32 = 125
    static let unavailable: Int32 = 69
    static let cannotCreate: Int32 = 73
    static let inputOutput: Int32 = 74
    static let tryLater: Int32 = 75
}

// SPDX-License-Identifier: Apache-2.0
import TaskModel

/// Puts in what `%i`, `%n` and `%%` stand for.
struct Specifiers {
    /// TASK_NAME.
    let name: String
    /// What stands after `@` in the name.
    let instance: String?
    /// In an array `%i` is the item: it stays, with `%%`, for the plan's reader to put in.
    var isArray = false
    /// Of an array's [Then] `%i` is no item.
    var isThen = false

    private static let noInstance = ValueProblem(
        what: "%i in a unit that is no instance",
        allowed: "%i in NAME@.task or with [Array]; %% for a percent sign")
    private static let noItem = ValueProblem(
        what: "%i in [Then], which runs once for all items",
        allowed: "%i in NAME@.task; %% for a percent sign")

    /// The text with its specifiers replaced.
    func expand(_ text: String) throws(ValueProblem) -> String {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return text }
        var out = ""
        var rest = Substring(text)
        while let percent = rest.firstIndex(of: "%") {
            out += rest[..<percent]
            let after = rest.index(after: percent)
            let letter = after < rest.endIndex ? rest[after] : nil
            switch letter {
            case "%": out += isArray ? "%%" : "%"
            case "n": out += name
            case "i" where isArray: out += "%i"
            case "i":
                guard let instance else {
                    throw isThen ? Self.noItem : Self.noInstance
                }
                out += instance
            default:
                throw ValueProblem(
                    what: "unknown specifier %\(letter.map(String.init) ?? "")",
                    allowed: "%i the instance, %n the name, %% a percent sign")
            }
            rest = rest[rest.index(after: after)...]
        }
        return out + rest
    }
}

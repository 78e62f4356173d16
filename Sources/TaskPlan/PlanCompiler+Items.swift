// SPDX-License-Identifier: Apache-2.0
import TaskModel
import TaskUnit

extension PlanCompiler {
    /// The items of an array: their number, and where they have texts their list, a line each.
    mutating func readItems(_ unit: UnitDefinition, _ directory: String?, _ index: Int) {
        let items = unit.settings(.items)
        let count = unit.settings(.count).first
        nodes[index].spec[.items] = []
        nodes[index].spec[.count] = []
        if let count, let number = Int(count.value) {
            nodes[index].items = NodeItems(count: number, list: nil)
            return countItems(number, bytes: 0, count.place)
        }
        guard let first = items.first else { return }
        let problems = diagnostics.count
        var list = ItemLines()
        for setting in items {
            if setting.value.hasPrefix("@") {
                readItemFile(setting, directory, into: &list)
            } else if let problem = list.add(setting.value.utf8) {
                error(setting.place, "an item \(problem)", ItemLines.allowed)
            }
        }
        if diagnostics.count == problems, list.count == 0 {
            error(first.place, "no items: the list is empty", "1 to \(PlanLimits.items)")
        }
        nodes[index].items = NodeItems(count: list.count, list: list.bytes)
        countItems(list.count, bytes: list.bytes.count, first.place)
    }

    /// What the arrays of a plan have together is limited.
    private mutating func countItems(_ count: Int, bytes: Int, _ place: Place) {
        itemCount += count
        itemBytes += bytes
        if itemCount > PlanLimits.items {
            error(place, "\(itemCount) items in a plan", "\(PlanLimits.items)")
        }
        if itemBytes > CarryLimits.items {
            error(place, "lists of \(itemBytes) bytes in a plan", "\(CarryLimits.items)")
        }
    }

    /// The lines of a file, empty ones left out.
    private mutating func readItemFile(
        _ setting: UnitDefinition.Setting, _ directory: String?, into list: inout ItemLines
    ) {
        let words = "Items=\(setting.value)"
        let path: String
        do throws(ValueProblem) {
            path = try DirectiveType.relativePath.canonical(String(setting.value.dropFirst()))
        } catch {
            return self.error(setting.place, "\(words): \(error.what)", error.allowed)
        }
        guard let directory else {
            return error(setting.place, "\(words) without a directory", "Dir= beside it")
        }
        switch inputs.file(directory, path, CarryLimits.items) {
        case .absent:
            error(setting.place, "\(words): no such file in \(directory)", "a file there")
        case .refused(let why): error(setting.place, "\(words): \(why)", "a file to read")
        case .unread: errorUnread(setting.place, words, directory)
        case .tooLarge:
            error(
                setting.place, "\(words): the file is too large",
                "\(CarryLimits.items) bytes; several units for more")
        case .found(let bytes, _): addItems(of: bytes, setting, into: &list)
        }
    }

    private mutating func addItems(
        of bytes: [UInt8], _ setting: UnitDefinition.Setting, into list: inout ItemLines
    ) {
        let words = "Items=\(setting.value)"
        guard String(validating: bytes, as: UTF8.self) != nil else {
            return error(setting.place, "\(words) is no text", "text in UTF-8, an item a line")
        }
        list.bytes.reserveCapacity(list.bytes.count + bytes.count + 1)
        var number = 0
        var start = bytes.startIndex
        while start < bytes.endIndex {
            let end = bytes[start...].firstIndex(of: 0x0a) ?? bytes.endIndex
            number += 1
            if end > start, let problem = list.add(bytes[start..<end]) {
                return error(
                    setting.place, "\(words): line \(number) \(problem)", ItemLines.allowed)
            }
            start = end + 1
        }
    }
}

/// The lines of an item list.
private struct ItemLines {
    var bytes: [UInt8] = []
    var count = 0

    static let allowed = "text of at most \(PlanLimits.item) bytes, without zero bytes"

    /// - Returns: what is wrong with the item, if something is.
    mutating func add(_ item: some Collection<UInt8>) -> String? {
        if item.count > PlanLimits.item { return "has \(item.count) bytes" }
        if item.contains(0) { return "has a zero byte" }
        bytes.append(contentsOf: item)
        bytes.append(0x0a)
        count += 1
        return nil
    }
}

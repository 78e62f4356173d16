// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel
import TaskSpool
import TaskTool

/// Mends a spool by the table of task-spool(7). The caller holds its lock. Nothing is deleted: what is
/// not understood goes to rejected/.
struct SpoolRepair {
    let root: Int32
    let looker: SpoolLooker
    /// One cure may show the next (a plan under a better name is torn): so often at most.
    private static let rounds = 5

    /// - Returns: damage that is left for taskd's start or for the owner.
    func mend(_ first: [SpoolFinding]) throws -> [SpoolFinding] {
        var findings = first
        for _ in 0..<Self.rounds {
            let open = findings.filter { $0.isDamage && $0.cure != .start && $0.cure != .owner }
            if open.isEmpty { break }
            // Directories first: the others go into them.
            for finding in open.filter({ $0.cure == .makeDirectory || isDirectory($0) }) {
                try mend(finding)
            }
            for finding in open.filter({ $0.cure != .makeDirectory && !isDirectory($0) }) {
                try mend(finding)
            }
            try syncAll()
            findings = try looker.look()
        }
        return findings.filter { $0.isDamage && $0.cure != .start }
    }

    private func isDirectory(_ finding: SpoolFinding) -> Bool {
        finding.directory == nil
            && SpoolDirectory(rawValue: String(decoding: finding.name, as: UTF8.self)) != nil
    }

    private func mend(_ finding: SpoolFinding) throws {
        do {
            try carryOut(finding)
            reporter.notice("\(finding.place): \(finding.meaning): mended")
        } catch Errno.noSuchFileOrDirectory {
            return  // an earlier cure took it away
        } catch let error as Errno {
            throw ToolError(
                unableTo: "mend", finding.place, error, "it and what comes after it is as it was")
        }
    }

    private func carryOut(_ finding: SpoolFinding) throws {
        let name = String(decoding: finding.name, as: UTF8.self)
        switch finding.cure {
        case .start, .owner: return
        case .makeDirectory: try File.makeDirectory(name, at: root, mode: 0o700)
        case .permissions(let mode):
            try with(finding.directory) { try File.setMode(name, at: $0, to: mode) }
        case .rename(let file):
            try with(finding.directory) { directory throws in
                if (try? File.status(file.description, at: directory)) != nil {
                    return try setAside(finding)
                }
                try File.renameNew(name, at: directory, to: file.description, at: directory)
            }
        case .setAside where isDirectory(finding): try makeRoom(name)
        case .setAside: try setAside(finding)
        case .rewrite: try rewrite(finding, name)
        case .writeReason:
            try write(
                "\(finding.place): why it was rejected is not known any more: task audit may know\n",
                to: "\(name).reason", .rejected)
        }
    }

    /// A file in the place of a directory: under another name it is a stray, which comes next.
    private func makeRoom(_ name: String) throws {
        var number = 1
        while (try? File.status("\(name)@fsck\(number)", at: root)) != nil { number += 1 }
        try File.renameNew(name, at: root, to: "\(name)@fsck\(number)", at: root)
        try File.makeDirectory(name, at: root, mode: 0o700)
    }

    private func with(_ directory: SpoolDirectory?, _ body: (Int32) throws -> Void) throws {
        guard let directory else { return try body(root) }
        let opened = try File.openDirectory(directory.rawValue, at: root)
        try body(opened.number)
    }

    /// To rejected/ under a free name, its reason first: a reason without a file harms nobody.
    private func setAside(_ finding: SpoolFinding) throws {
        let safe = DropName.safe(finding.name)
        let rejected = try directory(.rejected)
        var name = safe
        var number = 1
        while (try? File.status(name, at: rejected.number)) != nil
            || (try? File.status("\(name).reason", at: rejected.number)) != nil
        {
            name = "\(safe)@fsck\(number)"
            number += 1
        }
        try write(
            "\(finding.place): \(finding.meaning): task fsck put it here; it does not run and may be "
                + "removed\n", to: "\(name).reason", .rejected)
        try with(finding.directory) { from in
            try File.rename(bytes: finding.name, at: from, to: name, at: rejected.number)
        }
    }

    private func rewrite(_ finding: SpoolFinding, _ name: String) throws {
        guard let directory = finding.directory, let run = finding.run,
            let text = try looker.planText(of: run)
        else { return }
        try setAside(finding)
        try write(text, to: name, directory)
    }

    /// Durable, and under its name only when it is whole.
    private func write(_ text: String, to name: String, _ target: SpoolDirectory) throws {
        let temporary = ".fsck.\(name.prefix(100))"
        let tmp = try directory(.tmp)
        let file = try File.open(
            temporary, at: tmp.number, flags: [.writeOnly, .create, .truncate])
        try File.writeAll(Array(text.utf8), to: file.number)
        try File.sync(file.number)
        let to = try directory(target)
        try File.rename(temporary, at: tmp.number, to: name, at: to.number)
    }

    private func directory(_ directory: SpoolDirectory) throws -> Descriptor {
        try File.openDirectory(directory.rawValue, at: root)
    }

    private func syncAll() throws {
        for directory in SpoolDirectory.allCases {
            let opened = try File.openDirectory(directory.rawValue, at: root)
            try File.sync(opened.number)
        }
        try File.sync(root)
    }
}

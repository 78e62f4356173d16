// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskModel

/// The three descriptors that an attempt's steps get.
final class Streams {
    // They only keep open what the numbers name.
    private let ownInput: OpenFile?
    private let ownOutput: OpenFile?
    let input: Int32
    let output: Int32
    /// Messages always go to the log: `StandardOutput=` says where results go.
    let error: Int32

    /// - Parameter opensFiles: false in a jail, whose launcher opens the files of a unit with the
    ///   rights of the task's user (`JailRequest.standardInput`).
    init(_ recipe: Recipe, _ slot: Slot, opensFiles: Bool) throws(SessionFailure) {
        let target = recipe.output
        let input = try Self.input(recipe.input, opensFiles: opensFiles)
        let output =
            opensFiles
            ? try Self.file(target, flags: [.writeOnly, .create, .append], code: 209) : nil
        self.input = input?.number ?? slot.null
        self.output =
            output?.number ?? (target == "null" ? slot.null : slot.out.writing)
        error = slot.err.writing
        ownInput = input
        ownOutput = output
    }

    private static func input(
        _ text: String, opensFiles: Bool
    ) throws(SessionFailure) -> OpenFile? {
        guard text.hasPrefix("text:") else {
            return opensFiles ? try file(text, flags: [], code: 208) : nil
        }
        do throws(Errno) {
            let content = Array(text.utf8.dropFirst(5)) + [UInt8(ascii: "\n")]
            let sealed = try SealedMemory.make(content, name: "input")
            // Opened again: a file description of its own, that begins at the first byte.
            return try OpenFile.open("/proc/self/fd/\(sealed.number)")
        } catch {
            throw SessionFailure(
                reason: .jail, exit: 208, what: "unable to make standard input: \(error)")
        }
    }

    // Never waiting: a FIFO without its other end would hold taskrun up.
    private static func file(
        _ text: String, flags: OpenFlags, code: Int32
    ) throws(SessionFailure) -> OpenFile? {
        guard text.hasPrefix("file:") else { return nil }
        let path = String(text.dropFirst(5))
        let kind: String
        do throws(Errno) {
            let file = try OpenFile.open(path, flags: flags.union(.nonBlocking), mode: 0o666)
            let found = try File.status(of: file.number)
            if found.isRegular { return file }
            kind = found.kind
        } catch {
            throw SessionFailure(
                reason: .jail, exit: code, what: "unable to open \(path): \(error)")
        }
        throw SessionFailure(
            reason: .jail, exit: code,
            what: "unable to open \(path): it is \(kind); name a regular file")
    }
}

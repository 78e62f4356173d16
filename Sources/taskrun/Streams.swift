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

    init(_ recipe: Recipe, _ slot: Slot) throws(SessionFailure) {
        let spec = recipe.spec
        let target = recipe.output
        let input = try Self.input(recipe.input, spec)
        let output = try Self.file(
            target, spec, flags: [.writeOnly, .create, .append], code: 209)
        self.input = input?.number ?? slot.null
        self.output =
            output?.number ?? (target == "null" ? slot.null : slot.out.writing)
        error = slot.err.writing
        ownInput = input
        ownOutput = output
    }

    private static func input(
        _ text: String, _ spec: TaskSpec
    ) throws(SessionFailure) -> OpenFile? {
        guard text.hasPrefix("text:") else {
            return try file(text, spec, flags: .nonBlocking, code: 208)
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

    private static func file(
        _ text: String, _ spec: TaskSpec, flags: OpenFlags, code: Int32
    ) throws(SessionFailure) -> OpenFile? {
        guard text.hasPrefix("file:") else { return nil }
        let path = String(text.dropFirst(5))
        // A path of a unit is never opened with more rights than the task has.
        if spec.has(.user) {
            throw SessionFailure(
                reason: .jail, exit: code,
                what: "\(text) can't be had together with User=: read or write it in the command")
        }
        do throws(Errno) {
            return try OpenFile.open(path, flags: flags, mode: 0o666)
        } catch {
            throw SessionFailure(
                reason: .jail, exit: code, what: "unable to open \(path): \(error)")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import CFuzzer
import Glibc

/// `TASK_FUZZ=FORMAT fuzz [libFuzzer's options] [FILE | CORPUS…]`: gives libFuzzer's inputs to one format.
///
/// The format is in the environment so that libFuzzer can start the program again (-merge=1, -fork).
/// contrib/fuzz is what people type.
@main
enum Fuzz {
    static let format: Format = {
        guard let format = Format.chosen else {
            let names = Format.allCases.map(\.rawValue).joined(separator: " ")
            fatalError("TASK_FUZZ names no format: one of \(names)")
        }
        return format
    }()

    static func main() {
        if CommandLine.arguments.dropFirst().first == "--ladder" {
            exit(Ladder.climb(Format.chosen.map { [$0] } ?? Format.allCases) ? 0 : 1)
        }
        var argc = CommandLine.argc
        var argv: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        _ = LLVMFuzzerRunDriver(&argc, &argv) { data, size in
            Fuzz.format.test(Array(UnsafeBufferPointer(start: data, count: size)))
            return 0
        }
    }
}

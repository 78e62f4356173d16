// SPDX-License-Identifier: Apache-2.0
import TaskTool
import Testing

/// Goal: the daemons read their command lines alike.
@Suite struct DaemonArgumentsTests {
    struct Options: Equatable {
        var size = 1
        var isOnce = false
        var name = ""
    }

    private func read(_ words: [String]) -> DaemonArguments<Options> {
        let names = DaemonOptionNames(valued: ["--size", "--name"], flags: ["--once", "-n"])
        return .read(words, of: "prog", names, defaults: Options()) { options, name, value in
            switch name {
            case "--size":
                guard let size = Int(value) else { return "a number is allowed" }
                options.size = size
            case "--name": options.name = value
            default: options.isOnce = true
            }
            return nil
        }
    }

    @Test(arguments: [
        ([], Options()),
        (["--size=2"], Options(size: 2)),
        (["--size", "2", "--once"], Options(size: 2, isOnce: true)),
        (["-n", "--size=2", "--size=3"], Options(size: 3, isOnce: true)),
        (["--name=a=b"], Options(name: "a=b")),
        (["--name=", "--once"], Options(isOnce: true)),
        (["--name", "--once"], Options(name: "--once")),
    ])
    func takes(_ words: [String], _ options: Options) {
        #expect(read(words) == .run(options))
    }

    @Test(arguments: [
        (["--sise=2"], "unknown argument --sise=2: see prog --help"),
        (["--once=yes"], "unknown argument --once=yes: see prog --help"),
        (["file"], "unknown argument file: see prog --help"),
        ([""], "unknown argument : see prog --help"),
        (["--size"], "--size needs a value: see prog --help"),
        (["--size=x", "--help"], "--size=x: a number is allowed"),
    ])
    func refuses(_ words: [String], _ sentence: String) {
        #expect(read(words) == .wrong(sentence))
    }

    @Test func theFirstDecides() {
        #expect(read(["--size=2", "-h", "--sise"]) == .help)
        #expect(read(["--help"]) == .help)
        #expect(read(["--version", "--help"]) == .version)
        #expect(read(["-V"]) == .version)
    }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux
import TaskModel
import TaskSpool
import TaskUnit
import Testing

@Suite struct ConfigurationSearchTests {
    private let temporary: TemporarySpool

    init() throws {
        temporary = try TemporarySpool()
        for name in ["etc", "etc/task.conf.d", "own"] {
            try File.makeDirectory("\(temporary.path)/\(name)", at: File.here)
        }
    }

    private func write(_ text: String, _ name: String, mode: UInt32 = 0o644) throws {
        let path = "\(temporary.path)/\(name)"
        let file = try File.open(path, flags: [.writeOnly, .create], mode: mode)
        try File.writeAll(Array(text.utf8), to: file.number)
        chmod(path, mode)
    }

    private func read(owner: UInt32 = getuid()) -> (
        configuration: Configuration, problems: [String]
    ) {
        let directories = ["etc", "own", "none"].map { "\(temporary.path)/\($0)" }
        let (configuration, problems) = ConfigurationSearch(
            directories: directories, owner: owner
        ).read()
        return (
            configuration, problems.map { String($0.text.dropFirst(temporary.path.utf8.count + 1)) }
        )
    }

    @Test func laterDirectoriesAndLaterNamesWin() throws {
        try write("[Node]\nSlots=1\n[Retention]\nFailedMax=1\nRejectedMax=1\n", "etc/task.conf")
        try write("[Retention]\nFailedMax=3\n", "etc/task.conf.d/20.conf")
        try write("[Retention]\nFailedMax=2\nRejectedMax=2\n", "etc/task.conf.d/10.conf")
        try write("nonsense", "etc/task.conf.d/README")
        try write("[Node]\nSlots=9\n", "own/task.conf")
        let (found, problems) = read()
        #expect(problems.isEmpty)
        #expect(found.slots == 9 && found.count(.failedMax) == 3 && found.count(.rejectedMax) == 2)
        #expect(found.place(of: .failedMax)?.file == "\(temporary.path)/etc/task.conf.d/20.conf")
    }

    @Test func whatOthersMayWriteIsRefused() throws {
        try write("[Node]\nSlots=1\n", "etc/task.conf", mode: 0o666)
        try write("[Node]\nSlots=lots\n", "own/task.conf")
        let (_, problems) = read()
        #expect(
            problems == [
                "etc/task.conf:1:1: others may write it: a file that only its owner may write: "
                    + "chmod go-w",
                "own/task.conf:2:7: Slots=: lots is not understood: a whole number from 1 to 4096, "
                    + "or auto",
            ])
    }

    @Test func whatIsNoFileIsRefused() throws {
        try File.makeDirectory("\(temporary.path)/etc/task.conf", at: File.here)
        #expect(
            read().problems == ["etc/task.conf:1:1: it is a directory: a regular file"])
    }
}

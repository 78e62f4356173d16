// SPDX-License-Identifier: Apache-2.0
import Glibc
import Linux

// One seed must be one history: sets have one order only with this, and it is read before main. And a
// journal is read in pieces of 256 KiB: not from the kernel each time.
if getenv("SWIFT_DETERMINISTIC_HASHING") == nil {
    setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
    setenv("MALLOC_MMAP_THRESHOLD_", "1073741824", 1)
    setenv("MALLOC_TRIM_THRESHOLD_", "1073741824", 1)
    execv("/proc/self/exe", CommandLine.unsafeArgv)
}

switch Command.parse(CommandLine.arguments.dropFirst()) {
case .failure(let error):
    Command.say(error.sentence)
    exit(2)
case .success(let command):
    exit(command.run())
}

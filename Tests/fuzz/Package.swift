// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// The modules of Sources/ (links to their folders), compiled with libFuzzer's coverage counters, and
// one program. contrib/fuzz builds it and gives the linker libFuzzer's archive.

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]
let watched: [SwiftSetting] = strict + [.unsafeFlags(["-sanitize=fuzzer", "-parse-as-library"])]
// What a module keeps to itself and its properties look at.
let testable: [SwiftSetting] = [.unsafeFlags(["-enable-testing"])]

let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")

let package = Package(
    name: "fuzz",
    dependencies: [.package(url: "https://github.com/apple/swift-system", from: "1.8.1")],
    targets: [
        .target(name: "CLinux"),
        .target(name: "Linux", dependencies: ["CLinux", system], swiftSettings: strict),
        .target(name: "TaskModel", swiftSettings: watched),
        .systemLibrary(name: "CYaml", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .target(name: "TaskUnit", dependencies: ["CYaml", "TaskModel"], swiftSettings: watched),
        .target(name: "TaskPlan", dependencies: ["TaskModel", "TaskUnit"], swiftSettings: watched),
        .systemLibrary(
            name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .target(
            name: "TaskJournal", dependencies: ["CZstd", "Linux", "TaskModel", system],
            swiftSettings: watched + testable),
        .target(
            name: "TaskSpool",
            dependencies: ["Linux", "TaskModel", "TaskPlan", "TaskUnit", system],
            swiftSettings: watched),
        .systemLibrary(
            name: "CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
        .target(
            name: "TaskJail", dependencies: ["CLinux", "CSeccomp", "Linux", "TaskModel"],
            swiftSettings: watched + testable),
        .systemLibrary(name: "CFuzzer"),
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "CFuzzer", "CLinux", "Linux", "TaskJail", "TaskModel", "TaskUnit", "TaskPlan",
                "TaskJournal", "TaskSpool", system,
            ],
            swiftSettings: watched),
    ],
    swiftLanguageModes: [.v6]
)

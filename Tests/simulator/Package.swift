// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// taskd and what it stands on, unmodified (the folders are links), over a second module `Linux`.
// See README.md.

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]
// One thread, and globals that every call of the model touches.
let model: [SwiftSetting] = strict + [.unsafeFlags(["-enforce-exclusivity=unchecked"])]
let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")

let package = Package(
    name: "simulator",
    dependencies: [
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    ],
    targets: [
        // Only its checksum is called.
        .target(name: "CLinux"),
        // The model: same public names as Sources/Linux, as far as taskd uses them.
        .target(name: "Linux", dependencies: ["CLinux", system], swiftSettings: model),
        .target(name: "TaskModel", swiftSettings: strict),
        .systemLibrary(
            name: "CYaml", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .target(name: "TaskUnit", dependencies: ["CYaml", "TaskModel"], swiftSettings: strict),
        .target(name: "TaskPlan", dependencies: ["TaskModel", "TaskUnit"], swiftSettings: strict),
        .systemLibrary(
            name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .target(
            name: "TaskJournal", dependencies: ["CZstd", "Linux", "TaskModel", system],
            swiftSettings: strict),
        .target(
            name: "TaskEngine",
            dependencies: [
                "TaskModel", .product(name: "HeapModule", package: "swift-collections"),
            ],
            swiftSettings: strict),
        .target(
            name: "TaskSpool",
            dependencies: ["Linux", "TaskModel", "TaskPlan", "TaskUnit", system],
            swiftSettings: strict),
        // What taskd needs of it.
        .target(name: "TaskTool", dependencies: ["TaskModel"], swiftSettings: strict),
        .target(
            name: "taskd",
            dependencies: [
                "Linux", "TaskEngine", "TaskJournal", "TaskModel", "TaskPlan", "TaskSpool",
                "TaskTool", "TaskUnit", system,
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            exclude: ["Taskd.swift"],
            swiftSettings: strict + [.unsafeFlags(["-enable-testing"])]),
        .executableTarget(
            name: "simulate",
            dependencies: [
                "Linux", "TaskEngine", "TaskJournal", "TaskModel", "TaskSpool", "taskd", system,
            ],
            swiftSettings: model),
    ],
    swiftLanguageModes: [.v6]
)

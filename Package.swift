// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// Arrows point down only: a target names every module it imports, and the build checks that
// (contrib/check passes --explicit-target-dependency-import-check error).

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

// Drops what no program calls: a static Swift runtime is 6 MB less with it (root package only). That
// would keep each public name for libraries that are loaded later, of which there are none.
let trimmed: [LinkerSetting] = [
    .unsafeFlags(["-Xlinker", "--gc-sections", "-Xlinker", "--no-export-dynamic"])
]

// The jail's launcher keeps only what it calls, so that nothing may be left to look up (man ld, -z now).
let bound: [LinkerSetting] = [.unsafeFlags(["-Xlinker", "-z", "-Xlinker", "now"])]

let package = Package(
    name: "taskspool",
    products: [],
    dependencies: [
        // Errno and file paths, without Foundation.
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        // Deque and Heap for the scheduler's queues.
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        // Options and help of the programs that people type; the daemons do without.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    ],
    targets: [
        // C: what Swift cannot say (clone3, flag words, structures of the kernel).
        // Only a debug build of the jail can be told, by its tests, which step fails.
        .target(
            name: "CLinux", path: "Sources/CLinux",
            cSettings: [.define("CL_JAIL_FAULTS", .when(configuration: .debug))]),
        // The only module that calls the kernel: descriptors, errno, event loop, processes.
        .target(
            name: "Linux",
            dependencies: ["CLinux", .product(name: "SystemPackage", package: "swift-system")],
            swiftSettings: strict),
        // Values: ids, states, spans, sizes, event lines, the plan format.
        .target(name: "TaskModel", dependencies: [], swiftSettings: strict),
        // Unit files, scripts, pipelines, calendars to values.
        .systemLibrary(
            name: "CYaml", path: "Sources/CYaml", pkgConfig: "yaml-0.1",
            providers: [.apt(["libyaml-dev"])]),
        .target(name: "TaskUnit", dependencies: ["CYaml", "TaskModel"], swiftSettings: strict),
        // Units to a plan; order, levels, cycles.
        .target(name: "TaskPlan", dependencies: ["TaskModel", "TaskUnit"], swiftSettings: strict),
        // zstd compresses segments that are sealed.
        .systemLibrary(
            name: "CZstd", path: "Sources/CZstd", pkgConfig: "libzstd",
            providers: [.apt(["libzstd-dev"])]),
        // Segments of the journal and of output: writing, reading, recovery; the spool's owner.
        .target(
            name: "TaskJournal",
            dependencies: [
                "CZstd", "Linux", "TaskModel",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),

        // The scheduler: a value without clock, file or process.
        .target(
            name: "TaskEngine",
            dependencies: [
                "TaskModel", .product(name: "HeapModule", package: "swift-collections"),
            ],
            swiftSettings: strict),
        // The spooler.
        .executableTarget(
            name: "taskd",
            dependencies: [
                "Linux", "TaskEngine", "TaskJournal", "TaskModel", "TaskPlan", "TaskSpool",
                "TaskTool", "TaskUnit",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict, linkerSettings: trimmed),
        // The spool on disk: directories, acceptance, recovery.
        .target(
            name: "TaskSpool",
            dependencies: [
                "Linux", "TaskModel", "TaskPlan", "TaskUnit",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        // libseccomp names and numbers the system calls, and compiles filters.
        .systemLibrary(
            name: "CSeccomp", path: "Sources/CSeccomp", pkgConfig: "libseccomp",
            providers: [.apt(["libseccomp-dev"])]),
        // The jail's plan and the launcher that carries it out.
        .target(
            name: "TaskJail", dependencies: ["CLinux", "CSeccomp", "Linux", "TaskModel"],
            swiftSettings: strict),
        .systemLibrary(
            name: "CSQLite", path: "Sources/CSQLite", pkgConfig: "sqlite3",
            providers: [.apt(["libsqlite3-dev"])]),
        // The rebuildable SQLite index over the journal, and the SQL of users.
        .target(
            name: "TaskHistory",
            dependencies: [
                "CSQLite", "Linux", "TaskModel", "TaskJournal",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        // libpq speaks to PostgreSQL.
        .systemLibrary(
            name: "CPostgres", path: "Sources/CPostgres", pkgConfig: "libpq",
            providers: [.apt(["libpq-dev"])]),
        // The ledger of many machines: a session, its rounds, one connection.
        .target(
            name: "TaskLedger", dependencies: ["CPostgres", "Linux", "TaskModel"],
            swiftSettings: strict),
        // Options, messages, tables, progress for the programs that people type.
        .target(
            name: "TaskTool",
            dependencies: [
                "Linux", "TaskModel", .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),

        // Executes tasks: a unit, a plan, or jobs of taskd.
        .executableTarget(
            name: "taskrun",
            dependencies: [
                "Linux", "TaskModel", "TaskEngine", "TaskJournal", "TaskJail", "TaskPlan",
                "TaskSpool", "TaskUnit",
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            swiftSettings: strict, linkerSettings: trimmed + bound),
        // The same for ArgumentParser: options that programs share, and their outer frame.
        .target(
            name: "TaskOptions",
            dependencies: [
                "Linux", "TaskHistory", "TaskJournal", "TaskModel", "TaskPlan", "TaskSpool",
                "TaskTool", "TaskUnit",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        // sd-bus: what only systemd knows.
        .systemLibrary(
            name: "CSystemd", path: "Sources/CSystemd", pkgConfig: "libsystemd",
            providers: [.apt(["libsystemd-dev"])]),
        // Dependencies: plans, order, graphs; asks systemd.
        .executableTarget(
            name: "taskdep",
            dependencies: [
                "CSystemd", "Linux", "TaskModel", "TaskOptions", "TaskPlan", "TaskSpool",
                "TaskTool", "TaskUnit",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict, linkerSettings: trimmed),
        // The history: writes event lines into the journal, answers from it.
        .executableTarget(
            name: "tasklog",
            dependencies: [
                "Linux", "TaskHistory", "TaskJournal", "TaskModel", "TaskOptions", "TaskSpool",
                "TaskTool",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict, linkerSettings: trimmed),
        // How many machines there should be: a value that decides.
        .target(name: "TaskFleet", dependencies: [], swiftSettings: strict),
        // Asks a datacenter for machines and gives them back; its providers are programs.
        .executableTarget(
            name: "taskscale",
            dependencies: [
                "Linux", "TaskFleet", "TaskModel", "TaskTool",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict, linkerSettings: trimmed),
        // Joins a spool to the ledger.
        .executableTarget(
            name: "tasklink",
            dependencies: [
                "Linux", "TaskJournal", "TaskLedger", "TaskModel", "TaskSpool", "TaskTool",
                "TaskUnit", .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict, linkerSettings: trimmed),
        // The user's front.
        .executableTarget(
            name: "task",
            dependencies: [
                "Linux", "TaskModel", "TaskUnit", "TaskPlan", "TaskJournal", "TaskHistory",
                "TaskSpool", "TaskTool", "TaskOptions",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict, linkerSettings: trimmed),

        .testTarget(
            name: "TaskSpoolTests",
            dependencies: [
                "Linux", "TaskModel", "TaskPlan", "TaskSpool", "TaskUnit",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        // Runs jails for TaskJailTests; not shipped.
        .executableTarget(
            name: "jailprobe", dependencies: ["Linux", "TaskJail"], path: "Tests/jailprobe",
            swiftSettings: strict, linkerSettings: bound),
        .testTarget(
            name: "TaskJailTests",
            dependencies: ["CLinux", "CSeccomp", "Linux", "TaskJail", "jailprobe"],
            swiftSettings: strict),
        .testTarget(name: "LinuxTests", dependencies: ["Linux"], swiftSettings: strict),
        .testTarget(
            name: "TaskEngineTests", dependencies: ["TaskEngine", "TaskModel"],
            swiftSettings: strict),
        .testTarget(
            name: "TaskUnitTests", dependencies: ["TaskModel", "TaskUnit"], swiftSettings: strict),
        .testTarget(
            name: "TaskPlanTests", dependencies: ["TaskModel", "TaskPlan", "TaskUnit"],
            swiftSettings: strict),
        .testTarget(name: "TaskFleetTests", dependencies: ["TaskFleet"], swiftSettings: strict),
        .testTarget(
            name: "TaskLedgerTests", dependencies: ["TaskLedger", "TaskModel"],
            swiftSettings: strict),
        .testTarget(name: "TaskModelTests", dependencies: ["TaskModel"], swiftSettings: strict),
        .testTarget(
            name: "TaskHistoryTests",
            dependencies: [
                "TaskHistory", "TaskJournal", "TaskModel", "Linux",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "TaskJournalTests",
            dependencies: [
                "TaskJournal", "TaskModel", "Linux",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "TaskToolTests", dependencies: ["TaskTool", "TaskModel"], swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)

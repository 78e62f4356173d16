// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
public import TaskTool

extension OutputFormat: ExpressibleByArgument {}
extension ColorChoice: ExpressibleByArgument {}

/// `--spool=DIR`.
public struct SpoolOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "The spool. Default: $TASK_SPOOL, /var/spool/task/$USER, $XDG_STATE_HOME/task/spool.",
            valueName: "dir"),
        completion: .directory)
    public var spool: String?

    public init() {}

    public var choice: SpoolPath { SpoolPath.choose(option: spool) }
}

/// How answers are printed.
public struct FormatOptions: ParsableArguments {
    @Option(
        name: [.customShort("o"), .long],
        help: ArgumentHelp("Format: \(OutputFormat.choices).", valueName: "format"))
    public var output: OutputFormat = .table

    @Flag(name: .long, help: "The same as -o json.")
    public var json = false

    @Flag(name: .customLong("no-headers"), help: "Without the line of headings.")
    public var noHeaders = false

    @Option(name: .long, help: ArgumentHelp("auto, always or never.", valueName: "when"))
    public var color: ColorChoice = .auto

    @Flag(name: .customLong("no-pager"), help: "Don't start a pager.")
    public var noPager = false

    public init() {}

    public var format: OutputFormat { json ? .json : output }

    /// The style of standard output.
    public var style: Style { Style(color, for: 1) }

    /// Standard output, paged for a table on a terminal.
    public func makeOutput() -> Output { Output(paged: !noPager && format == .table) }

    /// A writer of these columns in the chosen format.
    public func makeTable(_ columns: [Column]) -> TableWriter {
        TableWriter(columns, format: format, style: style, hasHeader: !noHeaders)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Writes rows in one of the formats, as they come: memory does not grow with their number.
///
/// A table takes its widths from the first `sample` rows; later values that are wider push their
/// line, they are never cut. Only the last column is cut, at the terminal's width; a table that has
/// no more rows than these leaves out there what says nothing, and extra columns for which the
/// terminal is too narrow.
public struct TableWriter: ~Copyable {
    private var columns: [Column]
    private let format: OutputFormat
    private let style: Style
    private let hasHeader: Bool
    private var held: [[Value]] = []
    private var widths: [Int] = []
    private var isRight: [Bool] = []
    private var count = 0
    /// What is ready to be written out: take it after each row, or at the end.
    public private(set) var bytes: [UInt8] = []

    /// Rows that a table looks at before it fixes its widths.
    public static let sample = 500

    /// - Parameter hasHeader: false leaves out the heading of table and csv (`--no-headers`).
    public init(
        _ columns: [Column], format: OutputFormat, style: Style = .plain, hasHeader: Bool = true
    ) {
        self.columns = columns
        self.format = format
        self.style = style
        self.hasHeader = hasHeader
        if format == .csv, hasHeader { appendCSV(columns.map(\.key)) }
        if format == .json { bytes.append(contentsOf: #"{"schema":"task/1","items":["#.utf8) }
    }

    /// Adds a row: one value a column.
    public mutating func add(_ row: [Value]) {
        precondition(row.count == columns.count, "a row has one value a column")
        switch format {
        case .table: addToTable(row)
        case .json:
            bytes.append(contentsOf: (count == 0 ? "\n" : ",\n").utf8)
            appendObject(row)
        case .jsonl:
            appendObject(row)
            bytes.append(UInt8(ascii: "\n"))
        case .csv: appendCSV(row.map(\.plainText))
        case .plain: appendPlain(row)
        }
        count += 1
    }

    /// Ends the document. The rest is in `bytes`.
    public mutating func finish() {
        switch format {
        case .table:
            if widths.isEmpty { narrow() }
            flushSample()
        case .json: bytes.append(contentsOf: (count == 0 ? "]}\n" : "\n]}\n").utf8)
        case .jsonl, .csv, .plain: break
        }
    }

    /// Takes what is ready.
    public mutating func take() -> [UInt8] {
        var taken: [UInt8] = []
        swap(&taken, &bytes)
        return taken
    }
}

extension TableWriter {
    private mutating func appendObject(_ row: [Value]) {
        var separator = UInt8(ascii: "{")
        for (column, value) in zip(columns, row) where value != .absent {
            bytes.append(separator)
            JSONText.append(column.key, to: &bytes)
            bytes.append(UInt8(ascii: ":"))
            value.appendJSON(to: &bytes)
            separator = UInt8(ascii: ",")
        }
        if separator == UInt8(ascii: "{") { bytes.append(separator) }
        bytes.append(UInt8(ascii: "}"))
    }

    private mutating func appendCSV(_ fields: [String]) {
        for (index, field) in fields.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            let isQuoted = field.utf8.contains { [0x22, 0x2c, 0x0a, 0x0d].contains($0) }
            guard isQuoted else {
                bytes.append(contentsOf: field.utf8)
                continue
            }
            bytes.append(0x22)
            for byte in field.utf8 {
                if byte == 0x22 { bytes.append(0x22) }
                bytes.append(byte)
            }
            bytes.append(0x22)
        }
        bytes.append(UInt8(ascii: "\n"))
    }

    private mutating func appendPlain(_ row: [Value]) {
        for (index, value) in row.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: "\t")) }
            if value == .absent { bytes.append(UInt8(ascii: "-")) }
            for byte in value.plainText.utf8 {
                switch byte {
                case UInt8(ascii: "\t"): bytes.append(contentsOf: "\\t".utf8)
                case UInt8(ascii: "\n"): bytes.append(contentsOf: "\\n".utf8)
                case UInt8(ascii: "\\"): bytes.append(contentsOf: "\\\\".utf8)
                default: bytes.append(byte)
                }
            }
        }
        bytes.append(UInt8(ascii: "\n"))
    }
}

extension TableWriter {
    private mutating func addToTable(_ row: [Value]) {
        if widths.isEmpty {
            held.append(row)
            if held.count >= Self.sample { flushSample() }
        } else {
            appendLine(row)
        }
    }

    // All rows are known, and the place for them.
    private mutating func narrow() {
        guard let room = style.width else { return }
        for index in columns.indices where held.allSatisfy({ $0[index] == .absent }) {
            columns[index].heading = nil
        }
        let last = columns.lastIndex { $0.heading != nil }
        let widths = sampleWidths
        // The last one is cut where it does not fit, but something of it must be seen.
        var needed = columns.indices.filter { columns[$0].heading != nil }
            .reduce(-2) { $0 + 2 + ($1 == last ? min(widths[$1], Self.narrowest) : widths[$1]) }
        for index in columns.indices.reversed() where columns[index].isExtra && needed > room {
            guard columns[index].heading != nil else { continue }
            columns[index].heading = nil
            needed -= widths[index] + 2
        }
    }

    /// A cell that is cut shows at least so much.
    private static let narrowest = 8

    private var sampleWidths: [Int] {
        var widths = columns.map { hasHeader ? ($0.heading?.count ?? 0) : 0 }
        for row in held {
            for (index, value) in row.enumerated() where columns[index].heading != nil {
                widths[index] = max(widths[index], value.forPeople.count)
            }
        }
        return widths
    }

    private mutating func flushSample() {
        guard widths.isEmpty, !held.isEmpty else { return }
        widths = sampleWidths
        isRight = columns.indices.map { column in
            held.contains { $0[column].isNumeric }
                && held.allSatisfy { $0[column].isNumeric || $0[column] == .absent }
        }
        if hasHeader { appendHeader() }
        for row in held { appendLine(row) }
        held = []
    }

    private mutating func appendHeader() {
        let cells = columns.map { Cell(text: $0.heading ?? "", isBold: true) }
        appendCells(cells)
    }

    private mutating func appendLine(_ row: [Value]) {
        let cells = row.map { value -> Cell in
            var cell = Cell(text: value.forPeople)
            if case .state(let state) = value { cell.state = state }
            return cell
        }
        appendCells(cells)
    }

    private mutating func appendCells(_ cells: [Cell]) {
        let shown = columns.indices.filter { columns[$0].heading != nil }
        var column = 0
        for index in shown {
            let isLast = index == shown.last
            var text = cells[index].text
            if isLast, let width = style.width { text = Self.cut(text, to: width - column) }
            let gap = max(0, widths[index] - text.count)
            let padding = String(repeating: " ", count: gap)
            let painted = cells[index].painted(text, style)
            if isRight[index] {
                bytes.append(contentsOf: (padding + painted).utf8)
            } else {
                bytes.append(contentsOf: (isLast ? painted : painted + padding).utf8)
            }
            if !isLast { bytes.append(contentsOf: "  ".utf8) }
            column += max(widths[index], text.count) + 2
        }
        bytes.append(UInt8(ascii: "\n"))
    }

    // A cell so narrow that nothing could be read stays whole.
    private static func cut(_ text: String, to room: Int) -> String {
        if text.count <= room || room < narrowest { return text }
        return String(text.prefix(room - 1)) + "…"
    }
}

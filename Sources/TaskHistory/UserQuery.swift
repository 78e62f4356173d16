// SPDX-License-Identifier: Apache-2.0
import CSQLite
import Linux

/// SQL that a user typed: it can read the index, and nothing else.
///
/// The connection is read-only, ATTACH is limited to none, an authorizer lets only reading pass (no
/// VACUUM INTO, no PRAGMA, no extension), and a query that takes too long is ended.
public final class UserQuery {
    /// One value of a row.
    public enum Cell: Equatable, Sendable {
        case null
        case integer(Int64)
        case real(Double)
        case text(String)
    }

    /// The names of the columns.
    public let columns: [String]
    private let database: Database
    private let statement: OpaquePointer
    private let watch: Watch

    private final class Watch {
        let seconds: Int
        let deadline: Int64
        init(seconds: Int) {
            self.seconds = seconds
            deadline = Clock.boot() + Int64(seconds) * 1_000_000
        }
    }

    /// Prepares a statement.
    ///
    /// - Parameters:
    ///   - path: `History.indexPath`.
    ///   - seconds: how long it may take.
    /// - Throws: `.query` with SQLite's message when the SQL is wrong.
    public init(_ sql: String, at path: String, seconds: Int = 60) throws(HistoryError) {
        let database = try Database(path, flags: SQLITE_OPEN_READONLY)
        self.database = database
        watch = Watch(seconds: seconds)
        try Self.confine(database, watch)
        var prepared: OpaquePointer?
        var rest = 0
        var text = sql
        let code = text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { chars in
                var tail: UnsafePointer<CChar>?
                let code = sqlite3_prepare_v2(
                    database.handle, chars.baseAddress, Int32(chars.count), &prepared, &tail)
                if let tail, let base = chars.baseAddress { rest = chars.count - (tail - base) }
                return code
            }
        }
        guard code == SQLITE_OK else { throw .query(database.message) }
        guard let prepared else { throw .query("there is no statement in it") }
        statement = prepared
        columns = (0..<sqlite3_column_count(prepared)).map {
            sqlite3_column_name(prepared, $0).map { String(cString: $0) } ?? ""
        }
        guard Self.isBlank(sql.utf8.suffix(rest)) else {
            throw .query("only one statement is allowed")
        }
    }

    deinit { sqlite3_finalize(statement) }

    /// The next row; nil after the last.
    public func next() throws(HistoryError) -> [Cell]? {
        switch sqlite3_step(statement) {
        case SQLITE_ROW: return (0..<Int32(columns.count)).map { cell($0) }
        case SQLITE_DONE: return nil
        case SQLITE_INTERRUPT: throw .tooLong(watch.seconds)
        default: throw .query(database.message)
        }
    }

    private func cell(_ column: Int32) -> Cell {
        switch sqlite3_column_type(statement, column) {
        case SQLITE_NULL: .null
        case SQLITE_INTEGER: .integer(sqlite3_column_int64(statement, column))
        case SQLITE_FLOAT: .real(sqlite3_column_double(statement, column))
        default:
            .text(sqlite3_column_text(statement, column).map { String(cString: $0) } ?? "")
        }
    }

    private static func isBlank(_ rest: some Sequence<UInt8>) -> Bool {
        rest.allSatisfy { [0x20, 0x09, 0x0a, 0x0d, UInt8(ascii: ";")].contains($0) }
    }

    private static func confine(_ database: Database, _ watch: Watch) throws(HistoryError) {
        let handle = database.handle
        try database.execute("pragma query_only = on; pragma temp_store = memory")
        sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0)
        sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, 64 << 20)
        sqlite3_limit(handle, SQLITE_LIMIT_SQL_LENGTH, 1 << 20)
        sqlite3_set_authorizer(
            handle,
            { _, action, _, function, _, _ in
                switch action {
                case SQLITE_SELECT, SQLITE_READ, SQLITE_RECURSIVE: return SQLITE_OK
                case SQLITE_FUNCTION:
                    let name = function.map { String(cString: $0) } ?? ""
                    return name.lowercased() == "load_extension" ? SQLITE_DENY : SQLITE_OK
                default: return SQLITE_DENY
                }
            }, nil)
        sqlite3_progress_handler(
            handle, 10_000,
            { context in
                guard let context else { return 0 }
                let watch = Unmanaged<Watch>.fromOpaque(context).takeUnretainedValue()
                return Clock.boot() > watch.deadline ? 1 : 0
            }, Unmanaged.passUnretained(watch).toOpaque())
    }
}

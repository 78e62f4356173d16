// SPDX-License-Identifier: Apache-2.0
import CSQLite

/// A connection to an SQLite file, or to memory by a URI `file:`; used by one thread.
final class Database {
    let handle: OpaquePointer

    init(_ path: String, flags: Int32) throws(HistoryError) {
        var opened: OpaquePointer?
        let uri = path.hasPrefix("file:") ? SQLITE_OPEN_URI : 0
        let code = sqlite3_open_v2(path, &opened, flags | uri | SQLITE_OPEN_NOMUTEX, nil)
        guard code == SQLITE_OK, let opened else {
            let message = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "no memory"
            sqlite3_close_v2(opened)
            throw .index("\(path): \(message)")
        }
        handle = opened
        sqlite3_busy_timeout(handle, 5000)
    }

    deinit { sqlite3_close_v2(handle) }

    var message: String { String(cString: sqlite3_errmsg(handle)) }

    /// What the last call that failed means.
    var error: HistoryError {
        switch sqlite3_errcode(handle) & 0xff {
        case SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_SCHEMA: .damaged(message)
        case SQLITE_ERROR where message.hasPrefix("no such"): .damaged(message)
        default: .index(message)
        }
    }

    /// Runs statements that give no rows.
    func execute(_ sql: String) throws(HistoryError) {
        guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw error }
    }

    func prepare(_ sql: String) throws(HistoryError) -> Statement {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v3(
            handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard code == SQLITE_OK, let statement else { throw error }
        return Statement(statement, of: self)
    }

    /// The row that was inserted last into a table with row ids.
    var lastRow: Int64 { sqlite3_last_insert_rowid(handle) }

    /// The single integer that a statement gives.
    func number(_ sql: String) throws(HistoryError) -> Int64 {
        let statement = try prepare(sql)
        return try statement.step() ? statement.integer(0) ?? 0 : 0
    }
}

/// A prepared statement.
final class Statement {
    private let handle: OpaquePointer
    private let database: Database
    // SQLite copies what is bound.
    private static let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    init(_ handle: OpaquePointer, of database: Database) {
        self.handle = handle
        self.database = database
    }

    deinit { sqlite3_finalize(handle) }

    func bind(_ index: Int32, _ value: Int64?) {
        if let value { sqlite3_bind_int64(handle, index, value) } else { bindNull(index) }
    }

    func bind(_ index: Int32, _ text: String?) {
        guard var text else { return bindNull(index) }
        text.withUTF8 { bind(index, bytes: UnsafeRawBufferPointer($0)) }
    }

    func bind(_ index: Int32, _ text: ArraySlice<UInt8>) {
        text.withUnsafeBytes { bind(index, bytes: $0) }
    }

    private func bind(_ index: Int32, bytes: UnsafeRawBufferPointer) {
        let base = bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
        sqlite3_bind_text(handle, index, base, Int32(bytes.count), Self.transient)
        if base == nil { sqlite3_bind_text(handle, index, "", 0, Self.transient) }
    }

    func bindNull(_ index: Int32) { sqlite3_bind_null(handle, index) }

    /// True when there is a row.
    func step() throws(HistoryError) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default: throw database.error
        }
    }

    /// Runs a statement that gives no rows, and makes it ready for the next values.
    func run() throws(HistoryError) {
        defer { sqlite3_reset(handle) }
        _ = try step()
    }

    func reset() { sqlite3_reset(handle) }

    func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

    func integer(_ column: Int32) -> Int64? {
        isNull(column) ? nil : sqlite3_column_int64(handle, column)
    }

    func int(_ column: Int32) -> Int? { integer(column).map { Int($0) } }

    func text(_ column: Int32) -> String? {
        sqlite3_column_text(handle, column).map { String(cString: $0) }
    }
}

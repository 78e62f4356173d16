// SPDX-License-Identifier: Apache-2.0
import CPostgres
public import Linux

/// One connection to the ledger by libpq, without blocking, in pipeline mode (libpq manual, "Asynchronous Command
/// Processing", "Pipeline Mode"; PostgreSQL 14).
///
/// Its owner waits until `socket` is ready for `readiness`, then calls `advance`. The socket may be another one after
/// each `advance` while `isConnecting`. A deadline is kept by letting go of the connection: a write is never
/// cancelled, for a cancel that comes late makes a commit that is on one disk alone look like an acknowledged one.
///
/// The one thing that may block is the look-up of a host's name.
public final class Connection {
    private enum Phase {
        case connecting(PostgresPollingStatusType)
        case idle
        /// Statements are on their way; answers so far.
        case waiting([Answer], LedgerFailure?)
        case broken(LedgerFailure)
    }

    private let handle: OpaquePointer
    private let notices = Notices()
    private var phase: Phase
    private var isFlushing = false
    private var reply: Reply?

    /// Warnings that take back what an answer says.
    private final class Notices {
        var doubt: LedgerFailure?
    }

    /// Begins to connect.
    ///
    /// - Parameters:
    ///   - target: a connection string or URI.
    ///   - endpoint: which of its hosts.
    /// - Throws: only where memory is short: what is wrong with the string `endpoints` says.
    public init(_ target: String, at endpoint: Endpoint) throws(ConnectionRefusal) {
        let parameters = Self.parameters(target, endpoint)
        let names = CStrings(parameters.map { Array($0.0.utf8) })
        let values = CStrings(parameters.map { Array($0.1.utf8) })
        guard let handle = PQconnectStartParams(names.pointers, values.pointers, 1) else {
            throw ConnectionRefusal(sentence: "out of memory")
        }
        self.handle = handle
        // Nobody behind a local socket is known at once.
        phase =
            PQstatus(handle) == CONNECTION_BAD
            ? .broken(ConnectionText.failure(Self.text(handle)))
            : .connecting(PGRES_POLLING_WRITING)
        // The SQLSTATE of a refused login is told in words alone, and only if they are verbose.
        PQsetErrorVerbosity(handle, PQERRORS_VERBOSE)
        let context = Unmanaged.passUnretained(notices).toOpaque()
        PQsetNoticeReceiver(
            handle,
            { context, result in
                guard let context, let code = Connection.field(result, CInt(UInt8(ascii: "C")))
                else { return }
                // A wait for the standby that was given up: the row is on one disk.
                guard code == "01000" || code.hasPrefix("57") else { return }
                let text = Connection.field(result, CInt(UInt8(ascii: "M"))) ?? "a warning"
                Unmanaged<Notices>.fromOpaque(context).takeUnretainedValue().doubt =
                    LedgerFailure(code: code, message: text)
            }, context)
    }

    deinit { PQfinish(handle) }

    /// What stands before the string is a default, what stands behind it counts in any case.
    private static func parameters(_ target: String, _ endpoint: Endpoint) -> [(String, String)] {
        let defaults = [
            ("target_session_attrs", "read-write"), ("tcp_user_timeout", "4000"),
            ("keepalives_idle", "3"), ("keepalives_interval", "1"), ("keepalives_count", "3"),
            ("fallback_application_name", "tasklink"),
        ]
        let own = [
            ("host", endpoint.host), ("hostaddr", endpoint.address), ("port", endpoint.port),
            ("client_encoding", "UTF8"),
        ].compactMap { name, value in value.map { (name, $0) } }
        return defaults + [("dbname", target)] + own
    }

    /// The hosts of a connection string; of one without any, those of the environment.
    ///
    /// - Throws: what is wrong with it.
    public static func endpoints(of target: String) throws(ConnectionRefusal) -> [Endpoint] {
        var values = options(PQconndefaults())
        if target.contains("=") || target.contains("://") {
            var error: UnsafeMutablePointer<CChar>?
            let parsed = PQconninfoParse(target, &error)
            if let error {
                let text = String(cString: error)
                PQfreemem(error)
                throw ConnectionRefusal(sentence: ConnectionText.line(text))
            }
            values.merge(options(parsed)) { $1 }
        }
        return Endpoint.list(
            host: values["host"], address: values["hostaddr"], port: values["port"])
    }

    private static func options(
        _ list: UnsafeMutablePointer<PQconninfoOption>?
    ) -> [String: String] {
        guard let list else { return [:] }
        defer { PQconninfoFree(list) }
        var found: [String: String] = [:]
        var next = list
        while let keyword = next.pointee.keyword {
            if let value = next.pointee.val {
                found[String(cString: keyword)] = String(cString: value)
            }
            next += 1
        }
        return found
    }

    // MARK: What to wait for

    public var socket: Int32 { PQsocket(handle) }

    public var readiness: Readiness {
        switch phase {
        case .connecting(PGRES_POLLING_READING): .readable
        case .connecting: .writable
        default: isFlushing ? [.readable, .writable] : .readable
        }
    }

    public var isConnecting: Bool {
        if case .connecting = phase { true } else { false }
    }

    /// Connected, and nothing is on its way.
    public var isIdle: Bool {
        if case .idle = phase { true } else { false }
    }

    /// Why there is no connection, or none any more.
    public var failure: LedgerFailure? {
        if case .broken(let failure) = phase { failure } else { nil }
    }

    /// What came back, once.
    public func takeReply() -> Reply? {
        defer { reply = nil }
        return reply
    }

    // MARK: Going on

    /// Does what the socket is ready for.
    public func advance() {
        switch phase {
        case .connecting: connect()
        case .idle, .waiting: receive()
        case .broken: break
        }
    }

    private func connect() {
        switch PQconnectPoll(handle) {
        case PGRES_POLLING_OK:
            PQsetErrorVerbosity(handle, PQERRORS_DEFAULT)
            guard PQsetnonblocking(handle, 1) == 0, PQenterPipelineMode(handle) == 1 else {
                return fail()
            }
            phase = .idle
        case PGRES_POLLING_FAILED: fail()
        case let status: phase = .connecting(status)
        }
    }

    private func fail() {
        let failure = ConnectionText.failure(Self.text(handle))
        if case .waiting = phase { reply = .lost(failure) }
        phase = .broken(failure)
    }

    /// Sends statements as one transaction; the connection must be idle.
    public func send(_ statements: [Statement]) {
        precondition(isIdle, "one transaction at a time")
        notices.doubt = nil
        phase = .waiting([], nil)
        for statement in statements {
            let values = CStrings(statement.parameters)
            let count = CInt(statement.parameters.count)
            guard
                PQsendQueryParams(
                    handle, statement.text, count, nil, values.pointers, nil, nil, 0) == 1
            else { return fail() }
        }
        guard PQpipelineSync(handle) == 1 else { return fail() }
        flush()
    }

    private func flush() {
        switch PQflush(handle) {
        case 0: isFlushing = false
        case 1: isFlushing = true
        default: fail()
        }
    }

    private func receive() {
        if isFlushing { flush() }
        guard failure == nil else { return }
        let isReadable = PQconsumeInput(handle) == 1
        collect()
        if failure == nil, !isReadable || PQstatus(handle) == CONNECTION_BAD { fail() }
    }

    // Results come a statement at a time, each ended by NULL; that of the sync ends the transaction.
    private func collect() {
        while case .waiting(var answers, var failure) = phase, PQisBusy(handle) == 0 {
            guard let result = PQgetResult(handle) else {
                if PQstatus(handle) == CONNECTION_BAD { return fail() }
                continue
            }
            defer { PQclear(result) }
            switch PQresultStatus(result) {
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK: answers.append(Self.answer(result))
            case PGRES_PIPELINE_SYNC: return finish(answers, failure)
            case PGRES_PIPELINE_ABORTED: break
            default:
                // The end of the connection comes as a result, too, which has no code.
                if PQstatus(handle) == CONNECTION_BAD { return fail() }
                failure = failure ?? Self.failure(result)
            }
            phase = .waiting(answers, failure)
        }
    }

    private func finish(_ answers: [Answer], _ failure: LedgerFailure?) {
        phase = .idle
        if let failure {
            reply = .failed(failure)
        } else if let doubt = notices.doubt {
            reply = .lost(doubt)
        } else {
            reply = .answers(answers)
        }
    }
}

// MARK: - Words

extension Connection {
    private static func text(_ handle: OpaquePointer) -> String {
        PQerrorMessage(handle).map { String(cString: $0) } ?? ""
    }

    private static func failure(_ result: OpaquePointer) -> LedgerFailure {
        LedgerFailure(
            code: field(result, CInt(UInt8(ascii: "C"))),
            message: field(result, CInt(UInt8(ascii: "M"))) ?? "an error without a message")
    }

    /// PG_DIAG_SQLSTATE is `C`, PG_DIAG_MESSAGE_PRIMARY `M`.
    fileprivate static func field(_ result: OpaquePointer?, _ field: CInt) -> String? {
        PQresultErrorField(result, field).map { String(cString: $0) }
    }

    private static func answer(_ result: OpaquePointer) -> Answer {
        let columns = PQnfields(result)
        return Answer(
            rows: (0..<PQntuples(result)).map { row in
                (0..<columns).map { column in
                    PQgetisnull(result, row, column) == 1
                        ? nil : PQgetvalue(result, row, column).map { String(cString: $0) }
                }
            })
    }
}

/// A connection string that cannot be used.
public struct ConnectionRefusal: Error, Equatable, Sendable {
    public var sentence: String
}

// SPDX-License-Identifier: Apache-2.0

/// One connection, and the spool that it serves once it has said hello.
final class PoolClient {
    let connection: PoolConnection
    let owner: PoolOwner
    var spool: PoolSpool?
    var isWritableWatched = false

    init(_ connection: PoolConnection, _ owner: PoolOwner) {
        self.connection = connection
        self.owner = owner
    }
}

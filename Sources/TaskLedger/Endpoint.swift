// SPDX-License-Identifier: Apache-2.0

/// One host of a connection string that names several. The library tries them one after another, but without
/// blocking it has no timeout: so each is a try of its own here, with a deadline.
public struct Endpoint: Equatable, Sendable {
    public var host: String?
    public var address: String?
    public var port: String?

    public init(host: String?, address: String?, port: String?) {
        self.host = host
        self.address = address
        self.port = port
    }

    /// The endpoints of `host=`, `hostaddr=` and `port=`, each a list divided by commas.
    ///
    /// - Returns: one without any of them where there is one host at most, or where the lists do not match: the
    ///   library then says what is wrong.
    public static func list(host: String?, address: String?, port: String?) -> [Endpoint] {
        func split(_ text: String?) -> [String] {
            guard let text, !text.isEmpty else { return [] }
            return text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        let (hosts, addresses, ports) = (split(host), split(address), split(port))
        let count = max(hosts.count, addresses.count)
        guard count > 1, [0, count].contains(hosts.count), [0, count].contains(addresses.count),
            [0, 1, count].contains(ports.count)
        else { return [Endpoint(host: nil, address: nil, port: nil)] }
        return (0..<count).map { index in
            Endpoint(
                host: hosts.isEmpty ? nil : hosts[index],
                address: addresses.isEmpty ? nil : addresses[index],
                port: ports.isEmpty ? nil : ports.count == 1 ? ports[0] : ports[index])
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

enum Machine {
    static let hasScopes = cl_landlock_abi() >= 6
}

enum Socket {
    /// A listening socket with an abstract name.
    static func abstract(_ name: String) -> Int32 { local([0] + Array(name.utf8)) }

    /// A listening socket with a path.
    static func named(_ path: String) -> Int32 { local(Array(path.utf8)) }

    private static func local(_ name: [UInt8]) -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { path in
            for (index, byte) in name.enumerated() { path[index] = byte }
        }
        let length = socklen_t(2 + name.count)
        _ = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        listen(descriptor, 4)
        return descriptor
    }

    /// A listening TCP socket on 127.0.0.1; its port.
    static func loopback() -> (descriptor: Int32, port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(descriptor, $0, length)
                listen(descriptor, 4)
                getsockname(descriptor, $0, &length)
            }
        }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }
}

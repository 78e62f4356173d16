// SPDX-License-Identifier: Apache-2.0
public import Linux
import SystemPackage
import TaskModel
public import TaskUnit

/// The machine's time zones: files of tzdata.
public enum ZoneSearch {
    private static let directory = "/usr/share/zoneinfo"
    // The largest of tzdata is below 4 KiB.
    private static let largest = 1 << 20

    /// The rules of a zone.
    ///
    /// - Parameter name: as `Europe/Berlin`; nil for the machine's own (/etc/localtime; UTC without
    ///   one).
    /// - Returns: nil when there is no such zone, or its file is none (tzfile(5)).
    public static func rules(of name: String?) -> ZoneRules? {
        guard let name else {
            guard let bytes = bytes("/etc/localtime") else { return .utc }
            return ZoneRules(parsing: bytes)
        }
        if name == "UTC" { return .utc }
        guard isName(name), let bytes = bytes(directory + "/" + name) else { return nil }
        return ZoneRules(parsing: bytes)
    }

    /// What a zone's file is now, by which a change of tzdata is seen; nil where there is none.
    public static func status(of name: String?) -> File.Status? {
        let path = name.map { "\(directory)/\($0)" } ?? "/etc/localtime"
        return try? File.status(path, following: true)
    }

    /// Letters, digits and `+-_`, parts between slashes: no name leads out of the directory.
    private static func isName(_ name: String) -> Bool {
        guard name.utf8.count <= 64 else { return false }
        return name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .allSatisfy { part in
                !part.isEmpty
                    && part.allSatisfy {
                        $0.isASCIILetter || $0.isASCIIDigit || "+-_".utf8.contains($0)
                    }
            }
    }

    private static func bytes(_ path: String) -> [UInt8]? {
        guard let file = try? File.open(path, flags: .nonBlocking) else { return nil }
        return (try? File.readAll(file.number, limit: largest)) ?? nil
    }
}

// SPDX-License-Identifier: Apache-2.0
import Linux

/// The names in a directory; none when it cannot be read.
func names(_ path: String) -> [String] {
    guard let stream = try? DirectoryStream(path, at: File.here) else { return [] }
    var result: [String] = []
    while let bytes = try? stream.next() { result.append(String(decoding: bytes, as: UTF8.self)) }
    return result
}

/// A file's text; empty when it cannot be read.
func text(_ path: String) -> String {
    guard let file = try? File.open(path),
        let bytes = try? File.readAll(file.number, limit: 1 << 24)
    else { return "" }
    return String(decoding: bytes, as: UTF8.self)
}

extension String {
    /// How often a text occurs.
    func components(_ part: String) -> Int {
        split(separator: part, omittingEmptySubsequences: false).count - 1
    }
}

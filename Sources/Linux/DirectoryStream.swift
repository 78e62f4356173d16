// SPDX-License-Identifier: Apache-2.0
import Glibc
public import SystemPackage

/// Reads a directory's names one after another, in constant memory.
///
/// Names that come or go while it reads may or may not be seen (readdir(3)).
public final class DirectoryStream {
    private let stream: OpaquePointer

    /// Opens `name` beneath the directory. The directory's own descriptor keeps its position.
    public init(_ name: String, at directory: Int32) throws(Errno) {
        let descriptor = try File.openDirectory(name, at: directory)
        guard let stream = fdopendir(descriptor.number) else { throw Errno.current }
        _ = descriptor.release()
        self.stream = stream
    }

    /// The next name, as bytes, without `.` and `..`; nil at the end.
    public func next() throws(Errno) -> [UInt8]? {
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw Errno.current }
                return nil
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: UInt8.self, capacity: 256) { bytes in
                    Array(UnsafeBufferPointer(start: bytes, count: strlen(bytes)))
                }
            }
            if name == [46] || name == [46, 46] { continue }
            return name
        }
    }

    deinit {
        closedir(stream)
    }
}

// SPDX-License-Identifier: Apache-2.0
import CZstd

/// Makes zstd frames (RFC 8878), each by itself: with its plain length in the head and a checksum
/// (XXH64) of its plain bytes at the end.
final class FrameCompressor {
    /// The default of zstd.
    private static let level: Int32 = 3

    private let context: OpaquePointer
    private var space: [UInt8]

    /// - Parameter most: the longest plain part, in bytes.
    /// - Returns: nil when there is no memory.
    init?(most: Int) {
        guard let context = ZSTD_createCCtx() else { return nil }
        self.context = context
        space = [UInt8](repeating: 0, count: ZSTD_compressBound(most))
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Self.level)
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    }

    deinit { ZSTD_freeCCtx(context) }

    /// One frame of all the bytes; nil when there is no memory.
    func frame(_ plain: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        let count = space.withUnsafeMutableBytes { space in
            plain.withUnsafeBytes {
                ZSTD_compress2(context, space.baseAddress, space.count, $0.baseAddress, $0.count)
            }
        }
        return ZSTD_isError(count) == 0 ? space[..<count] : nil
    }
}

/// Reads zstd frames, into no more memory than was asked for.
final class FrameDecompressor {
    private let context: OpaquePointer

    /// nil when there is no memory.
    init?() {
        guard let context = ZSTD_createDCtx() else { return nil }
        self.context = context
    }

    deinit { ZSTD_freeDCtx(context) }

    /// Fills `plain` from the one frame that the bytes are.
    ///
    /// - Returns: false for a frame of another length, whatever it claims, a bad one, or several.
    func fill(_ plain: inout [UInt8], from frame: ArraySlice<UInt8>) -> Bool {
        frame.withUnsafeBytes { frame in
            guard ZSTD_getFrameContentSize(frame.baseAddress, frame.count) == UInt64(plain.count),
                ZSTD_findFrameCompressedSize(frame.baseAddress, frame.count) == frame.count
            else { return false }
            return plain.withUnsafeMutableBytes {
                ZSTD_decompressDCtx(
                    context, $0.baseAddress, $0.count, frame.baseAddress, frame.count)
            } == plain.count
        }
    }

    /// The first frame of some bytes: its length and that of its plain bytes; nil where there is none
    /// that is whole.
    static func measure(_ bytes: ArraySlice<UInt8>) -> (packed: Int, plain: UInt64)? {
        bytes.withUnsafeBytes { bytes in
            let packed = ZSTD_findFrameCompressedSize(bytes.baseAddress, bytes.count)
            let plain = ZSTD_getFrameContentSize(bytes.baseAddress, bytes.count)
            // The two largest numbers are errors.
            guard ZSTD_isError(packed) == 0, plain < UInt64.max - 1 else { return nil }
            return (packed, plain)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import TaskJournal

/// Which plans this journal segment carries already: equal plans are written once a segment.
///
/// Bounded, and without a heap block of its own for each digest: a burst of different plans leaves
/// nothing behind. What it has forgotten is carried once more, which costs only its bytes.
struct CarriedPlans {
    private static let most = 4096

    private struct Digest: Hashable {
        var words: (UInt64, UInt64, UInt64, UInt64)

        /// From 64 hexadecimal digits.
        init?(_ text: String) {
            var values = [UInt64](repeating: 0, count: 4)
            guard text.utf8.count == 64 else { return nil }
            for (index, byte) in text.utf8.enumerated() {
                guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
                values[index / 16] = values[index / 16] << 4 | UInt64(digit)
            }
            words = (values[0], values[1], values[2], values[3])
        }

        static func == (left: Digest, right: Digest) -> Bool { left.words == right.words }
        func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
    }

    private var digests: Set<Digest> = []
    private var segment: SegmentName?

    /// Whether a plan must go into the segment: the first time that it is asked for.
    mutating func isNew(_ digest: String, in segment: SegmentName?) -> Bool {
        if segment != self.segment || digests.count >= Self.most {
            digests = []
            self.segment = segment
        }
        return Digest(digest).map { digests.insert($0).inserted } ?? true
    }
}

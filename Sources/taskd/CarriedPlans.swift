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
            guard text.utf8.count == 64 else { return nil }
            var parts: [UInt64] = []
            for start in stride(from: 0, to: 64, by: 16) {
                guard let word = UInt64(text.dropFirst(start).prefix(16), radix: 16) else {
                    return nil
                }
                parts.append(word)
            }
            words = (parts[0], parts[1], parts[2], parts[3])
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

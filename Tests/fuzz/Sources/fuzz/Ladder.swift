// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Large inputs that double: what costs more than twice as much is not linear. It ends: what takes too
/// long is not doubled any more.
enum Ladder {
    /// One way to make an input large.
    struct Rung {
        var format: Format
        var name: String
        /// The smallest; it is doubled twice.
        var size: Int
        var make: (Int) -> [UInt8]
    }

    /// Seconds of CPU after which an input is neither tried again nor doubled.
    private static let once = 0.3, tooLong = 5.0

    /// Prints each rung's times as they come, and how many there were; true when all are linear.
    static func climb(_ formats: [Format]) -> Bool {
        let chosen = rungs.filter { formats.contains($0.format) }
        var bad = 0
        for rung in chosen {
            var times: [Double] = []
            for step in [1, 2, 4] where times.last ?? 0 < tooLong {
                let input = rung.make(rung.size * step)
                times.append(best { rung.format.test(input) })
            }
            let word = verdict(times)
            if word != nil { bad += 1 }
            let shown = times.map { "\(Int($0 * 1e6)) us" }.joined(separator: ", ")
            say("\(word.map { "\($0): " } ?? "")\(rung.format.rawValue) \(rung.name): \(shown)")
        }
        say("\(chosen.count) inputs doubled twice, \(bad) not linear")
        return bad == 0
    }

    /// What is wrong with the times of an input, of twice and four times as much.
    private static func verdict(_ times: [Double]) -> String? {
        guard times.count == 3 else { return "too slow" }
        // Of what is over in no time the clock says little.
        let ratio = times[2] < 0.005 ? 0 : (times[2] / max(times[0], 0.000_5)).squareRoot()
        return ratio > 2.5 ? "not linear" : nil
    }

    private static func best(_ body: () -> Void) -> Double {
        var least = seconds(body)
        for _ in 0..<2 where least < once { least = min(least, seconds(body)) }
        return least
    }

    private static func say(_ line: String) {
        print(line)
        fflush(nil)
    }

    private static func seconds(_ body: () -> Void) -> Double {
        var before = timespec()
        var after = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before)
        body()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after)
        let whole = Double(after.tv_sec - before.tv_sec)
        return whole + Double(after.tv_nsec - before.tv_nsec) / 1e9
    }
}

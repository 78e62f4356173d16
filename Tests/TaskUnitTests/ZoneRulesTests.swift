// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import TaskUnit

/// Rules of zones, and garbage instead of them; the files of tzdata are tried by time.t.
@Suite struct Zones {
    @Test(arguments: [
        ("CET-1CEST,M3.5.0,M10.5.0/3", Int64(3600), Int64(7200)),
        // Summer is the standard time of Ireland; the rule has it the other way round.
        ("IST-1GMT0,M10.5.0,M3.5.0/1", 0, 3600),
        ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 39_600, 37_800),
        ("EST5", -18_000, -18_000),
        ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", -7200, -3600),
        ("STD3DST,J60,J300", -10_800, -7200),
        ("STD3DST,59,299", -10_800, -7200),
    ])
    func `a rule says what the clocks show in January and July`(
        _ text: String, _ january: Int64, _ july: Int64
    ) throws {
        let rule = try #require(ZoneRule(text))
        #expect(rule.offset(at: 1_768_435_200) == january)  // 2026-01-15
        #expect(rule.offset(at: 1_784_073_600) == july)  // 2026-07-15
    }

    @Test(arguments: [
        "", "X-1", "CET", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0", "CET-168", "CET-1:60", "CET-1CEST,J0,J300", "CET-1CEST,0,366",
        "<CET-1", "CET-1CEST,M3.5.0,M10.5.0x", "CET-25", "CET-1CEST25,M3.5.0,M10.5.0",
        "CET-9999999999999999999",
    ])
    func `what is no rule is refused`(_ text: String) { #expect(ZoneRule(text) == nil) }

    /// The last Sunday of January comes before the last Wednesday in some years: such a rule changes the
    /// clocks at New Year, too. So does one whose edge lies in another year.
    @Test(arguments: [
        "CET1CES,M1.5.0,M1.5.3", "AAA-18BBB15,J60/1:7,0/-167", "AAA1BBB,0/-1,365/30",
        "AAA1BBB,J365/167,J1",
    ]) func `every change of the offset is one that is named`(_ text: String) throws {
        let rule = try #require(ZoneRule(text))
        var at: Int64 = 0
        while at < 1 << 31, let next = rule.nextChange(after: at) {
            #expect(rule.offset(at: next - 1) == rule.offset(at: at), "before \(next)")
            #expect(
                rule.offset(at: (at + next) / 2) == rule.offset(at: at), "between \(at), \(next)")
            at = next
        }
    }

    /// One change, at 1000, to two hours east; then its rule.
    private static let file: [UInt8] = {
        func big(_ value: Int64, _ width: Int) -> [UInt8] {
            (0..<width).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * Int64($0))) }
        }
        func header(_ times: Int64, _ types: Int64) -> [UInt8] {
            Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15)
                + [0, 0, 0, times, types, 4].flatMap { big($0, 4) }
        }
        let types = big(3600, 4) + [0, 0] + big(7200, 4) + [1, 0]
        let letters = Array("ABC\0".utf8)
        return header(0, 1) + big(0, 4) + [0, 0] + letters + header(1, 2) + big(1000, 8) + [1]
            + types
            + letters + Array("\nEET-2\n".utf8)
    }()

    @Test func `a file of version 2 is read behind its old part`() throws {
        let zone = try #require(ZoneRules(parsing: Self.file))
        #expect(zone.offset(at: 999) == 3600)
        #expect(zone.offset(at: 1000) == 7200)
        #expect(zone.nextChange(after: 0) == 1000)
        #expect(zone.nextChange(after: 1000) == nil)
        // Set forward at 1000: 4600 to 8200 of the clock are not there.
        #expect(zone.instant(showing: 4599) == 999)
        #expect(zone.instant(showing: 5000) == 1000)
        #expect(zone.instant(showing: 8200) == 1000)
    }

    @Test func `a file that ends early is refused`() {
        for length in 0..<Self.file.count {
            #expect(ZoneRules(parsing: Array(Self.file[..<length])) == nil)
        }
    }

    @Test func `no bytes bring it down`() {
        var seed: UInt64 = 1
        for _ in 0..<20_000 {
            var bytes = Self.file
            for _ in 0..<3 {
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes[Int(seed >> 33) % bytes.count] = UInt8(truncatingIfNeeded: seed >> 20)
            }
            guard let zone = ZoneRules(parsing: bytes) else { continue }
            _ = zone.instant(showing: 5000)
            _ = try? CronExpression("0 0 29 2 *").next(after: 0, in: zone)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import TaskTool

/// Goal: times, spans and sizes read as task(1) says, and back.
@Suite struct TextTests {
    @Test(arguments: [
        (Int64(0), "1970-01-01T00:00:00.000000Z"),
        (1_764_044_938_123_456, "2025-11-25T04:28:58.123456Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
        (4_107_542_399_999_999, "2100-02-28T23:59:59.999999Z"),
        (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
    ])
    func instant(_ time: Int64, _ text: String) {
        #expect(Timestamp.text(time) == text)
        #expect(Timestamp.parse(text, now: 0) == time)
    }

    @Test(arguments: [
        ("2025-11-25", Int64(1_764_028_800_000_000)),
        ("2025-11-25T04:28", 1_764_044_880_000_000),
        ("2025-11-25 05:28:58+01:00", 1_764_044_938_000_000),
        ("2025-11-25T04:28:58.5z", 1_764_044_938_500_000),
        ("now", 7_200_000_000), ("-1h", 3_600_000_000), ("90min ago", 1_800_000_000),
    ])
    func spellings(_ text: String, _ time: Int64) {
        #expect(Timestamp.parse(text, now: 7_200_000_000) == time)
    }

    @Test(arguments: [
        "", "yesterdayish", "2025-02-29", "2025-13-01", "2025-11-25T24:00", "2025-11-25T04:28:58+1",
        "2025-11-25T", "2025-11-25T04:28:58.", "- ago", "25-11-2025",
    ])
    func refused(_ text: String) {
        #expect(Timestamp.parse(text, now: 0) == nil)
    }

    @Test(arguments: [
        (Int64(0), "0s"), (850, "850us"), (12_345, "12ms"), (1_500_000, "1.5s"),
        (2_000_000, "2s"), (59_900_000, "59s"), (184_000_000, "3min 04s"),
        (3_720_000_000, "1h 02min"), (273_600_000_000, "3d 04h"), (-1_500_000, "-1.5s"),
    ])
    func span(_ value: Int64, _ text: String) {
        #expect(HumanText.span(value) == text)
    }

    @Test(arguments: [
        (Int64(0), "0"), (1023, "1023"), (1024, "1K"), (1536, "1.5K"), (12 << 20, "12M"),
        (8 << 30, "8G"), (2047, "1.9K"), (.max, "7.9E"),
    ])
    func size(_ value: Int64, _ text: String) {
        #expect(HumanText.size(value) == text)
    }

    @Test(arguments: [
        ("90", Int64(90_000_000)), ("2s", 2_000_000), ("1h 30min", 5_400_000_000),
        ("1h30min", 5_400_000_000), ("500ms", 500_000),
    ])
    func spanRead(_ text: String, _ value: Int64) {
        #expect(HumanText.parseSpan(text) == value)
    }

    @Test(arguments: ["", "s", "1x", "-1s", "99999999999999999d", "1h -3s"])
    func spanRefused(_ text: String) {
        #expect(HumanText.parseSpan(text) == nil)
    }

    @Test func controlCharactersAreShown() {
        #expect(HumanText.printable("a\u{1b}[2Jb\nc\u{202e}") == "a\\x1b[2Jb\\x0ac\\x202e")
        #expect(HumanText.printable("Grüße") == "Grüße")
    }
}

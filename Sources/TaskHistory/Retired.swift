// SPDX-License-Identifier: Apache-2.0
public import TaskJournal
public import TaskModel

/// What taskd has removed on purpose, and has said so.
extension History {
    /// Which of these log segments it removed, and which are missing without a word.
    public func retired(
        _ segments: [SegmentName]
    ) throws(HistoryError) -> (retired: [SegmentName], lost: [SegmentName]) {
        var found: (retired: [SegmentName], lost: [SegmentName]) = ([], [])
        for segment in segments {
            if try hasNote("-", "what=\(RetiredNote.log) segment=\(segment) ") {
                found.retired.append(segment)
            } else {
                found.lost.append(segment)
            }
        }
        return found
    }

    /// Whether the plan of a run that failed was removed from failed/.
    public func isPlanRetired(_ run: TaskID) throws(HistoryError) -> Bool {
        try hasNote(run.description, "what=\(RetiredPlan.what) ")
    }

    private func hasNote(_ id: String, _ beginning: String) throws(HistoryError) -> Bool {
        let rows = try database.prepare(
            """
            select 1 from event where job_id = ?1 and verb = 'note'
                and substr(detail, 1, length(?2)) = ?2 limit 1
            """)
        rows.bind(1, id)
        rows.bind(2, beginning)
        return try rows.step()
    }
}

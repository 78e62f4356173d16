// SPDX-License-Identifier: Apache-2.0

/// `note RUN what=plan.retired g=G`: the plan of a run that failed was removed from failed/, by
/// `FailedMax=`.
public enum RetiredPlan {
    public static let what = "plan.retired"
}

// SPDX-License-Identifier: Apache-2.0

/// The release that all programs of one build share.
public enum Version {
    public static let text = "0.1.0"
}

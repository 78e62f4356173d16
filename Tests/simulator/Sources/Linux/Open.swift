// SPDX-License-Identifier: Apache-2.0

/// An open file description.
public final class Open {
    enum What {
        case file(DiskNode)
        case bytes([UInt8])
        case queue(Inotify.Queue)
        case socket(Channel)
        case process(ModelProcess)
        case signals
        case timer(WallTimer.State)
    }
    let what: What
    let isWriter: Bool
    let isAppending: Bool
    var offset = 0

    init(_ what: What, writer: Bool = false, appending: Bool = false) {
        (self.what, isWriter, isAppending) = (what, writer, appending)
    }

    public var inode: DiskNode? {
        if case .file(let inode) = what { return inode }
        return nil
    }
}

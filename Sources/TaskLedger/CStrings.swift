// SPDX-License-Identifier: Apache-2.0

/// C strings in one piece of memory, nil pointers among and behind them, for as long as this lives.
final class CStrings {
    private let bytes: UnsafeMutablePointer<CChar>
    private let list: UnsafeMutablePointer<UnsafePointer<CChar>?>

    var pointers: UnsafePointer<UnsafePointer<CChar>?> { UnsafePointer(list) }

    init(_ strings: [[UInt8]?]) {
        let total = strings.reduce(1) { $0 + ($1?.count ?? 0) + 1 }
        bytes = .allocate(capacity: total)
        list = .allocate(capacity: strings.count + 1)
        var at = bytes
        for (index, string) in strings.enumerated() {
            guard let string else {
                (list + index).initialize(to: nil)
                continue
            }
            (list + index).initialize(to: UnsafePointer(at))
            for byte in string {
                at.initialize(to: CChar(bitPattern: byte))
                at += 1
            }
            at.initialize(to: 0)
            at += 1
        }
        (list + strings.count).initialize(to: nil)
    }

    deinit {
        bytes.deallocate()
        list.deallocate()
    }
}

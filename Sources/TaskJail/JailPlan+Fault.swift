// SPDX-License-Identifier: Apache-2.0
import CLinux

// For tests, and in debug builds only: a release build has neither this nor the interpreter's half
// (CL_JAIL_FAULTS), so nothing that a unit or a job line says can reach it. taskrun never sets it.
#if DEBUG
    /// A step that is made to fail.
    package struct JailFault: Sendable {
        /// The step's place among all steps; nil: the clone.
        package var step: Int?
        package var errno: Int32

        package init(step: Int?, errno: Int32) {
            self.step = step
            self.errno = errno
        }

        func write(to area: UnsafeMutableRawPointer) {
            let request = area.assumingMemoryBound(to: cl_jail_request.self)
            request.pointee.fault = step.map { UInt32($0) + 1 } ?? .max
            request.pointee.fault_error = UInt32(errno)
        }
    }

    extension JailPlan {
        /// What each step's failure is called and the code it must have, in the order of the steps.
        package var faultTable: [(phrase: String, code: Int32)] {
            (0..<ops.count).compactMap { ops.at($0) }.map { ($0.phrase, $0.code.rawValue) }
        }
    }
#endif

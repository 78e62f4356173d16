// SPDX-License-Identifier: Apache-2.0
#if DEBUG
    import Glibc
    import Linux
    import TaskJail

    /// Every step of the plan fails once, with each errno, in one slot; between them jails run well.
    struct Faults {
        private static let errors = [EPERM, ENOSPC, ENOMEM, ENOSYS]

        let launcher: Launcher
        let plan: JailPlan
        let options: Options
        let loop: EventLoop

        init(_ launcher: Launcher, _ plan: JailPlan, _ options: Options, _ loop: EventLoop) {
            self.launcher = launcher
            self.plan = plan
            self.options = options
            self.loop = loop
        }

        /// Prints a line a fault; says `ready` before the first and `done` after the last and waits
        /// for its reader each time.
        func run() throws -> Int32 {
            if try attempt(plan) != 0 { return 1 }
            pause("ready")
            let table = plan.faultTable
            for (step, row) in table.enumerated() {
                try fail(step, row.phrase, row.code)
            }
            try fail(nil, "make the namespaces", 226)
            let status = try attempt(plan)
            pause("done")
            return status
        }

        private func fail(_ step: Int?, _ phrase: String, _ code: Int32) throws {
            for error in Self.errors {
                var plan = plan
                plan.fault = JailFault(step: step, errno: error)
                let number = step.map { String($0) } ?? "clone"
                write("fault step=\(number) want=\(code) errno=\(error) phrase=\(phrase)\n", to: 2)
                _ = try attempt(plan)
            }
        }

        private func attempt(_ plan: JailPlan) throws -> Int32 {
            var options = options
            options.repeats = 1
            let pool = Pool(launcher, plan, options, loop)
            try pool.fill()
            while pool.running > 0 {
                try loop.turn(until: pool.nextDeadline)
                try pool.enforce()
            }
            return pool.status
        }

        private func pause(_ word: String) {
            write(word + "\n", to: 2)
            kill(getpid(), SIGSTOP)
        }
    }
#endif

// SPDX-License-Identifier: Apache-2.0
import Linux
import SystemPackage
import TaskJournal
import TaskModel
import TaskSpool
import TaskUnit

/// Units that run by themselves are armed while their file lies in units/.
extension Daemon {
    /// Arms and disarms what changed: what inotify names, else all of units/.
    func lookAtUnits() {
        if firing.scans != incoming.scans {
            firing.scans = incoming.scans
            firing.isScanWanted = true
        }
        guard firing.isScanWanted || !firing.changed.isEmpty else { return }
        compiler.lookAgain()
        var names = firing.changed
        if firing.isScanWanted {
            names.formUnion(unitNames())
            names.formUnion(firing.files.keys)
        }
        firing.changed = []
        firing.isScanWanted = false
        lookAtZones()
        for name in names.sorted() { lookAtUnit(name) }
        firing.isStart = false
        setTimer()
    }

    private func unitNames() -> [String] {
        var names: [String] = []
        do {
            try spool.names(in: .units) { names.append(String(decoding: $0, as: UTF8.self)) }
        } catch {
            report.error("unable to read \(spool.path)/units: \(error), looking again in 300 s")
        }
        return names
    }

    private func lookAtUnit(_ given: String) {
        // A change of NAME.d is one of NAME.
        let name = given.hasSuffix(".d") ? String(given.dropLast(2)) : given
        guard case .unit = DropName(Array(name.utf8)) else { return }
        guard let status = try? File.status(name, at: spool.number(.units)), !status.isDirectory
        else { return forgetUnit(name) }
        let dropIns = try? File.status("\(name).d", at: spool.number(.units))
        let seen = FiringState.Seen(file: status, dropIns: dropIns)
        // What is wrong may be mended elsewhere: a zone, a template, another file of its name.
        let known = firing.files[name]
        if let known, known.seen == seen, known.problem == nil { return }
        var file = FiringState.UnitFile(unit: UnitName.of(name), seen: seen)
        if let known, known.isArmed { firing.table.disarm(known.unit) }
        switch compiler.installed(name) {
        case .absent: return forgetUnit(name)
        case .dependency: break
        case .bad(let why): file.problem = why
        case .unit(let unit):
            let problem = arm(name, unit, &file)
            file.problem = problem
        }
        if let problem = file.problem, problem != known?.problem { sayNotArmed(name, problem) }
        firing.files[name] = file
    }

    private func forgetUnit(_ name: String) {
        guard let known = firing.files.removeValue(forKey: name), known.isArmed else { return }
        firing.table.disarm(known.unit)
    }

    /// - Returns: why it cannot be; nil where it is armed.
    private func arm(
        _ name: String, _ unit: UnitDefinition, _ file: inout FiringState.UnitFile
    ) -> String? {
        let own = file.unit
        if let other = firing.files.first(where: {
            $0.value.isArmed && $0.value.unit == own && $0.key != name
        }) {
            return "units/\(other.key) is the unit \(own) already: rename one"
        }
        file.zone = unit.settings(.timeZone).last?.value
        guard let zone = ZoneSearch.rules(of: file.zone) else {
            return "/etc/localtime is no time zone: set TimeZone="
        }
        let terms = FiringTerms(unit, zone: zone)
        if let status = ZoneSearch.status(of: file.zone) { firing.zones[file.zone] = status }
        let boot = owner.record.boot
        let isBootDue = terms.isAtBoot && firing.isStart && firing.pasts[own]?.boot != boot
        if terms.isAtBoot, !firing.isStart, firing.pasts[own]?.boot != boot {
            // It was not there when the machine started: not before the next boot.
            record(.arm, "-", [.init("unit", own), .init("boot", boot)])
            firing.pasts[own, default: .init()].boot = boot
        }
        firing.table.arm(
            own, terms, since: file.seen.changed, slots: firing.pasts[own]?.slots ?? .init(),
            isBootDue: isBootDue, real: Clock.real(), boot: Clock.boot())
        file.isArmed = true
        return nil
    }

    /// Once for each state of the file.
    private func sayNotArmed(_ name: String, _ why: String) {
        report.error("units/\(name) does not run by itself: \(why)")
        record(
            .note, "-",
            [
                .init("what", "not armed: \(why.prefix(1000))"), .init("name", name),
            ])
    }

    /// tzdata may have changed: what is due when is reckoned by the new rules.
    func lookAtZones() {
        for (name, old) in firing.zones where ZoneSearch.status(of: name) != old {
            let rules = ZoneSearch.rules(of: name)
            firing.zones[name] = ZoneSearch.status(of: name)
            for (file, known) in firing.files where known.isArmed && known.zone == name {
                if let rules {
                    firing.table.change(zone: rules, of: known.unit, real: Clock.real())
                    continue
                }
                firing.table.disarm(known.unit)
                let problem = "its time zone \(name ?? "/etc/localtime") is gone"
                firing.files[file]?.isArmed = false
                firing.files[file]?.problem = problem  // it is looked at again at each scan
                sayNotArmed(file, problem)
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
import CLinux

extension JailBuilder {
    // MARK: - The launcher's openings, as the task's user

    mutating func addLauncher() {
        let who = request.identity
        for (index, tree) in trees.enumerated() {
            describe(tree)
            takeRights()
            open(tree, index)
        }
        addStream(request.standardInput, 0, .standardInput)
        addStream(request.standardOutput, 1, .standardOutput)
        if who.outside != nil { addSecrets(as: who.user) }
        if !ops.open.isEmpty { addRights(CL_OP_AS_SELF) }
        if who.outside == nil { addOwnersSecrets() }
        for (index, tree) in trees.enumerated() {
            add(\.open, CL_OP_TREE, .namespace) {
                $0.a = UInt64(index)
                $0.from = tree.source
                if !tree.isWritable { $0.flags |= Int(CL_STEP_READONLY) }
            }
        }
    }

    /// Before the first opening, so that it belongs to that one's line.
    private mutating func takeRights() {
        if ops.open.isEmpty { addRights(CL_OP_AS_USER) }
    }

    private mutating func describe(_ tree: Tree) {
        let who = request.identity
        let access = tree.isWritable ? "read-write" : "read-only"
        let owner = tree.isWorkingDirectory ? ", owner \(who.user)" : ""
        line(
            .launcher, "open",
            "\(tree.name)  \(tree.source)  as \(who.user)\(owner), \(access)")
    }

    private mutating func open(_ tree: Tree, _ index: Int) {
        let who = request.identity
        add(\.open, CL_OP_OPEN, tree.isWorkingDirectory ? .workingDirectory : .namespace) {
            $0.a = UInt64(index)
            $0.from = tree.source
            if tree.isOptional { $0.flags |= Int(CL_STEP_OPTIONAL) }
            if tree.name != "bind" { $0.flags |= Int(CL_STEP_DIRECTORY) }
            if tree.isWorkingDirectory { $0.flags |= Int(CL_STEP_OWNED) }
            $0.b = UInt64(who.outside?.uid ?? who.uid)
        }
    }

    private mutating func addRights(_ kind: cl_jail_op) {
        let who = request.identity
        addRights(kind, who.uid, who.gid, who.supplementaryGroups)
    }

    private mutating func addRights(
        _ kind: cl_jail_op, _ uid: UInt32, _ gid: UInt32, _ groups: [UInt32]
    ) {
        let keeps = request.identity.outside != nil
        add(\.open, kind, .user) {
            $0.a = UInt64(uid)
            $0.b = UInt64(gid)
            $0.size = UInt32(groups.count)
            $0.payload = .groups(groups)
            if keeps { $0.flags |= Int(CL_STEP_KEEP_IDS) }
        }
    }

    private mutating func addStream(
        _ path: String?, _ number: Int, _ code: JailCode
    ) {
        guard let path else { return }
        let name = number == 0 ? "stdin" : "stdout"
        line(
            .launcher, "open",
            "\(name)  \(path)  as \(request.identity.user), a regular file, "
                + (number == 0 ? "to read" : "to append to"))
        takeRights()
        add(\.open, CL_OP_STREAM, code) {
            $0.a = UInt64(number)
            $0.from = path
            $0.flags |= Int(CL_STEP_FILE)
        }
    }

    // MARK: - Credentials, as the unit's owner

    private mutating func addOwnersSecrets() {
        if request.credentials.isEmpty { return }
        let who = request.identity
        let name = request.owner?.name ?? who.user
        for (index, credential) in request.credentials.enumerated() {
            describe(credential, name)
            if index == 0 {
                addRights(
                    CL_OP_AS_USER, request.owner?.uid ?? who.uid, request.owner?.gid ?? who.gid,
                    request.owner?.groups ?? who.supplementaryGroups)
            }
            open(credential, index, name)
        }
        addRights(CL_OP_AS_SELF)
    }

    private mutating func addSecrets(as name: String) {
        for (index, credential) in request.credentials.enumerated() {
            describe(credential, name)
            takeRights()
            open(credential, index, name)
        }
    }

    private mutating func describe(_ credential: JailCredential, _ name: String) {
        line(
            .launcher, "open",
            "credential \(credential.name)  \(credential.path)  as \(name), a regular file, no link"
        )
    }

    private mutating func open(_ credential: JailCredential, _ index: Int, _ reader: String) {
        add(\.open, CL_OP_SECRET, .credentials) {
            $0.a = UInt64(index)
            $0.from = credential.path
            $0.flags |= Int(CL_STEP_FILE) | Int(CL_STEP_NO_LINK)
            $0.reader = reader
        }
    }

    /// In init: a file system of its own for the files, read-only once they are there.
    mutating func addCredentials() {
        if request.credentials.isEmpty { return }
        let who = request.identity
        let names = request.credentials.map(\.name).joined(separator: " ")
        line(
            .initial, "credentials",
            "\(Self.credentials) 0500 ro nosuid nodev noexec: \(names), 0400, 1 MiB together")
        add(\.initial, CL_OP_TMPFS, .credentials) {
            $0.to = Self.credentials
            // A page more for each file, which may end in the middle of one.
            let size = Int(CL_JAIL_SECRET_BYTES) + (Int(CL_JAIL_SECRETS) + 1) * 65536
            $0.payload = .text(
                "mode=0500,uid=\(who.uid),gid=\(who.gid),size=\(size),nr_inodes=64")
        }
        for (index, credential) in request.credentials.enumerated() {
            add(\.initial, CL_OP_CREDENTIAL, .credentials) {
                $0.a = UInt64(index)
                $0.b = UInt64(who.uid)
                $0.size = who.gid
                $0.from = credential.path
                $0.to = Self.credentials + "/" + credential.name
            }
        }
        add(\.initial, CL_OP_SEAL, .credentials) { $0.to = Self.credentials }
    }
}

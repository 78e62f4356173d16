// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

/// What tasklink and taskd tell each other through files.
struct ClaimTests {
    @Test func dropRoundTrips() throws {
        let drop = ClaimDrop(
            token: ClaimToken(epoch: 1_764_273_123_123_123, gen: 3), generation: 2,
            name: "a b=c", plan: Array("taskplan 1\n".utf8))
        #expect(ClaimDrop(drop.bytes) == drop)
        let head = String(decoding: drop.bytes.prefix { $0 != 0x0a }, as: UTF8.self)
        #expect(head == "ledger 1 epoch=1764273123123123 gen=3 generation=2 name=a%20b%3Dc")
    }

    @Test(arguments: [
        "", "ledger 1\n", "taskplan 1\n", "ledger 2 epoch=1 gen=1 generation=0 name=x\n",
        "ledger 1 epoch=0 gen=1 generation=0 name=x\n",
        "ledger 1 epoch=1 gen=1 generation=0 name=x",
        "ledger 1 epoch=1 gen=-1 generation=0 name=x\n",
        "ledger 1 epoch=1 gen generation=0 name=x\n",
    ])
    func dropRefuses(text: String) { #expect(ClaimDrop(Array(text.utf8)) == nil) }

    @Test func names() {
        #expect(ClaimDrop.isName("3.claim"))
        for name in ["claim", ".claim", "x.claim", "3.claim.task", "03.claim"] {
            #expect(!ClaimDrop.isName(name), "\(name)")
        }
    }

    @Test func leaseRoundTrips() {
        let lease = Lease(boot: "6f0d", epoch: 7, deadline: 12, nodes: 3)
        #expect(Lease(lease.bytes) == lease)
        #expect(Lease(Array(lease.bytes.dropLast(2))) == nil)
        #expect(Lease(Array("tasklease 2\n".utf8) + lease.bytes.dropFirst(12)) == nil)
    }

    @Test func leaseHoldsInItsBootAndBeforeItsDeadline() {
        let lease = Lease(boot: "6f0d", epoch: 7, deadline: 12, nodes: 3)
        #expect(lease.holds(boot: "6f0d", at: 11))
        #expect(!lease.holds(boot: "6f0d", at: 12))
        #expect(!lease.holds(boot: "6f0e", at: 11))
    }
}

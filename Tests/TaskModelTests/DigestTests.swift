// SPDX-License-Identifier: Apache-2.0
import TaskModel
import Testing

@Suite struct DigestTests {
    // NIST CAVP and FIPS 180-4 examples.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
        ),
    ])
    func matchesNIST(text: String, digest: String) {
        #expect(SHA256.hex(text.utf8) == digest)
    }

    @Test func millionOfA() {
        let digest = SHA256.hex(repeatElement(UInt8(ascii: "a"), count: 1_000_000))
        #expect(digest == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test func piecesEqualTheWhole() {
        let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 * 7) }
        for cut in 0...bytes.count {
            var hash = SHA256()
            hash.update(Array(bytes[..<cut]))
            hash.update(Array(bytes[cut...]))
            #expect(hash.finish() == SHA256.digest(bytes))
        }
    }
}

@Suite struct DigestLineTests {
    @Test func itIsOfAllBefore() throws {
        var bytes = Array("a 1\nb 2\n".utf8)
        DigestLine.append(to: &bytes)
        #expect(bytes.count == 8 + DigestLine.length)
        #expect(DigestLine.said(in: bytes[...]) == SHA256.hex("a 1\nb 2\n".utf8))
        #expect(try #require(DigestLine.body(of: bytes)).elementsEqual("a 1\nb 2\n".utf8))
    }

    @Test func noBitOfItIsFree() {
        var bytes = Array("a 1\n".utf8)
        DigestLine.append(to: &bytes)
        for at in bytes.indices {
            for bit in 0..<8 {
                var other = bytes
                other[at] ^= 1 << UInt8(bit)
                #expect(DigestLine.body(of: other) == nil)
            }
            #expect(DigestLine.body(of: Array(bytes[..<at])) == nil)
        }
    }

    @Test func whatIsShorterThanTheLineHasNone() {
        #expect(DigestLine.body(of: []) == nil)
        #expect(DigestLine.said(in: Array("digest 0\n".utf8)[...]) == nil)
    }
}

// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

/// JAIL attacks 85-89: the network.
@Suite struct Network {
    private func connect(_ who: Who, _ options: [String], _ port: UInt16) -> ProbeRun {
        Probe.python(
            who, options,
            """
            def to(a, p):
                k = socket.socket(); k.settimeout(3)
                try: k.connect((a, p)); return 'OK'
                except OSError as e: return name(e.errno)
            print(to('127.0.0.1', \(port)), to('192.0.2.1', 9) if \(options.isEmpty ? 0 : 1) else '')
            """)
    }

    @Test(arguments: Who.available) func `a private network is a loopback of its own`(_ who: Who) {
        let server = Socket.loopback()
        defer { close(server.descriptor) }
        #expect(connect(who, ["--net"], server.port).output == "ECONNREFUSED ENETUNREACH\n")
        // Documented: without it the host's network is the task's.
        #expect(connect(who, [], server.port).output.hasPrefix("OK"))
    }

    @Test(arguments: Who.available) func `raw and strange sockets are refused`(_ who: Who) {
        let run = Probe.python(
            who, [],
            """
            def t(*a):
                try: socket.socket(*a); return 'OK'
                except OSError as e: return name(e.errno)
            print(t(2, 3, 1), t(17, 3, 0), t(40, 1, 0), t(38, 5, 0), t(16, 3, 9), t(16, 3, 0))
            k = socket.socket()
            try: k.bind(('127.0.0.1', 80)); print('bound')
            except OSError as e: print(name(e.errno))
            """)
        #expect(
            run.lines == [
                "EPERM EAFNOSUPPORT EAFNOSUPPORT EAFNOSUPPORT EAFNOSUPPORT OK", "EACCES",
            ], "\(run.errors)")
    }
}

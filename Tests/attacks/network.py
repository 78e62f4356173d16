# SPDX-License-Identifier: Apache-2.0
"""The network."""

import os
import socket

from attack import absent, all_of, attack, probe, tried

absent.family = __name__


def connected(family, address):
    with socket.socket(family) as client:
        client.settimeout(3)
        return tried(client.connect, address)


PRIVATE = """
import errno, os, socket
def to(family, address):
    s = socket.socket(family); s.settimeout(3)
    try: s.connect(address); return 'OK'
    except OSError as e: return errno.errorcode.get(e.errno, str(e))
own = socket.socket(); own.bind(('127.0.0.1', 0)); own.listen(1)
print(','.join(n for _, n in socket.if_nameindex()), to(socket.AF_INET, ('127.0.0.1', %d)),
      to(socket.AF_INET, ('192.0.2.1', 9)), to(socket.AF_UNIX, '\\0%s'),
      to(socket.AF_INET, own.getsockname()))
"""


@attack(85, "PrivateNetwork=yes: the host's 127.0.0.1, abstract sockets, the world",
        wins=".*OK \\w+ OK", jail="lo ECONNREFUSED ENETUNREACH (EPERM|ECONNREFUSED) OK$")
def private(t):
    script = PRIVATE % (t.machine.files["port"], t.machine.files["abstract"])
    end = t.free_python(script) if t.is_free else t.unit(
        python=script, jail=("PrivateNetwork=yes",)).run()
    return end.out.strip() or end.err


@probe(86, "the host's 127.0.0.1, without it (documented)", wins="OK", jail="OK$")
def host(c):
    return connected(socket.AF_INET, ("127.0.0.1", c["port"]))


def made(*how):
    def once():
        socket.socket(*how).close()

    return tried(once)


@probe(87, "raw and packet sockets", wins=".*OK", jail="EPERM EPROTONOSUPPORT EAFNOSUPPORT$")
def raw(c):
    return " ".join([made(2, 3, 1), made(2, 3, 255), made(17, 3, 0)])


@probe(88, "VSOCK, ALG, BLUETOOTH, CAN, TIPC, XDP; netlink but for routes", wins=".*OK",
       jail="EAFNOSUPPORT$")
def families(c):
    return all_of([made(40, 1), made(38, 5), made(31, 3, 0), made(29, 3, 1), made(30, 5), made(44, 3),
                   made(16, 3, 9), made(16, 3, 15), made(16, 3, 12), made(16, 3, 20)])


@probe(124, "socketpair of strange families; SCTP, DCCP, SMC, L2TP", wins=".*(ENOTSUP|ESOCKTNOSUPPORT|OK)",
       jail="EAFNOSUPPORT EPROTONOSUPPORT$", needs=("x86_64",))
def protocols(c):
    from attack import call, pack

    pair = all_of(call(53, f, k, 0, pack("ii", 0, 0)) for f, k in ((40, 1), (30, 5), (2, 1), (17, 3)))
    return pair + " " + all_of([made(2, 5, 132), made(10, 1, 132), made(2, 6, 33), made(2, 1, 256),
                                made(2, 2, 115)])


@probe(89, "bind to a port below 1024", wins="OK", jail="EACCES$", modes=("root", "nobody", "user"))
def low_port(c):
    with socket.socket() as listener:
        return tried(listener.bind, ("127.0.0.1", 1 + os.getpid() % 1000))


absent(90, "SCM_RIGHTS through a socket in W between two tasks",
       "possible for one user only, who may read both: see 119 and 123")


@probe(125, "changes by routing netlink: a new address of lo", wins="OK|EEXIST", jail="EPERM$",
       closed=True)
def netlink(c):
    import struct

    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as link:
        address = struct.pack("BBBBI", 2, 32, 0, 0, 1) + struct.pack("HH4s", 8, 2, bytes([127, 9, 9, 9]))
        link.send(struct.pack("IHHII", 16 + len(address), 20, 0x605, 1, 0) + address)
        code = -struct.unpack("i", link.recv(4096)[16:20])[0]
    from attack import name

    if code == 0 and c["free"]:
        os.system("ip addr del 127.9.9.9/32 dev lo 2>/dev/null")
    return name(code)

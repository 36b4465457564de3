#!/usr/bin/env python3
"""make_net.py - writes tests/corpus/net: seeds for dataplane/net/net_fuzz.c, one thought a file.

Run it after a change of the input format (see net_fuzz.c) or to add a seed; the output is committed.
"""

import pathlib
import struct

OUT = pathlib.Path(__file__).parent / "net"
US, PEER = bytes([2, 0, 0, 0, 0, 1]), bytes([2, 0, 0, 0, 0, 2])
ALL = b"\xff" * 6
WHOLE = (0xFFFF, 0xFFFF)  # cuts beyond the end: one segment and empty ones
OUR_IP, PEER_IP, GATEWAY = 0x0A000001, 0x0A000002, 0x0A0000FE
TCP, UDP, ICMP = 6, 17, 1


def frame(payload, cuts=WHOLE, mended=True):
    return bytes([1 if mended else 0]) + struct.pack(">HHH", *cuts, len(payload)) + payload


def time(us):
    return b"\x02" + struct.pack(">I", us >> 8)


def send(address, size):
    return b"\x03" + struct.pack(">IH", address, size)


def flush(takes=255):
    return bytes([4, takes])


def starve():
    return b"\x05"


def eth(kind, payload, dst=US, src=PEER):
    return dst + src + struct.pack(">H", kind) + payload


def ipv4(payload, protocol=TCP, src=PEER_IP, dst=OUR_IP, options=b"", total=None, first=None, fragment=0x4000, name=1, tos=0):
    first = 0x45 + len(options) // 4 if first is None else first
    total = 20 + len(options) + len(payload) if total is None else total
    head = struct.pack(">BBHHHBBHII", first, tos, total, name, fragment, 64, protocol, 0, src, dst)
    return eth(0x0800, head + options + payload)


def piece(start, end, more=True, of=bytes(range(256)), **options):
    """A fragment: bytes `start` to `end` of a packet's payload."""
    return frame(ipv4(of[start:end], fragment=start // 8 | (0x2000 if more else 0), **options) + b"pad")


def icmp(kind, code=0, body=b"\0\1\0\2ping"):
    return struct.pack(">BBH", kind, code, 0) + body


def arp(operation=1, sender=PEER_IP, target=OUR_IP, mac=PEER, dst=ALL, head=(1, 0x0800, 6, 4)):
    return eth(0x0806, struct.pack(">HHBBH", *head, operation) + mac + struct.pack(">I", sender) + bytes(6)
               + struct.pack(">I", target), dst=dst)


SECOND = 1000 * 1000
KNOWN = frame(arp(2, dst=US))
SEGMENT = bytes(range(40))
ECHO = b"\x08\0\x5c\x2f\0\1\0\2" + bytes(range(100))


def crowd(count):
    """Addresses that share one set of the neighbour table."""
    return [0x0A000080 + i * 256 for i in range(count)]


def asks_us(address):
    return frame(arp(sender=address, mac=bytes([2, 1]) + struct.pack(">I", address)))


SEEDS = {
    "empty": b"\x04\xff",
    "arp-request": frame(arp()) + flush(),
    "arp-reply": KNOWN + send(PEER_IP, 10) + flush(),
    "arp-cut": frame(arp(), (10, 20)) + frame(arp(), (14, 30)) + flush(),
    "arp-probe": frame(arp(sender=0)),
    "arp-other": frame(arp(target=PEER_IP)) + frame(arp(2, target=0x0A000009)),
    "arp-conflict": frame(arp(sender=OUR_IP)) + time(SECOND) + frame(arp(sender=OUR_IP)) + flush(),
    "arp-bad": b"".join(frame(arp(head=h)) for h in [(2, 0x0800, 6, 4), (1, 0x86DD, 6, 4), (1, 0x0800, 8, 4), (1, 0x0800, 6, 16)])
    + frame(arp(3)) + frame(arp(mac=ALL)) + frame(arp(mac=bytes(6))) + frame(arp(mac=US)) + frame(arp(sender=0xE0000001)) + frame(arp()[:40]),
    "arp-moves": KNOWN + frame(arp(1, mac=bytes([2, 0, 0, 0, 0, 9]), target=PEER_IP)),
    "arp-ages": KNOWN + time(SECOND) + send(PEER_IP, 5) + flush() + time(60 * SECOND) + time(61 * SECOND) + flush() + KNOWN + time(200 * SECOND),
    "arp-forgets": KNOWN + time(60 * SECOND + 256),
    "arp-unanswered": send(PEER_IP, 5) * 6 + b"".join(time(SECOND + 512) + flush() for _ in range(4)),
    "arp-answered": send(PEER_IP, 5) * 3 + send(0x08080808, 7) + KNOWN + frame(arp(2, sender=GATEWAY, dst=US)) + flush(),
    "arp-off-link": frame(arp(sender=0x0B000001)) + flush(),
    "set-full": b"".join(asks_us(a) + send(a, 1) for a in crowd(10)) + flush(),
    "set-evicts": b"".join(asks_us(a) for a in crowd(9)) + time(SECOND) + send(crowd(5)[4], 1) + b"".join(map(asks_us, crowd(20)[9:])),
    "set-asked": b"".join(send(a, 1) for a in crowd(6)) + asks_us(crowd(6)[5]) + send(crowd(6)[5], 1) + flush(),
    "tcp": frame(ipv4(SEGMENT)),
    "tcp-empty": frame(ipv4(b"")),
    "tcp-cut": b"".join(frame(ipv4(SEGMENT * 3), c) for c in [(14, 34), (5, 20), (34, 40), (60, 90), (0, 0), (1, 150)]),
    "tcp-padded": frame(ipv4(b"ab") + bytes(24)) + frame(ipv4(b"ab") + bytes(24), (36, 40)),
    "ip-length": frame(ipv4(SEGMENT, total=61)) + frame(ipv4(SEGMENT, total=19)) + frame(ipv4(b"", first=0x46)),
    "ip-header": frame(ipv4(b"", first=0x44)) + frame(ipv4(b"", first=0x65)) + frame(ipv4(b"")[:30]),
    "ip-sum": frame(ipv4(SEGMENT), mended=False),
    "ip-options": frame(ipv4(SEGMENT, options=bytes([1, 1, 7, 3, 4, 68, 4, 5, 0, 0, 0, 0]))) + frame(ipv4(SEGMENT, options=bytes(4)), (20, 36)),
    "ip-options-end": frame(ipv4(SEGMENT, options=bytes([1, 1, 1, 1])), (38, 38)),
    "ip-options-alone": frame(ipv4(b"", options=bytes([1, 1, 1, 1]))),
    "ip-options-bad": b"".join(frame(ipv4(SEGMENT, options=bytes(o))) for o in [[7, 0, 0, 0], [7, 5, 0, 0], [1, 1, 1, 7], [131, 4, 4, 0], [137, 4, 4, 0]]),
    "ip-fragment": frame(ipv4(SEGMENT, fragment=0x2000)) + frame(ipv4(SEGMENT, fragment=0x0001)),
    "pieces": piece(0, 48) + piece(48, 96) + piece(96, 101, False),
    "pieces-reversed": piece(96, 101, False) + piece(48, 96) + piece(0, 48) + piece(0, 48) + flush(),
    "pieces-cut": frame(ipv4(SEGMENT[:40] + SEGMENT[:8], fragment=0x2000), (16, 50)) + frame(ipv4(SEGMENT, fragment=6), (33, 36)),
    "pieces-twice": piece(0, 48) + piece(48, 96) + piece(0, 48) + piece(48, 96) + piece(96, 101, False),
    "pieces-overlap": piece(0, 56) + piece(48, 96) + piece(56, 101, False) + time(31 * SECOND) + piece(48, 101, False) + piece(0, 56),
    "pieces-ends": piece(48, 96, False) + piece(96, 144, False) + piece(48, 96, False, name=2) + piece(96, 144, name=2)
    + piece(96, 144, name=3) + piece(48, 96, False, name=3),
    "pieces-tiny": piece(0, 40) + piece(8, 80, False) + piece(16, 80, False) + piece(0, 16, False),
    "pieces-bad": piece(0, 49) + piece(48, 48) + piece(48, 48, False) + frame(ipv4(SEGMENT, fragment=0x1FFF)),
    "pieces-late": KNOWN + piece(0, 48) + piece(48, 96, name=2) + time(31 * SECOND) + flush(),
    "pieces-many": b"".join(piece(i * 48, i * 48 + 48, of=bytes(1000)) for i in range(17)),
    "pieces-of-one": b"".join(piece(0, 48, name=i) for i in range(20)) + piece(48, 60, False, name=19),
    "pieces-of-all": b"".join(piece(0, 48, src=0x0A000100 + i) for i in range(70)),
    "pieces-echo": KNOWN + piece(0, 48, of=ECHO, protocol=ICMP) + piece(48, 108, False, of=ECHO, protocol=ICMP) + flush(),
    "pieces-udp": KNOWN + piece(0, 48, protocol=UDP, tos=2) + piece(48, 101, False, protocol=UDP, tos=3) + flush(),
    "pieces-options": piece(0, 8, protocol=UDP, options=bytes([1] * 40)) + piece(48, 101, False, options=bytes([7, 0, 0, 0])),
    "pieces-starved": starve() + piece(0, 48) + starve() + piece(0, 48) + piece(48, 60, False),
    "ip-source": b"".join(frame(ipv4(SEGMENT, src=s)) for s in [0, 0x7F000001, 0xE0000001, OUR_IP, 0x0AFFFFFF, 0x0A000000, 0xFFFFFFFF, 0x08080808]),
    "ip-not-us": frame(ipv4(SEGMENT, dst=PEER_IP)) + frame(eth(0x0800, ipv4(SEGMENT)[14:], dst=ALL)),
    "ip-udp": frame(ipv4(SEGMENT, UDP)),
    "eth": frame(b"short") + frame(ipv4(b"")[:14]) + frame(eth(0x86DD, SEGMENT)) + frame(eth(0x0800, b"", dst=PEER)) + frame(eth(0x0800, b"", src=ALL)) + frame(eth(0x0800, b"", src=US)),
    "echo": KNOWN + frame(ipv4(icmp(8), ICMP)) + flush() + frame(ipv4(icmp(8, body=bytes(1401)), ICMP), (700, 900)) + flush(),
    "echo-again": KNOWN + (frame(ipv4(icmp(8), ICMP)) + time(512)) * 4 + flush(),
    "echo-unknown": frame(ipv4(icmp(8), ICMP)) + KNOWN + flush(),
    "echo-cut": KNOWN + b"".join(frame(ipv4(icmp(8) + SEGMENT, ICMP) + b"pad", c) for c in [(35, 37), (41, 43), (34, 34)]) + flush(),
    "echo-large": KNOWN + frame(ipv4(icmp(8, body=bytes(1500)), ICMP)),
    "icmp-bad": frame(ipv4(b"\x08\0\0\0", ICMP)) + frame(ipv4(icmp(8, 1), ICMP)) + frame(ipv4(icmp(3), ICMP)) + frame(ipv4(icmp(8), ICMP), mended=False),
    "icmp-errors": b"".join(frame(ipv4(icmp(k, body=bytes(32)), ICMP)) for k in [3, 4, 5, 11, 12]),
    "icmp-quotes": b"".join(frame(ipv4(icmp(k, c, struct.pack(">I", 1000) + ipv4(SEGMENT, src=OUR_IP, dst=PEER_IP, total=1500)[14:]), ICMP), w)
                            for k, c, w in [(3, 4, WHOLE), (3, 3, (40, 50)), (11, 0, (44, 63)), (12, 0, WHOLE)]),
    "icmp-quotes-bad": b"".join(frame(ipv4(icmp(3, 3, bytes(4) + q[14:]), ICMP)) for q in [
        ipv4(SEGMENT), ipv4(SEGMENT, src=OUR_IP, first=0x4F), ipv4(SEGMENT, src=OUR_IP, first=0x44), ipv4(SEGMENT, src=OUR_IP, fragment=5), ipv4(SEGMENT, UDP, src=OUR_IP), ipv4(b"12345678", src=OUR_IP)]),
    "refused": KNOWN + frame(ipv4(SEGMENT, UDP) + b"pad") + frame(ipv4(SEGMENT * 30, UDP), (300, 600)) + frame(ipv4(SEGMENT, 132)) + frame(ipv4(SEGMENT, options=bytes([1, 7, 9, 0]))) + frame(ipv4(icmp(8), ICMP, options=bytes([7, 0, 0, 0]))) + flush(),
    "refused-rate": KNOWN + frame(ipv4(SEGMENT, UDP)) * 60 + flush(),
    "icmp-others": frame(ipv4(icmp(0), ICMP)) + frame(ipv4(icmp(13), ICMP)),
    "send": KNOWN + send(PEER_IP, 1480) + send(PEER_IP, 1481) + send(0, 1) + send(OUR_IP, 1) + send(0xFFFFFFFF, 1) + send(0x08080808, 1) + flush(),
    "starved": starve() + frame(arp()) + frame(ipv4(SEGMENT), (3, 9)) + frame(ipv4(icmp(8), ICMP)) + frame(ipv4(icmp(8), ICMP), (36, 38)) + frame(arp(), (20, 30)) + starve() + KNOWN + flush(),
    "back-pressure": KNOWN + send(PEER_IP, 3) * 5 + flush(2) + flush(0) + send(PEER_IP, 4) + flush(),
}


def main():
    OUT.mkdir(exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    for name, seed in SEEDS.items():
        (OUT / name).write_bytes(seed)


if __name__ == "__main__":
    main()

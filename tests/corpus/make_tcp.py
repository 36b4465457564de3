#!/usr/bin/env python3
"""Writes the seed corpus of dataplane/tcp/tcp_fuzz.c into tests/corpus/tcp/.

Run once, from anywhere, when a scene is added; the files are committed. Each is
one byte that chooses sizes and timers, then the fuzzer's commands (see its
first comment and its do_ functions, whose selectors are named here).
"""
import pathlib
import struct

OUT = pathlib.Path(__file__).resolve().parents[2] / 'tests/corpus/tcp'

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
# choose_seq
NEXT, NEXT1, BEFORE, NEXT10, NEXT100, BACK10, BACK100, MSS1, MSS2, MSS3, K1, K2, K3 = range(13)
FAR, OUTSIDE, EDGE_1, EDGE, EDGE1, IRS, EDGE_10, GAP = 14, 15, 16, 17, 18, 19, 20, 21
# choose_ack
ALL, UNA, UNA1, HALF, BEYOND, OLD, ONE_MSS, ANCIENT, STEP = range(9)
# payload sizes
NONE, ONE, TEN, HUNDRED, S536, S1000, S1460, EIGHT = range(8)
BAD_SUM, SPLIT = 24, 32
TS, TS_OLD, TS_NEW = 1, 2, 3
SYN_MSS, SYN_MSS_SMALL, SYN_SACK, SYN_WS = 4, 8, 16, 32
MS1, MS40, MS200, S1, S10, S61, HOUR, DAYS = range(8)
READ, WRITE, LEND, CLOSE, ABORT, CONNECT, READ_ALL, NIC = range(8)
# first byte
SMALL_WINDOW, LARGE_WINDOW, SMALL_QUEUE, KEEPALIVE, USER_TIMEOUT, ONE_SEG = 1, 2, 4, 8, 16, 32


def seg(flags=ACK, seq=NEXT, ack=ALL, window=60000, options=0, size=NONE):
    return bytes([0, flags, seq, ack]) + struct.pack('>H', window) + bytes([options, size])


def time(which):
    return bytes([2, which])


def app(act, n=0):
    return bytes([4, act, n])


def raw(data):
    return bytes([1, len(data)]) + data


def raw_tcp(data, fix=False):
    return bytes([13 if fix else 5, len(data)]) + data


def icmp(kind, ack=UNA, mtu=1000, size=1500, code=0):
    """kind 0 is "too big"; see do_icmp."""
    return bytes([15, kind | code << 4]) + struct.pack('>HH', mtu, size) + bytes([ack])


def target(n):
    return bytes([6, n])


TURN = b'\3'
HOLD = b'\7'


def sack(count, start):
    return count << 2 | start << 4


def handshake(options=SYN_MSS, window=60000):
    ts = options & 3
    return seg(SYN, options=options, window=window) + seg(ACK, options=ts, window=window)


def active(options=SYN_MSS):
    return app(CONNECT) + seg(SYN | ACK, options=options)


def data(size=HUNDRED, seq=NEXT, **more):
    return seg(PSH | ACK, seq, size=size, **more)


EST = handshake()
EST_TS = handshake(SYN_MSS | TS)
EST_SACK = handshake(SYN_MSS | SYN_SACK)
EST_ALL = handshake(SYN_MSS | SYN_SACK | SYN_WS | TS)
BULK = app(WRITE, 255) * 4 + TURN
HEADER = bytes(12)  # ports and numbers, put right by the fuzzer


def header(off, flags, options=b''):
    return HEADER + bytes([off << 4, flags, 0xff, 0xff, 0, 0, 0, 0]) + options


SCENES = {
    'echo': (0, EST + data() + app(READ_ALL) + app(WRITE, 5) + seg()),
    'closed-by-us': (0, EST + app(CLOSE) + seg() + seg(FIN | ACK) + seg(FIN | ACK, BEFORE) + time(S61)),
    'closed-by-peer': (0, EST + seg(FIN | ACK) + app(CLOSE) + seg() + time(S1)),
    'closed-together': (0, EST + app(CLOSE) + seg(FIN | ACK, ack=UNA) + seg(FIN | ACK, BEFORE, UNA) + seg()),
    'closed-unread': (0, EST + app(CLOSE) + data(S1000) + seg(FIN | ACK) + app(READ, 10) + app(READ_ALL)),
    'closed-unread-for-ever': (0, EST + app(CLOSE) + data(S1000) + seg(FIN | ACK) + time(S61)),
    'half-closed': (0, EST + app(CLOSE) + seg() + data() + data() + app(READ_ALL) + time(S61)),
    'aborted': (0, EST + app(WRITE, 9) + app(ABORT) + seg() + TURN),
    'aborted-half-open': (0, app(CONNECT) + seg(SYN) + app(ABORT) + TURN),
    'reset': (0, EST + seg(RST, NEXT10) + seg(RST, BEFORE) + seg(RST)),
    'reset-before-accept': (0, seg(SYN) + HOLD + seg() + seg(RST) + HOLD),
    'reset-half-open': (0, seg(SYN) + seg(RST)),
    'syn-in-window': (0, seg(SYN) + seg(SYN, NEXT10)),
    'syn-again': (0, seg(SYN) + seg(SYN, IRS) + seg(SYN | ACK, IRS) + seg()),
    'syn-timeouts': (0, seg(SYN) + time(S61) + time(S61)),
    'syn-challenged': (0, EST + seg(SYN) + seg(SYN | ACK, IRS) + seg(SYN, OUTSIDE) * 20),
    'syn-flood': (0, b''.join(target(i) + seg(SYN) for i in (8, 9, 10, 11, 8, 9))),
    'backlog': (0, HOLD + b''.join(target(i) + seg(SYN) + target(j) + TURN + seg()
                                   for i, j in ((8, 0), (9, 1), (10, 2), (11, 3))) + HOLD),
    'table-full': (0, (app(CONNECT)) * 10),
    'connected': (0, active() + app(WRITE, 200) + seg() + data() + app(READ_ALL)),
    'connected-all-options': (2, active(SYN_MSS | SYN_SACK | SYN_WS | TS) + data(options=TS)),
    'connect-refused': (0, app(CONNECT) + seg(RST | ACK)),
    'connect-ignored': (0, app(CONNECT) + time(S61) + time(S61) + time(S61)),
    'connect-stray': (0, app(CONNECT) + seg(ACK, ack=BEYOND) + seg(RST) + seg(ACK) + seg(0)),
    'connect-crossed': (0, app(CONNECT) + seg(SYN) + seg(SYN | ACK, IRS) + app(WRITE, 1) + seg()),
    'connect-crossed-reset': (0, app(CONNECT) + seg(SYN) + seg(SYN, NEXT10) + seg(RST)),
    'connect-closed': (0, app(CONNECT) + app(CLOSE) + TURN),
    'connect-crossed-closed': (0, app(CONNECT) + seg(SYN) + app(CLOSE) + seg() + seg()),
    'handshake-bad-ack': (0, seg(SYN) + seg(ACK, ack=BEYOND) + seg(ACK, ack=UNA)),
    'handshake-data-fin': (0, seg(SYN) + seg(FIN | PSH | ACK, size=TEN) + app(READ_ALL)),
    'no-ack-flag': (0, EST + seg(0) + seg(FIN) + seg(PSH | URG, size=TEN)),
    'listen-strays': (0, seg(ACK) + seg(RST) + seg(SYN | FIN) + seg(0) + seg(FIN)),
    'stranger': (0, raw(bytes([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]))),
    'bad-sum': (0, EST + seg(size=TEN | BAD_SUM)),
    'split-buffers': (0, EST + data(S1000 | SPLIT) + data(S1000 | SPLIT, K1) + data(S1460 | SPLIT)
                      + app(READ_ALL)),
    'out-of-order': (0, EST_SACK + data(S1000, K1) + data(S1000, K3) + data(S1000, K1)
                     + data(S1460, GAP) + data(S1000) + data(S1460) + data(S1460) + app(READ_ALL)),
    'out-of-order-overlaps': (0, EST_SACK + data(TEN, NEXT100) + data(HUNDRED, NEXT10)
                              + data(S1000, NEXT1) + data(HUNDRED) + app(READ_ALL)),
    'out-of-order-storm': (0, EST_SACK + b''.join(data(ONE, NEXT1 | i << 5) + data(ONE, NEXT10 | i << 5)
                                                  for i in range(8)) + data(S1000) + app(READ_ALL)),
    'out-of-order-many': (0, EST_SACK + b''.join(data(TEN, s | i << 5) for i in range(8)
                                                 for s in (K1, K2, K3, MSS3)) + data(S1460) * 4),
    'fin-ahead': (0, EST + seg(FIN | ACK, NEXT100) + data(HUNDRED) + app(READ_ALL)),
    'fin-beyond': (1, EST + seg(FIN | PSH | ACK, EDGE_10, size=HUNDRED) + data(S1460) + data(S1460)),
    'old-data': (0, EST_SACK + data() + data(HUNDRED, BACK100) + data(S1000, BACK100) + app(READ_ALL)),
    'window-closes': (1, EST + data(S1000) * 3 + data(S1000) + seg(ACK, EDGE1) + app(READ, 10)
                      + app(READ_ALL) + data(S1000, EDGE_1)),
    'held-runs-out': (2, EST_ALL + data(S1460, options=TS) * 40 + app(READ_ALL)
                      + data(S1000, options=TS) + app(READ_ALL)),
    'held-runs-out-at-fin': (2, EST + HOLD + data(S1460) * 36 + seg(FIN | PSH | ACK, size=S1460) + HOLD
                             + app(READ_ALL) + data(S1000) + app(READ_ALL)),
    'bulk': (0, EST + BULK + seg() * 3 + BULK + seg() * 6),
    'bulk-lent': (0, EST_ALL + app(LEND, 100) + app(WRITE, 3) + app(LEND, 60) + app(LEND, 2)
                  + app(WRITE, 40) + seg(options=TS) * 4),
    'bulk-no-chains': (32, EST + app(LEND, 100) + BULK + seg() * 4),
    'queue-full': (4, EST + app(WRITE, 130) + app(WRITE, 130) + seg()),
    'timeouts': (0, EST + BULK + time(S1) + seg(ACK, ack=ONE_MSS) + seg() + time(S10)),
    'given-up': (16, EST + BULK + time(S61)),
    'fast-retransmit': (0, EST + BULK + seg(ACK, ack=UNA) * 6 + seg(ACK, ack=ONE_MSS) * 2 + seg()),
    'sack-recovery': (0, EST_SACK + BULK + b''.join(seg(ACK, ack=UNA, options=sack(3, i)) for i in range(6))
                      + seg(ACK, ack=ONE_MSS, options=sack(3, 2)) + seg()),
    'sack-recovery-full': (0, EST_SACK + BULK + b''.join(
        seg(ACK, ack=UNA, options=sack(1, i)) for i in (1, 2, 3, 4, 5, 6)) + seg(ACK, ack=HALF) + seg()),
    'sack-then-timeout': (0, EST_SACK + BULK + seg(ACK, ack=UNA, options=sack(2, 1)) + time(S1)
                          + seg(ACK, ack=ONE_MSS, options=sack(2, 2)) + seg()),
    'sack-nonsense': (0, EST_SACK + BULK + seg(ACK, ack=UNA, options=sack(3, 9))
                      + seg(ACK, ack=UNA, options=sack(3, 15))),
    'zero-window': (0, EST + seg(window=0) + app(WRITE, 40) + time(S1) + seg(window=0) + time(S10)
                    + seg(window=5000) + seg()),
    'zero-window-fin': (0, EST + seg(window=0) + app(CLOSE) + time(S1) + seg()),
    'small-window': (0, EST + seg(window=50) + app(WRITE, 40) + time(S1) + seg(window=40) + time(S1)),
    'shrunk-window': (0, EST + BULK + seg(ACK, ack=UNA, window=0) + time(S1) + seg(window=100) + time(S1)),
    'partial-acks': (0, EST + BULK + seg(ACK, ack=UNA1) + seg(ACK, ack=HALF) + seg(ACK, ack=STEP | 16)),
    'strange-acks': (0, EST + BULK + seg(ACK, ack=BEYOND) + seg(ACK, ack=OLD) + seg(ACK, ack=ANCIENT)),
    'paws': (0, EST_TS + data(options=TS) + data(options=TS_OLD) + seg(options=TS_OLD) + data(options=TS_NEW)
             + data() + app(READ_ALL) + time(DAYS) + data(options=TS_OLD)),
    'idle-then-send': (0, EST_TS + BULK + seg(options=TS) + time(HOUR) + BULK + seg(options=TS)),
    'keepalive': (8, EST + time(S10) + seg() + time(S10)),
    'time-wait': (0, EST + app(CLOSE) + seg(FIN | ACK) + target(8) + seg(SYN) + seg(RST) + seg(SYN | ACK)
                  + seg(PSH | ACK, size=TEN) + seg()),
    'time-wait-reuse': (0, EST_TS + app(CLOSE) + seg(FIN | ACK, options=TS) + target(8)
                        + seg(SYN, NEXT | 7 << 5, options=SYN_MSS | TS_NEW) + target(1) + seg(options=TS)),
    'time-wait-full': (0, b''.join(target(8 + i) + seg(SYN) + target(i) + seg() + app(CLOSE) + seg(FIN | ACK)
                                   for i in range(4))),
    'nic-full': (0, EST + app(NIC) + BULK + time(S1) + app(NIC) + seg()),
    'many-connections': (0, b''.join(target(8 + i) + seg(SYN) + target(i) + seg() + data() + app(WRITE, 255)
                                     for i in range(3)) + BULK + seg() + BULK),
    'options-malformed': (0, EST + b''.join(raw_tcp(header(7, ACK, o), True) for o in (
        b'\2\0\0\0\0\0\0\0', b'\1\1\1\1\1\1\1\2', b'\x08\x09\0\0\0\0\0\0', b'\5\2\1\1\1\1\1\1',
        b'\5\x0a\0\0\0\0\0\0', b'\xfd\4\0\0\0\0\0\0', b'\xff\xff\0\0\0\0\0\0'))),
    'options-in-syn': (0, b''.join(raw_tcp(header(7, SYN, o)) for o in (
        b'\2\4\5\xb4\3\3\xff\0', b'\4\2\1\1\3\3\7\0', b'\2\5\0\0\0\0\0\0', b'\4\3\0\0\0\0\0\0', b'\3\4\0\0\0\0\0\0'))),
    'icmp-connect': (0, app(CONNECT) + icmp(4) + icmp(5) + icmp(1, code=3)),
    'icmp-errors': (0, EST + app(WRITE, 200) + b''.join(icmp(k, code=1) for k in range(8)) + icmp(1, BEYOND) + seg()),
    'icmp-half-open': (0, seg(SYN) + icmp(0, size=40) + icmp(1) + seg()),
    'path': (0, EST + app(WRITE, 255) + icmp(0) + icmp(0) + seg(ack=UNA1) + icmp(0, UNA, 68) + icmp(0, UNA, 0, 552) + seg()),
    'path-sack': (0, EST_SACK + app(WRITE, 255) + seg(options=sack(1, 2) | TS, ack=UNA) * 4 + icmp(0) + seg() + time(S1)),
    'path-plateaus': (0, EST + app(WRITE, 255) + icmp(0, UNA, 0) + icmp(0, UNA, 0, 1492) + icmp(0, HALF, 0, 1006) + app(CLOSE) + seg()),
    'path-of-a-stranger': (0, icmp(0) + EST + icmp(0, BEYOND) + icmp(0, UNA, 2000)),
    'path-black-hole': (0, EST + app(WRITE, 255) + time(S1) + time(S10) + seg(ack=ONE_MSS) + time(HOUR) + app(WRITE, 255) + seg()),
    'offsets': (0, EST + b''.join(raw_tcp(header(n, ACK), True) for n in (0, 4, 5, 6, 15)) + raw_tcp(b'\0' * 8)),
    'frames': (0, raw(b'\0') + raw(b'\2\0\0\0\0\1\2\0\0\0\0\2\x86\xdd' + bytes(40))),
}


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    for name, (choice, commands) in SCENES.items():
        (OUT / name).write_bytes(bytes([choice]) + commands)


if __name__ == '__main__':
    main()

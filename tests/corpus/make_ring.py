#!/usr/bin/env python3
"""Writes the seed corpus of controlplane/link/ring_fuzz.c into tests/corpus/ring/.

Run once, from anywhere, when a scene is added; the files are committed. Each is
a script of the fuzzer's steps (its first comment) and of words of a dataplane
(ring_fuzz_words.c).
"""
import pathlib
import struct

OUT = pathlib.Path(__file__).resolve().parents[2] / 'tests/corpus/ring'

CLEAN, USERNAME, PASSWORD, AGAIN, LIVE, WILL = 1, 2, 4, 8, 16, 32
RETAIN, RECORD, OF_WILL = 1, 2, 4
NO_WILL, EXPIRY = 16, 32
FOREVER = 255
KINDS = ['hello', 'connect', 'closed', 'position', 'resynced', 'declined', 'applied', 'part', 'store',
         'subscribe', 'unsubscribe', 'release', 'received', 'settled', 'ended', 'pattern', 'try']


def slot(kind, body=b'', right=True):
    number = KINDS.index(kind) + 1 if isinstance(kind, str) else kind
    return bytes([0 if right else 1]) + body.ljust(48, b'\0') + bytes(15) + bytes([number])


def arena(at, data):
    return b'\2' + struct.pack('>HB', at // 16, len(data)) + data


def producer(by=None, to=None):
    return b'\3' + struct.pack('>h', by) if to is None else b'\4' + struct.pack('>Q', to)


def turn(later=1):
    return bytes([5, later])


def restart(how=0):
    return bytes([6, how])


def hear(most=255):
    return bytes([8, most])


def disk(what, when=1):
    return bytes([9, what, when])


DATAPLANE = b'\x0a'


def say(*parts):
    return b'\7' + bytes(parts)


def connect(client=0, flags=0, expiry=FOREVER, connection=0, receive=4, will=None):
    tail = bytes([len(will)]) + will if will is not None else b''
    return say(1, client, flags | (WILL if will is not None else 0), expiry, connection, receive) + tail


def closed(connection=0):
    return say(2, connection)


def store(*targets, flags=0, packet_id=0, topic=1, payload=b'x', will=0, cut=0):
    out = say(7, flags, len(targets), *[b for t in targets for b in t], topic, len(payload)) + payload
    return out + bytes([packet_id] + ([will] if flags & OF_WILL else []) + [cut])


def subscribe(grant=0, filter=2, options=0, qos=1):
    return say(8, grant, filter, options, qos)


def unsubscribe(grant=0, filter=2):
    return say(9, grant, filter)


def release(grant=0, packet_id=1):
    return say(10, grant, packet_id)


def received(grant=0, entry=8):
    return say(11, grant, entry)


def settled(grant=0, entry=8):
    return say(12, grant, entry)


def ended(grant=0, flags=0, expiry=1):
    return say(13, grant, flags, expiry)


RESYNCED = say(4)
GO = turn() + hear()
APPLY = b''.join(say(6, token, 0) for token in range(1, 9))
START = GO + RESYNCED + GO
LIVE_A = START + connect() + GO
SUBSCRIBED = LIVE_A + subscribe() + GO + APPLY + GO
QUEUED = SUBSCRIBED + store((0, 1)) + GO
TEXT = b'a' * 200
OFFLINE = SUBSCRIBED + ended() + closed() + GO

SEEDS = {
    'start': START,
    'hello-loaded': GO + say(0, 1) + RESYNCED + GO,
    'connect': LIVE_A,
    'connect-clean': START + connect(flags=CLEAN, expiry=0) + GO,
    'connect-assigned': START + connect(client=3) + GO,
    'connect-will': START + connect(will=b'bye') + GO + ended() + closed() + turn(200) + GO,
    'will-void': START + connect(will=b'bye') + GO + ended(flags=NO_WILL) + closed() + turn(200) + GO,
    'will-stored': START + connect(client=2, will=b'bye') + GO + ended() + closed() + turn(200) + GO +
    store(flags=OF_WILL, will=0) + GO,
    'takeover': LIVE_A + connect(connection=1) + GO + closed() + GO,
    'takeover-slow': LIVE_A + connect(connection=1) + GO + turn(50) + GO,
    'subscribe': SUBSCRIBED,
    'subscribe-refused': LIVE_A + subscribe(filter=6) + subscribe(filter=5) + GO + say(6, 1, 1) + GO,
    'unsubscribe': SUBSCRIBED + unsubscribe() + GO + APPLY + GO,
    'store': QUEUED,
    'store-twice': QUEUED + store((0, 1), (0, 0), cut=7) + GO,
    'store-retained': LIVE_A + store(flags=RETAIN) + store(flags=RETAIN, payload=b'') + GO,
    'store-record': LIVE_A + store((0, 1), flags=RECORD, packet_id=1) + GO + release() + GO,
    'store-parts': SUBSCRIBED + store((0, 1), payload=TEXT, cut=100) + GO,
    'store-nobody': LIVE_A + store((5, 1)) + GO,
    'settled': QUEUED + settled() + GO,
    'received': QUEUED + received() + GO + settled() + GO,
    'settled-unknown': QUEUED + settled(entry=7) + settled(grant=3) + GO,
    'declined': QUEUED + say(5, 8) + turn(3) + GO,
    'many': SUBSCRIBED + b''.join(store((0, 1), topic=i) for i in range(12)) + GO * 3,
    'offline': OFFLINE + store((0, 1)) + GO + connect(connection=1) + GO,
    'expires': LIVE_A + ended(flags=EXPIRY, expiry=1) + closed() + turn(100) + GO,
    'restart': QUEUED + restart() + say(0, 1) + connect(flags=AGAIN | LIVE) + say(3, 0, 8) + RESYNCED + GO,
    'restart-unknown': QUEUED + restart() + say(0, 1) + say(3, 3, 1) + RESYNCED + GO + turn(255),
    'crash': OFFLINE + store((0, 1)) + turn() + restart(3) + say(0, 1) + RESYNCED + GO,
    'dataplane': QUEUED + DATAPLANE + GO + RESYNCED + connect() + GO,
    'disk-sync': SUBSCRIBED + disk(0) + store((0, 1)) + GO * 2,
    'disk-submit': SUBSCRIBED + disk(1) + store((0, 1)) + GO * 2,
    'disk-full': LIVE_A + disk(2, 2) + subscribe() + GO,
    'disk-stalled': SUBSCRIBED + disk(128, 0) + store((0, 1)) * 3 + GO + connect(client=1) + GO,
    'slot-unknown': START + slot(0) + slot(99) + slot(255) + GO,
    'slot-each': START + b''.join(slot(k, b'\1' * 48) for k in KINDS) + GO,
    'slot-each-0': START + b''.join(slot(k) for k in KINDS) + GO,
    'slot-each-ff': START + b''.join(slot(k, b'\xff' * 48) for k in KINDS) + GO,
    'pattern': START + arena(0, b'$filter/regex/a') + b''.join(
        slot('pattern', struct.pack('<IBxxxII', 3, added, 0, size))
        for added, size in ((1, 15), (0, 0), (2, 15), (1, 0), (1, 1 << 20))) + GO,
    'try': START + arena(0, b'$filter/regex/a') + slot('try', struct.pack('<IIII', 3, 0, 0, 15)) +
        slot('try', struct.pack('<IIII', 3, 0, 0, 0)) + GO,
    'slot-dead': START + slot('connect', right=False) + GO,
    'arena': START + connect(client=1) + arena(0, b'\0' * 64) + GO,
    'part-huge': START + slot('part', struct.pack('<II', 0, 1 << 17)) * 3 + store() + GO,
    'part-past': START + slot('part', struct.pack('<II', (1 << 20) - 1, 2)) + store() + GO,
    'part-wraps': START + slot('part', struct.pack('<II', (1 << 32) - 16, 32)) * 2 + store() + GO,
    'forward': START + producer(5) + GO + connect() + GO,
    'far': START + producer(2000) + GO + connect() + GO,
    'back': START + connect() + producer(-1) + GO + producer(-3) + GO,
    'jump': START + producer(to=2**64 - 1) + GO + connect() * 3 + GO,
}

OUT.mkdir(parents=True, exist_ok=True)
for name, data in SEEDS.items():
    (OUT / name).write_bytes(data)

#!/usr/bin/env python3
"""Writes the seed corpus of dataplane/shm/parcel_fuzz.c into tests/corpus/parcel/.

Run once, from anywhere, when a form is added; the files are committed. Each is
a parcel, or the text of a STORE: a count, targets, a parcel (parcel.h).
"""
import pathlib
import struct

OUT = pathlib.Path(__file__).resolve().parents[2] / 'tests/corpus/parcel'


def parcel(topic=b'a/b', payload=b'payload', version=1, flags=0, qos=1, sizes=None, **more):
    texts = [topic] + [more.get(k, b'') for k in ('content_type', 'reply_to', 'correlation', 'user')]
    sizes = sizes or [len(t) for t in texts] + [len(payload)]
    head = struct.pack('>BBBBIQHHHHII', version, flags, qos, 0, more.get('expiry', 0), 1, *sizes)
    return head + b''.join(texts) + payload


def target(session=1, qos=1, flags=0, identifiers=(), count=None):
    n = len(identifiers) if count is None else count
    return struct.pack('>QBBB', session, qos, flags, n) + b''.join(struct.pack('>I', i) for i in identifiers)


def store(*targets, count=None, body=None):
    n = len(targets) if count is None else count
    return struct.pack('>I', n) + b''.join(targets) + (parcel() if body is None else body)


FULL = dict(content_type=b'text', reply_to=b'r', correlation=b'\0\1', user=b'\0\1k\0\1v', flags=3,
            qos=2, expiry=60)
SEEDS = {
    'plain': parcel(),
    'full': parcel(**FULL),
    'empty': parcel(topic=b'', payload=b'', qos=0),
    'version': parcel(version=2),
    'flags': parcel(flags=4),
    'qos': parcel(qos=3),
    'short': parcel()[:-1],
    'long': parcel() + b'x',
    'fixed': parcel()[:31],
    'sizes': parcel(sizes=[65535] * 4 + [2**32 - 1] * 2),
    'payload-size': parcel(sizes=[3, 0, 0, 0, 0, 2**32 - 1]),
    'store': store(target(), target(2, 2, 1)),
    'store-none': store(),
    'store-identifiers': store(target(identifiers=(1, 2, 3, 4, 2**32 - 1)), body=parcel(**FULL)),
    'store-count': store(target(), count=2**32 - 1),
    'store-session': store(target(session=0)),
    'store-qos': store(target(qos=0)),
    'store-flags': store(target(flags=2)),
    'store-many': store(target(identifiers=(1,), count=6)),
    'store-short': store(target())[:9],
}

OUT.mkdir(parents=True, exist_ok=True)
for name, data in SEEDS.items():
    (OUT / name).write_bytes(data)

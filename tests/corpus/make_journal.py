#!/usr/bin/env python3
"""make_journal.py - writes tests/corpus/journal: seeds for storage/rocks/journal_fuzz.c.

Run it to add a seed; the output is committed. The format is drawn in storage/rocks/journal.h.
"""

import pathlib
import struct

OUT = pathlib.Path(__file__).parent / "journal"
BLOCK, HEADER = 32768, 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(kind, payload):
    body = bytes([kind]) + payload
    return struct.pack("<IH", crc32c(body), len(payload)) + body


def batch(size, synced):
    return bytes(1 + i % 255 for i in range(size)) + b"\x03\x09c" + struct.pack("<Q", synced)


def file_of(*batches):
    out = b""
    for payload in batches:
        kind = FIRST
        while True:
            if BLOCK - len(out) % BLOCK < HEADER:
                out += bytes(BLOCK - len(out) % BLOCK)
            room = BLOCK - len(out) % BLOCK - HEADER
            part, payload = payload[:room], payload[room:]
            if not payload:
                kind = FULL if kind == FIRST else LAST
            out += record(kind, part)
            kind = MIDDLE
            if not payload:
                break
    return out


def flipped(data, bit):
    out = bytearray(data)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


SEEDS = {
    "empty": b"",
    "one": file_of(batch(20, 0)),
    "three": file_of(batch(20, 0), batch(40, 1), batch(12, 2)),
    "torn": file_of(batch(20, 0), batch(40, 1))[:-9],
    "torn-header": file_of(batch(20, 0), batch(40, 1))[:45],
    "zeros-behind": file_of(batch(20, 0)) + bytes(1500),
    "zeros-within": file_of(batch(20, 0)) + bytes(1024) + file_of(batch(20, 1)),
    "claimed": flipped(file_of(batch(20, 0), batch(20, 0), batch(20, 2)), 8 * 45),
    "length": flipped(file_of(batch(20, 0), batch(20, 1)), 8 * (38 + 4) + 6),
    "type": flipped(file_of(batch(20, 0), batch(20, 1)), 8 * 6 + 2),
    "first-half": record(FIRST, batch(20, 0)),
    "no-beginning": record(MIDDLE, batch(20, 0)) + record(LAST, batch(20, 7)),
}


def main():
    OUT.mkdir(exist_ok=True)
    for name, data in SEEDS.items():
        (OUT / name).write_bytes(data)


if __name__ == "__main__":
    main()

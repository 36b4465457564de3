#!/usr/bin/env python3
"""Writes the seed corpus of dataplane/codec/mqtt_fuzz.c into tests/corpus/mqtt/.

Run once, from anywhere, when a packet is added; the files are committed. Each
is one byte that chooses version and limits (see mqtt_fuzz.c), then a stream.
The packets are those of mqtt_good.c and mqtt_bad.c, so that a rule has one
place; what only a stream shows is added here.
"""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / 'tests/corpus/mqtt'
CHOICE = {3: 2, 4: 0, 5: 1}  # MQTT version -> first byte, with the first set of limits
SMALL_LIMITS = 1 << 2
TINY_LIMITS = 3 << 2

ROW = re.compile(r'\{\s*"([^"]*)",\s*MQTT_V(\d),\s*\w+,\s*((?:"[^"]*"\s*)+)\}')

STREAMS = {
    'stream-four-packets': (4, b'\xc0\0\x30\4\0\1ax\x40\2\0\1\xe0\0'),
    'stream-long-filter-list': (4, b'\x82\xa2\1\0\1' + b'\0\1a\0' * 40),
    'stream-filters-above-any': (5, b'\x82\xc3\2\0\1\0' + b'\0\1a\0' * 80),
    'stream-nine-subscription-ids': (5, b'\x30\x18\0\1a\x14' + b'\x0b\x01' * 10),
    'stream-split-users': (5, b'\x30\x16\0\1a\x12\x26\0\1k\0\1v\1\0\x26\0\1l\0\1w\1'),
    'stream-length-of-five-bytes': (4, b'\x10\xff\xff\xff\xff\x01'),
    'stream-properties-without-end': (5, b'\x30\x10\0\1a\x80\x80\x80\x80\1'),
    'stream-cut-in-length': (4, b'\x10\x80'),
    'stream-cut-in-topic': (5, b'\x32\x20\0\x09abc'),
    'stream-cut-in-property-length': (5, b'\x30\x20\0\1a\x80'),
    'stream-utf8-of-every-length': (
        4, b'\x30\x14\0\x12' + 'abcdefgh\u00e9\u20ac\U0001f600z'.encode()),
}


def unhex(text):
    """Two hex digits make a byte, what stands between '' is taken as it is."""
    out = b''
    for quoted, digits in re.findall(r"'([^']*)'|([0-9a-fA-F]{2})", text):
        out += quoted.encode() if not digits else bytes([int(digits, 16)])
    return out


def rows(source):
    text = (ROOT / 'dataplane/codec' / source).read_text()
    for name, version, strings in ROW.findall(text):
        yield name, int(version), unhex(''.join(re.findall(r'"([^"]*)"', strings)))


def slug(name):
    return re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')


def write(name, choice, stream):
    (OUT / name).write_bytes(bytes([choice]) + stream)


def main():
    OUT.mkdir(exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    for name, version, packet in rows('mqtt_good.c'):
        write('good-' + slug(name), CHOICE[version], packet)
    for name, version, packet in rows('mqtt_bad.c'):
        write('bad-' + slug(name), CHOICE[version], packet)
    for name, (version, stream) in STREAMS.items():
        write(name, CHOICE[version], stream)
    write('stream-above-small-limits', CHOICE[5] | SMALL_LIMITS, b'\x82\x40\0\1\0')
    write('stream-publish-above-tiny-limits', CHOICE[4] | TINY_LIMITS, b'\x30\x09\0\1a')


if __name__ == '__main__':
    main()

#!/usr/bin/env python3
"""Writes tests/corpus/wire: what brokers answer to the generator (tests/bench/wire_fuzz.c)."""
from pathlib import Path

FOLDER = Path(__file__).parent / "wire"
MQTT, NATS = b"\0", b"\1"
INPUTS = {
    "mqtt-session": MQTT + b"\x20\x02\0\0\x90\x03\0\x01\0\x30\x05\0\x01tab\x40\x02\0\x01\xd0\0",
    "mqtt-refused": MQTT + b"\x20\x02\0\x05\x90\x03\0\x01\x80",
    "mqtt-qos": MQTT + b"\x32\x07\0\x01t\0\x07ab\x34\x07\0\x01t\0\x08ab\x50\x02\0\x01\x62\x02\0\x01"
                       b"\x70\x02\0\x01",
    "mqtt-long": MQTT + b"\x30\x83\x01\0\x01t" + bytes(128),
    "mqtt-length": MQTT + b"\x30\xff\xff\xff\xff\x01",
    "mqtt-topic": MQTT + b"\x30\x03\0\x09t",
    "mqtt-short": MQTT + b"\x40\x01\0",
    "mqtt-topicless": MQTT + b"\x30\x01\0",
    "mqtt-connack": MQTT + b"\x20\x01\0",
    "nats-session": NATS + b'INFO {"max_payload":1048576}\r\nPONG\r\n+OK\r\nPING\r\n'
                           b"MSG a.b 1 5\r\nhello\r\n",
    "nats-error": NATS + b"-ERR 'Authorization Violation'\r\n",
    "nats-size": NATS + b"MSG a.b 1 9999999999\r\n",
    "nats-no-size": NATS + b"MSG a.b 1 \r\n",
    "nats-no-number": NATS + b"MSG a.b 1 5x\r\n",
    "nats-half": NATS + b"MSG a.b 1 5\r\nhel",
    "nats-line": NATS + b"PONG\n",
    "nats-endless": NATS + b"x" * 17000,
}


def main():
    FOLDER.mkdir(exist_ok=True)
    for name, content in INPUTS.items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()

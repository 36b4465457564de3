"""Garbage: streams on the MQTT port, frames on the wire. Runs beside the box, as root."""
import random
import socket
import struct
import sys

address, seed = sys.argv[1], int(sys.argv[2])
rng = random.Random(seed)
CONNECT = bytes.fromhex("101000044d5154540402003c0004") + b"gar" + b"b"


def stream(data):
    with socket.socket() as s:
        s.settimeout(20)
        s.connect((address, 1883))
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
        except (ConnectionResetError, BrokenPipeError):
            pass  # a reset is an answer


def streams():
    stream(b"")
    stream(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    stream(bytes.fromhex("10ffffffff7f"))          # remaining length of five bytes
    stream(bytes.fromhex("30ffffff7f0001"))        # PUBLISH before CONNECT, 256 MB claimed
    stream(CONNECT + bytes.fromhex("30ffffff7f0001"))
    stream(CONNECT + bytes.fromhex("8200"))
    for _ in range(200):
        data = bytearray(rng.randbytes(rng.randrange(1, 400)))
        if rng.random() < 0.7:
            data = bytearray(CONNECT) + data
        stream(bytes(data))


def interface():
    for _, name in socket.if_nameindex():
        if name == "sbx0":
            return name
    raise SystemExit("no sbx0 here")


def mac_of(ip):
    with open("/proc/net/arp", encoding="ascii") as f:
        for line in f.readlines()[1:]:
            fields = line.split()
            if fields[0] == ip:
                return bytes.fromhex(fields[3].replace(":", ""))
    raise SystemExit("the box is not in the ARP table")


def frames():
    box = mac_of(address)
    src = bytes.fromhex("020000000001")
    ip = socket.inet_aton(address)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((interface(), 0))
        for _ in range(5000):
            kind = rng.randrange(4)
            if kind == 0:
                frame = rng.randbytes(rng.randrange(14, 1500))
            elif kind == 1:
                frame = box + src + b"\x08\x06" + rng.randbytes(rng.randrange(0, 60))
            elif kind == 2:
                frame = box + src + b"\x08\x00" + bytes([rng.randrange(256)]) + \
                    rng.randbytes(rng.randrange(0, 200))
            else:
                tcp = rng.randbytes(rng.randrange(0, 80))
                head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0,
                                   rng.randbytes(4), ip)
                total = sum(struct.unpack("!10H", head))
                total = (total & 0xffff) + (total >> 16)
                total = ~((total & 0xffff) + (total >> 16)) & 0xffff
                frame = box + src + b"\x08\x00" + head[:10] + struct.pack("!H", total) + \
                    head[12:] + tcp
            s.send(frame)


streams()
frames()
streams()
print("garbage: ok")

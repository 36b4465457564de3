"""connack.py ADDRESS CLIENT_ID: one CONNECT of a durable session; prints when its CONNACK came.

Reads a line first, so that whoever measures can have it ready. MQTT 3.1.1 by hand.
"""
import socket
import sys
import time

name = sys.argv[2].encode()
body = b"\x00\x04MQTT\x04\x00\x00\x3c" + len(name).to_bytes(2, "big") + name
s = socket.create_connection((sys.argv[1], 1883), timeout=60)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
print("ready", flush=True)
sys.stdin.readline()
s.sendall(bytes([0x10, len(body)]) + body)
answer = s.recv(4)
print(f"connack {time.monotonic():.6f} {answer.hex()}", flush=True)

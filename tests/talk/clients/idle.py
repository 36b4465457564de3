"""idle.py ADDRESS: one client that says CONNECT and then nothing, ever; prints how it ended.

No keepalive, neither of MQTT (3.1.1 by hand, 0: off) nor of TCP: it hears of the end, or never.
"""
import socket
import sys
import time

body = b"\x00\x04MQTT\x04\x02\x00\x00\x00\x04idle"
s = socket.create_connection((sys.argv[1], 1883), timeout=60)
s.sendall(bytes([0x10, len(body)]) + body)
print(f"connack {s.recv(4).hex()}", flush=True)
s.settimeout(None)
try:
    END = "closed" if s.recv(1) == b"" else "data"
except ConnectionResetError:
    END = "reset"
print(f"{END} {time.monotonic():.6f}", flush=True)

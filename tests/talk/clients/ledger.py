"""Publishers and durable subscribers that keep a ledger while the box is killed under them.

ledger.py ADDRESS RUN MESSAGES: prints "acknowledged N" as it goes; after the last message drains,
and prints one line of JSON. The rules are those of tests/talk/ledger.py. Paho for Python, MQTT
3.1.1; each identity is one paho client that reconnects by itself and keeps what is in flight.
"""
import collections
import json
import sys
import threading
import time

import paho.mqtt.client as mqtt

WINDOW = 20
PATIENCE_S = 90
TOPICS = 3


class Client(mqtt.Client):
    """Paho, but for a defect of 1.6: after two broken connections in a row it takes a message whose
    PUBREL it owes for one that was never received, and sends it again as new."""

    def _messages_reconnect_reset_out(self):
        owed = [m for m in self._out_messages.values() if m.state == mqtt.mqtt_ms_resend_pubrel]
        super()._messages_reconnect_reset_out()
        for m in owed:
            m.state = mqtt.mqtt_ms_resend_pubrel


class Peer:
    """One identity, connected again and again by paho's own loop."""

    def __init__(self, address, name, on_ready=None):
        self.ready = threading.Event()
        self.connects = 0
        self.c = Client(client_id=name, clean_session=False, protocol=mqtt.MQTTv311)
        self.c.max_inflight_messages_set(WINDOW)
        self.c.reconnect_delay_set(min_delay=0.1, max_delay=0.5)
        self.c.on_connect = self._on_connect
        self.on_ready = on_ready
        self.present = []
        self.address = address

    def _on_connect(self, _c, _u, flags, code):
        if code != 0:
            return
        self.connects += 1
        self.present.append(bool(flags["session present"]))
        if self.on_ready:
            self.on_ready(self)
        self.ready.set()

    def start(self):
        self.c.connect_async(self.address, 1883, keepalive=2)
        self.c.loop_start()
        assert self.ready.wait(PATIENCE_S), "no connection"

    def stop(self):
        self.c.disconnect()
        self.c.loop_stop()


class Reader(Peer):
    """A durable subscriber; (qos, topic) to the sequence of numbers, as they came."""

    def __init__(self, address, run, name, qos):
        super().__init__(address, f"{run}-{name}-{qos}", on_ready=self._subscribe)
        self.qos = qos
        self.filter = f"{run}/#"
        self.subscribed = threading.Event()
        self.got = []
        self.c.on_message = self._on_message
        self.c.on_subscribe = lambda *_: self.subscribed.set()

    def _subscribe(self, _peer):
        if self.connects == 1:
            self.c.subscribe(self.filter, self.qos)

    def _on_message(self, _c, _u, m):
        self.got.append((m.topic, m.qos, bytes(m.payload), bool(m.dup)))


class Writer(Peer):
    """Sends numbered messages, at most WINDOW of them unacknowledged."""

    def __init__(self, address, run, qos, count):
        super().__init__(address, f"{run}-writer-{qos}")
        self.run, self.qos, self.count = run, qos, count
        self.room = threading.Semaphore(WINDOW)
        self.number_of = {}
        self.acknowledged = set()
        self.early = set()
        self.lock = threading.Lock()
        self.c.on_publish = self._on_publish

    def _on_publish(self, _c, _u, mid):
        with self.lock:
            if mid not in self.number_of:
                self.early.add(mid)
                return
            self._acknowledge(mid)

    def _acknowledge(self, mid):
        self.acknowledged.add(self.number_of.pop(mid))
        self.room.release()
        if len(self.acknowledged) % 10 == 0:
            print(f"acknowledged {len(self.acknowledged)}", flush=True)

    def write(self):
        for n in range(self.count):
            assert self.room.acquire(timeout=PATIENCE_S), f"stuck at {n} of {self.count}"
            info = self.c.publish(topic(self.run, self.qos, n), body(n), self.qos)
            with self.lock:
                self.number_of[info.mid] = n
                if info.mid in self.early:
                    self.early.discard(info.mid)
                    self._acknowledge(info.mid)

    def done(self):
        return len(self.acknowledged) == self.count


def topic(run, qos, n):
    return f"{run}/{qos}/{n % TOPICS}"


def body(n):
    return f"{n} {n * 2654435761 % (1 << 32):08x} ".encode() * (1 + n % 40)


def account(reader, writers):
    """What one subscriber got against what was acknowledged: RabbitMQ's words."""
    out = collections.Counter()
    for w in writers:
        qos = min(w.qos, reader.qos)
        seen, highest, late = collections.Counter(), {}, []
        for name, at, payload, _dup in reader.got:
            if int(name.split("/")[1]) != w.qos:
                continue
            n = int(payload.split()[0])
            if name != topic(w.run, w.qos, n) or payload != body(n) or at != qos or n >= w.count:
                out["unexpected"] += 1
                continue
            seen[n] += 1
            if seen[n] == 1:
                if n < highest.get(name, -1):
                    out["order"] += 1
                    late.append((n, highest[name]))
                highest[name] = max(n, highest.get(name, -1))
        out["attempt"] += w.count
        out["acknowledged"] += len(w.acknowledged)
        out["ok"] += len(w.acknowledged & set(seen))
        out["lost"] += len(w.acknowledged - set(seen))
        out["recovered"] += len(set(seen) - w.acknowledged)
        again = sum(seen.values()) - len(seen)
        if late:
            print(f"order: number, after {late}", flush=True)
        if again and qos == 2:
            print(f"twice: {[n for n in seen if seen[n] > 1]}", flush=True)
        out["duplicated" if qos == 2 else "again"] += again
    return dict(out)


def wait_for(what, condition):
    gate, end = threading.Event(), time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            print(f"gave up waiting for {what}", flush=True)
            return False
        gate.wait(0.05)
    return True


def main():
    address, run, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    live = [Reader(address, run, "live", qos) for qos in (1, 2)]
    asleep = [Reader(address, run, "asleep", qos) for qos in (1, 2)]
    for r in live + asleep:
        r.start()
        assert r.subscribed.wait(PATIENCE_S), "no SUBACK"
    for r in asleep:
        r.stop()
    writers = [Writer(address, run, qos, count) for qos in (1, 2)]
    for w in writers:
        w.start()
    print("started", flush=True)
    threads = [threading.Thread(target=w.write) for w in writers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    wait_for("acknowledgements", lambda: all(w.done() for w in writers))
    for r in asleep:
        r.ready.clear()
        r.start()
    readers = live + asleep
    wait_for("deliveries", lambda: all(
        len({(g[0], g[2]) for g in r.got}) >= 2 * count for r in readers))
    # A last message of each writer: whatever could still come twice has come before it.
    for w in writers:
        w.c.publish(f"{run}/end", f"{w.qos}", w.qos)
    wait_for("the end", lambda: all(
        len({g[2] for g in r.got if g[0].endswith("/end")}) == 2 for r in readers))
    for r in readers:
        r.got = [g for g in r.got if not g[0].endswith("/end")]
        r.stop()
    for w in writers:
        w.stop()
    print("ledger " + json.dumps({
        "readers": {f"{k}-{r.qos}": account(r, writers)
                    for k, rs in (("live", live), ("asleep", asleep)) for r in rs},
        "sessions_lost": sum(p.present[1:].count(False) for p in readers + writers),
        "connects": sum(p.connects for p in readers + writers)}), flush=True)


main()

"""Paho clients whose events come in order through a queue. Python standard library and paho 1.6."""
import queue
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE_S = 30


def properties(packet, **values):
    p = Properties(getattr(PacketTypes, packet))
    for name, value in values.items():
        setattr(p, name, value)
    return p


class Client:
    """One client identity; `connect` may be called again after `disconnect` or `drop`."""

    def __init__(self, address, name, version=5, clean=True, expiry=None, will=None, **options):
        self.version = version
        self.address = address
        self.events = queue.Queue()
        self.clean, self.expiry = clean, expiry
        v5 = version == 5
        kept = {} if v5 else {"clean_session": clean}
        protocol = mqtt.MQTTv5 if v5 else mqtt.MQTTv311
        self.c = mqtt.Client(client_id=name, protocol=protocol, **kept)
        self.c.max_inflight_messages_set(options.get("inflight", 20))
        self.c.on_connect = lambda *a: self._put(
            "connect", (a[2]["session present"], int(getattr(a[3], "value", a[3])), a[-1]))
        self.c.on_subscribe = lambda *a: self._put(
            "subscribe", [int(getattr(q, "value", q)) for q in a[3]])
        self.c.on_unsubscribe = lambda *a: self._put("unsubscribe", a[2])
        self.c.on_message = lambda _c, _u, m: self._put("message", m)
        self.c.on_publish = lambda *a: self._put("publish", a[2])
        self.c.on_disconnect = lambda *a: self._put("disconnect", a[2])
        self.c.reconnect_delay_set(min_delay=3600, max_delay=3600)  # only when told to
        if will is not None:
            topic, payload, qos, retain, delay = will
            more = {"properties": properties("WILLMESSAGE", WillDelayInterval=delay)} if v5 else {}
            self.c.will_set(topic, payload, qos, retain, **more)

    def _put(self, kind, value):
        self.events.put((kind, value))

    def connect(self, clean=None):
        """Answers session present; the return code must be good."""
        clean = self.clean if clean is None else clean
        more = {}
        if self.version == 5:
            more["clean_start"] = clean
            if self.expiry is not None:
                more["properties"] = properties("CONNECT", SessionExpiryInterval=self.expiry)
        self.c.connect(self.address, 1883, keepalive=20, **more)
        self.c.loop_start()
        present, code, self.connack = self.expect("connect")
        assert code == 0, code
        return bool(present)

    def expect(self, kind, patience_s=PATIENCE_S):
        """The next event, of that kind; what we published being acknowledged is no news."""
        end = time.monotonic() + patience_s
        while True:
            got = self.events.get(timeout=max(0.001, end - time.monotonic()))
            if got[0] == kind:
                return got[1]
            assert got[0] == "publish", (got, kind)

    def message(self, payload, topic=None, qos=None, retain=None, patience_s=PATIENCE_S):
        m = self.expect("message", patience_s)
        body = payload if isinstance(payload, bytes) else payload.encode()
        assert m.payload == body, (m.topic, m.payload[:60], body[:60])
        assert topic is None or m.topic == topic, (m.topic, topic)
        assert qos is None or m.qos == qos, (m.topic, m.qos, qos)
        assert retain is None or bool(m.retain) == retain, (m.topic, m.retain, retain)
        return m

    def subscribe(self, filter_, qos, options=None):
        if options is not None:
            self.c.subscribe(filter_, options=options)
        else:
            self.c.subscribe(filter_, qos)
        return self.expect("subscribe")

    def unsubscribe(self, filter_):
        self.c.unsubscribe(filter_)
        self.expect("unsubscribe")

    def publish(self, topic, payload, qos=0, retain=False, **props):
        """Waits for the acknowledgement that its QoS promises."""
        more = {"properties": properties("PUBLISH", **props)} if props else {}
        info = self.c.publish(topic, payload, qos, retain, **more)
        info.wait_for_publish(PATIENCE_S)
        assert info.is_published(), (topic, qos)
        return info

    def nothing(self, probe, topic="probe"):
        """No message is on its way: what `probe` publishes now is next. Needs the topic."""
        probe.publish(topic, "probe", 1)
        self.message("probe", topic)

    def disconnect(self, **props):
        more = {"properties": properties("DISCONNECT", **props)} if props else {}
        self.c.disconnect(**more)
        self.expect("disconnect")
        self.c.loop_stop()

    def drop(self):
        """The connection breaks without a goodbye."""
        self.c.loop_stop()
        sock = self.c.socket()
        if sock is not None:
            sock.close()
            self.c._sock = None  # paho has no way to lose a connection
        while not self.events.empty():
            self.events.get()

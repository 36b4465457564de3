"""Unmodified Eclipse paho for Python, MQTT 3.1.1 and 5.0, QoS 0. Runs beside the box."""
import queue
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE_S = 30


def client(address, name, protocol):
    events = queue.Queue()
    c = mqtt.Client(client_id=name, protocol=protocol)
    c.on_connect = lambda *a: events.put(("connect", int(getattr(a[3], "value", a[3]))))
    c.on_subscribe = lambda *a: events.put(("subscribe", a[2]))
    c.on_unsubscribe = lambda *a: events.put(("unsubscribe", a[2]))
    c.on_message = lambda _c, _u, m: events.put(("message", m))
    c.on_disconnect = lambda *a: events.put(("disconnect", a[2]))
    c.connect(address, 1883, keepalive=20)
    c.loop_start()
    expect(events, "connect")
    return c, events


def expect(events, kind):
    got = events.get(timeout=PATIENCE_S)
    assert got[0] == kind, (got, kind)
    return got[1]


def talk(address, protocol):
    version = 5 if protocol == mqtt.MQTTv5 else 4
    sub, heard = client(address, f"paho-sub-{version}", protocol)
    pub, _ = client(address, f"paho-pub-{version}", protocol)
    sub.subscribe(f"paho/{version}/#")
    expect(heard, "subscribe")
    properties = None
    if version == 5:
        properties = Properties(PacketTypes.PUBLISH)
        properties.UserProperty = [("colour", "red"), ("colour", "green")]
        properties.ContentType = "application/octet-stream"
    body = bytes(range(256)) * 300
    pub.publish(f"paho/{version}/bin", body, properties=properties)
    m = expect(heard, "message")
    assert m.topic == f"paho/{version}/bin" and m.payload == body and m.qos == 0
    if version == 5:
        assert m.properties.UserProperty == [("colour", "red"), ("colour", "green")]
        assert m.properties.ContentType == "application/octet-stream"
    pub.publish(f"paho/{version}/empty", b"")
    m = expect(heard, "message")
    assert m.payload == b"" and m.topic == f"paho/{version}/empty"
    sub.unsubscribe(f"paho/{version}/#")
    expect(heard, "unsubscribe")
    pub.publish(f"paho/{version}/late", b"nobody")
    # A message on another filter follows the one that must not come.
    sub.subscribe("paho-end")
    expect(heard, "subscribe")
    pub.publish("paho-end", b"end")
    assert expect(heard, "message").topic == "paho-end"
    takeover(address, protocol, version)
    for c in (sub, pub):
        c.disconnect()
        c.loop_stop()


def takeover(address, protocol, version):
    old, events = client(address, f"paho-twin-{version}", protocol)
    old.reconnect_delay_set(min_delay=60, max_delay=60)
    new, _ = client(address, f"paho-twin-{version}", protocol)
    expect(events, "disconnect")
    old.loop_stop()
    new.disconnect()
    new.loop_stop()


for p in (mqtt.MQTTv311, mqtt.MQTTv5):
    talk(sys.argv[1], p)
print("paho: ok")

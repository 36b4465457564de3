"""Unmodified Eclipse paho for Python: what survives. Runs beside the box: ADDRESS CASE..."""
import sys
import threading

from _paho import Client, properties
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCodes
from paho.mqtt.subscribeoptions import SubscribeOptions

VERSIONS = (4, 5)
LOOPS = 20


def qos_pairs(address):
    """Every QoS of a publisher meets every QoS of a subscriber, in both versions."""
    for version in VERSIONS:
        pub = Client(address, f"pairs-pub-{version}", version)
        pub.connect()
        for granted in (0, 1, 2):
            sub = Client(address, f"pairs-sub-{version}-{granted}", version)
            sub.connect()
            assert sub.subscribe(f"pairs/{version}/{granted}/+", granted) == [granted]
            for sent in (0, 1, 2):
                topic = f"pairs/{version}/{granted}/{sent}"
                pub.publish(topic, f"{sent}", sent)
                sub.message(f"{sent}", topic, qos=min(sent, granted), retain=False)
            body = bytes(range(256)) * 500
            pub.publish(f"pairs/{version}/{granted}/big", body, 2)
            sub.message(body, qos=granted)
            sub.disconnect()
        pub.disconnect()


def persistent_session(address):
    for version in VERSIONS:
        expiry = 600 if version == 5 else None
        sub = Client(address, f"keeps-{version}", version, clean=False, expiry=expiry)
        sub.connect(clean=True) if version == 5 else sub.connect()
        sub.subscribe(f"keeps/{version}/#", 2)
        pub = Client(address, f"keeps-pub-{version}", version)
        pub.connect()
        sub.disconnect()
        for i in range(50):
            pub.publish(f"keeps/{version}/{i % 3}", f"m{i}", 1 + i % 2)
        pub.publish(f"keeps/{version}/none", "QoS 0 may be dropped", 0)
        assert sub.connect(clean=False), "the session is gone"
        heard = {0: [], 1: [], 2: []}  # what QoS 0 was still on its way to: nobody, or us again
        while len(heard[1]) + len(heard[2]) < 50:
            m = sub.expect("message")
            heard[m.qos].append(m.payload.decode())
        assert heard[1] == [f"m{i}" for i in range(0, 50, 2)], heard[1]
        assert heard[2] == [f"m{i}" for i in range(1, 50, 2)], heard[2]
        # The subscription is still in force, without a new SUBSCRIBE.
        pub.publish(f"keeps/{version}/live", "live", 1)
        while (m := sub.expect("message")).payload != b"live":
            assert m.qos == 0, m.topic
        # A clean start forgets everything.
        sub.disconnect()
        pub.publish(f"keeps/{version}/x", "to be forgotten", 1)
        fresh = Client(address, f"keeps-{version}", version)
        assert not fresh.connect(clean=True)
        fresh.subscribe("probe", 1)
        fresh.nothing(pub)
        fresh.disconnect()
        pub.disconnect()


def retained(address):
    for version in VERSIONS:
        base = f"kept/{version}"
        pub = Client(address, f"kept-pub-{version}", version)
        pub.connect()
        for qos in (0, 1, 2):
            pub.publish(f"{base}/{qos}", "old", qos, retain=True)
            pub.publish(f"{base}/{qos}", f"value-{qos}", qos, retain=True)
        sub = Client(address, f"kept-sub-{version}", version)
        sub.connect()
        sub.subscribe(f"{base}/#", 2)
        messages = [sub.expect("message") for _ in range(3)]
        got = {m.topic: (m.payload, m.qos, bool(m.retain)) for m in messages}
        want = {f"{base}/{q}": (f"value-{q}".encode(), q, True) for q in (0, 1, 2)}
        assert got == want, got
        # What is published now is no retained message for those who listen already.
        pub.publish(f"{base}/1", "news", 1, retain=True)
        sub.message("news", f"{base}/1", retain=False)
        # An empty payload removes it, and is delivered as it is.
        for qos in (0, 1, 2):
            pub.publish(f"{base}/{qos}", b"", qos, retain=True)
            sub.message(b"", f"{base}/{qos}", retain=False)
        late = Client(address, f"kept-late-{version}", version)
        late.connect()
        late.subscribe(f"{base}/#", 1)
        late.subscribe("probe", 1)
        late.nothing(pub)
        for c in (sub, late, pub):
            c.disconnect()


def retain_options(address):
    pub = Client(address, "opt-pub")
    pub.connect()
    pub.publish("opt/a", "kept", 1, retain=True)
    sub = Client(address, "opt-sub")
    sub.connect()
    sub.subscribe("probe", 1)
    sub.subscribe("opt/#", 1, SubscribeOptions(qos=1, retainHandling=2))
    sub.nothing(pub)
    sub.subscribe("opt/#", 1, SubscribeOptions(qos=1, retainHandling=1))
    sub.nothing(pub)  # it was there already
    sub.unsubscribe("opt/#")
    sub.subscribe("opt/#", 1, SubscribeOptions(qos=1, retainHandling=1, retainAsPublished=True))
    sub.message("kept", retain=True)
    pub.publish("opt/a", "again", 1, retain=True)
    sub.message("again", retain=True)
    sub.subscribe("opt/own", 1, SubscribeOptions(qos=1, noLocal=True))
    sub.publish("opt/own", "mine", 1)
    sub.message("mine", "opt/own")  # by opt/#, which has no such option
    sub.nothing(pub)
    pub.publish("opt/a", b"", 1, retain=True)
    sub.message(b"", "opt/a")
    for c in (sub, pub):
        c.disconnect()


def wills(address):
    for version in VERSIONS:
        watch = Client(address, f"wills-watch-{version}", version)
        watch.connect()
        watch.subscribe(f"wills/{version}/#", 2)
        watch.subscribe("probe", 1)
        pub = Client(address, f"wills-pub-{version}", version)
        pub.connect()
        for qos in (0, 1, 2):
            c = Client(address, f"wills-{version}-{qos}", version,
                       will=(f"wills/{version}/{qos}", "gone", qos, False, 0))
            c.connect()
            c.drop()
            watch.message("gone", f"wills/{version}/{qos}", qos=qos)
        polite = Client(address, f"wills-polite-{version}", version,
                        will=(f"wills/{version}/never", "no", 1, True, 0))
        polite.connect()
        polite.disconnect()
        watch.nothing(pub)
        kept = Client(address, f"wills-kept-{version}", version,
                      will=(f"wills/{version}/kept", "last words", 1, True, 0))
        kept.connect()
        kept.drop()
        watch.message("last words", f"wills/{version}/kept")
        late = Client(address, f"wills-late-{version}", version)
        late.connect()
        late.subscribe(f"wills/{version}/kept", 1)
        late.message("last words", retain=True)
        pub.publish(f"wills/{version}/kept", b"", 1, retain=True)
        for c in (watch, late):
            c.message(b"")
        for c in (watch, late, pub):
            c.disconnect()


def will_loop(address):
    """Whoever is thrown out leaves a will for which the next is thrown out: one will for each."""
    other = {"a": "b", "b": "a"}
    watch, probe = Client(address, "loop-watch"), Client(address, "loop-probe")
    watch.connect()
    watch.subscribe("loop/#", 2)
    watch.subscribe("probe", 1)
    probe.connect()

    def newcomer(name):
        c = Client(address, f"loop-{name}", will=(f"loop/{other[name]}", "gone", 1, False, 0))
        c.connect()
        c.subscribe(f"loop/{name}", 1)
        return c

    holders = {name: newcomer(name) for name in other}
    name = "a"
    for _ in range(LOOPS):
        old, holders[name] = holders[name], newcomer(name)
        old.expect("disconnect")
        old.c.loop_stop()
        name = other[name]
        for c in (holders[name], watch):
            c.message("gone", f"loop/{name}", qos=1)
    for c in holders.values():
        c.disconnect()
    watch.nothing(probe)
    for c in (watch, probe):
        c.disconnect()


def will_delay(address):
    watch = Client(address, "delay-watch")
    watch.connect()
    watch.subscribe("delay/#", 1)
    watch.subscribe("probe", 1)
    pub = Client(address, "delay-pub")
    pub.connect()
    # Back before it is due: no will.
    c = Client(address, "delay-back", clean=False, expiry=600,
               will=("delay/back", "no", 1, False, 30))
    c.connect(clean=True)
    c.drop()
    assert c.connect(clean=False)
    watch.nothing(pub)
    c.disconnect()
    # Not back: after the delay, or when the session ends, whichever is first.
    c = Client(address, "delay-due", clean=False, expiry=600,
               will=("delay/due", "due", 1, False, 1))
    c.connect(clean=True)
    c.drop()
    watch.message("due", "delay/due")
    c = Client(address, "delay-expiry", clean=False, expiry=1,
               will=("delay/expiry", "over", 1, False, 600))
    c.connect(clean=True)
    c.drop()
    watch.message("over", "delay/expiry")
    # Goodbye with the wish for it (0x04).
    c = Client(address, "delay-wish", will=("delay/wish", "as wished", 1, False, 0))
    c.connect()
    c.c.disconnect(reasoncode=ReasonCodes(PacketTypes.DISCONNECT, "Disconnect with will message"))
    watch.message("as wished", "delay/wish")
    c.c.loop_stop()
    for c in (watch, pub):
        c.disconnect()


def takeover(address):
    """The second connection of a client id goes on where the first one was; queues included."""
    for version in VERSIONS:
        expiry = 600 if version == 5 else None
        first = Client(address, f"twin-{version}", version, clean=False, expiry=expiry)
        first.connect()
        first.subscribe(f"twin/{version}", 1)
        pub = Client(address, f"twin-pub-{version}", version)
        pub.connect()
        pub.publish(f"twin/{version}", "one", 1)
        first.message("one")
        # Paho acknowledges after it has shown the message; a SUBACK says that this has arrived,
        # without it the second connection may rightly be given the message again.
        first.subscribe(f"twin/{version}/unused", 1)
        second = Client(address, f"twin-{version}", version, clean=False, expiry=expiry)
        assert second.connect(), "no session present"
        first.expect("disconnect")
        first.c.loop_stop()
        pub.publish(f"twin/{version}", "two", 1)
        second.message("two")
        second.unsubscribe(f"twin/{version}")
        second.disconnect()
        Client(address, f"twin-{version}", version).connect(clean=True)
        pub.disconnect()


def expiry(address):
    """Sessions and messages end when their time is over (5.0)."""
    pub = Client(address, "expiry-pub")
    pub.connect()
    sub = Client(address, "expiry-sub", clean=False, expiry=600)
    sub.connect(clean=True)
    sub.subscribe("expiry/#", 1)
    sub.disconnect()
    pub.publish("expiry/short", "short", 1, MessageExpiryInterval=1)
    pub.publish("expiry/long", "long", 1, MessageExpiryInterval=600)
    pub.publish("expiry/kept", "kept", 1, retain=True, MessageExpiryInterval=1)
    short = Client(address, "expiry-session", clean=False, expiry=1)
    short.connect(clean=True)
    short.subscribe("expiry-session", 1)
    short.disconnect()
    # Seconds are the specification's unit: there is nothing to wait for but the clock.
    threading.Event().wait(3.2)
    assert not short.connect(clean=False), "a session outlived its expiry"
    short.disconnect(SessionExpiryInterval=0)
    assert sub.connect(clean=False)
    m = sub.message("long", "expiry/long")
    left = m.properties.MessageExpiryInterval
    assert 590 <= left < 600, left
    sub.subscribe("probe", 1)
    sub.nothing(pub)
    sub.unsubscribe("probe")
    late = Client(address, "expiry-late")
    late.connect()
    late.subscribe("expiry/kept", 1)
    late.subscribe("probe", 1)
    late.nothing(pub)
    # The last word of a client on its expiry counts.
    sub.disconnect(SessionExpiryInterval=0)
    assert not sub.connect(clean=False), "DISCONNECT said 0"
    sub.disconnect(SessionExpiryInterval=0)
    for c in (late, pub):
        c.disconnect()


def flow(address):
    """Receive maximum and topic alias maximum hold both ways (5.0)."""
    sub = Client(address, "flow-sub", clean=False, expiry=600)
    more = properties("CONNECT", SessionExpiryInterval=600, ReceiveMaximum=3)
    sub.c.connect(address, 1883, clean_start=True, properties=more)
    sub.c.loop_start()
    connack = sub.expect("connect")[2]
    assert getattr(connack, "ReceiveMaximum", 65535) >= 1
    assert getattr(connack, "MaximumQoS", 2) == 2
    assert getattr(connack, "RetainAvailable", 1) == 1
    sub.subscribe("flow", 2)
    pub = Client(address, "flow-pub")
    pub.connect()
    for i in range(200):
        pub.publish("flow", str(i), 2)
    got = [sub.expect("message").payload for _ in range(200)]
    assert got == [str(i).encode() for i in range(200)], got
    for i in range(3):
        pub.publish("flow" if i == 0 else "", f"alias-{i}", 1, TopicAlias=1)
        sub.message(f"alias-{i}", "flow")
    sub.disconnect(SessionExpiryInterval=0)
    pub.disconnect()


CASES = {f.__name__: f for f in (qos_pairs, persistent_session, retained, retain_options, wills,
                                 will_loop, will_delay, takeover, expiry, flow)}

if __name__ == "__main__":
    for name in sys.argv[2:] or CASES:
        CASES[name](sys.argv[1])
        print(f"paho {name}: ok", flush=True)

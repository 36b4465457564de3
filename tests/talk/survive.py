#!/usr/bin/env python3
"""What survives, between unmodified clients: QoS 1 and 2, sessions, retained, wills, takeover.

And expiry. Over each software NIC, with one worker and with two.
"""
import os
import sys

from _box import EVERYWHERE, LONG, ROOT, Process, beside, check, main

PYTHON = "/usr/bin/python3"
CLIENTS = os.path.join(ROOT, "tests", "talk", "clients")


def paho(name):
    def case(box):
        out = beside(PYTHON, "-B", os.path.join(CLIENTS, "paho_survive.py"), box.address, name,
                     patience_s=120)
        check(f"paho {name}: ok" in out, out)
    return case


def mqttjs_survive(box):
    out = beside("node", os.path.join(CLIENTS, "mqttjs_survive.mjs"), box.address, patience_s=180)
    check("mqttjs: ok" in out, out)


def mosquitto_qos_pairs(box):
    for version in ("mqttv311", "mqttv5"):
        for granted in "012":
            for sent in "012":
                topic = f"mp/{version}/{granted}{sent}"
                with box.subscribe("-V", version, "-t", topic, "-q", granted, "-C", "1",
                                   "-F", "%q|%r|%p") as sub:
                    box.publish("-V", version, "-t", topic, "-q", sent, "-m", "body")
                    sub.wait_line(f"{min(granted, sent)}|0|body")
                    sub.wait_exit()


def mosquitto_persistent_session(box):
    for version in ("mqttv311", "mqttv5"):
        more = ["-x", "600"] if version == "mqttv5" else []
        durable = ["-V", version, "-c", "-i", f"mosq-{version}", "-q", "2", "-t", f"mk/{version}",
                   *more]
        with box.subscribe(*durable, "-E"):
            pass
        text = "".join(f"line-{i}\n" for i in range(500)).encode()
        box.publish("-V", version, "-t", f"mk/{version}", "-q", "2", "-l", stdin=text)
        command = ["stdbuf", "-oL", "mosquitto_sub", "-h", box.address, *durable, "-C", "500"]
        with Process(*command) as sub:
            lines, code = sub.wait_exit()
            check(code == 0 and lines == [f"line-{i}" for i in range(500)],
                  f"exit {code}, {len(lines)} lines, or out of order")


def mosquitto_retained(box):
    box.publish("-t", "mr/a", "-q", "1", "-r", "-m", "kept")
    out = beside("mosquitto_sub", "-h", box.address, "-t", "mr/#", "-q", "1", "-C", "1",
                 "-F", "%t|%q|%r|%p")
    check(out == "mr/a|1|1|kept", out)
    box.publish("-t", "mr/a", "-q", "1", "-r", "-n")
    out = beside("sh", "-c", f"mosquitto_sub -h {box.address} -t 'mr/#' -W 1 || true")
    check("kept" not in out, out)


def mosquitto_will(box):
    with box.subscribe("-t", "mw", "-q", "2", "-C", "1", "-F", "%q|%p") as watch:
        doomed = box.subscribe("-t", "x", "--will-topic", "mw", "--will-payload", "gone",
                               "--will-qos", "2")
        doomed.stop()
        watch.wait_line("2|gone")
        watch.wait_exit()


PAHO = ("qos_pairs", "persistent_session", "retained", "retain_options", "wills", "will_loop",
        "will_delay", "takeover", "expiry", "flow")
CASES = {f"paho_{name}": paho(name) for name in PAHO}
CASES.update({f.__name__: f for f in (
    mqttjs_survive, mosquitto_qos_pairs, mosquitto_persistent_session, mosquitto_retained,
    mosquitto_will)})

if __name__ == "__main__":
    # nics.py has a few of these on the others.
    sys.exit(main(CASES, EVERYWHERE if LONG else EVERYWHERE[:4]))

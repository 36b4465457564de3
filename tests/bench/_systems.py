"""What is compared: Signalbox, mosquitto, nats-server, each on one core, behind a transport.

A system starts in __init__, tells where it is, and ends by stop(). It keeps nothing on a disk.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

import _machine as machine
from _machine import ROOT, Unfit

sys.path.insert(0, os.path.join(ROOT, "tests", "talk"))
from _box import Box, Failed  # noqa: E402

PACKAGES = {"mosquitto": "mosquitto", "nats-server": "nats-server"}
POLICY = "/usr/sbin/policy-rc.d"


def install_missing(names, say):
    """From Debian, without starting the services that the packages bring."""
    missing = [PACKAGES[n] for n in names if n in PACKAGES and find(n) is None]
    if not missing:
        return
    say(f"installing by apt: {' '.join(missing)}")
    forbid = not os.path.exists(POLICY)
    if forbid:
        with open(POLICY, "w", encoding="ascii") as f:
            f.write("#!/bin/sh\nexit 101\n")
        os.chmod(POLICY, 0o755)
    try:
        os.environ["DEBIAN_FRONTEND"] = "noninteractive"
        machine.must("apt-get", "update", "-qq")
        machine.must("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing)
        for name in missing:
            if shutil.which("systemctl"):
                subprocess.run(["systemctl", "disable", "--quiet", name], check=False,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    finally:
        if forbid:
            os.unlink(POLICY)


def find(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def wait_listening(namespace, address, port, process, patience_s=20):
    probe = (f"import socket; socket.create_connection(('{address}', {port}), 1).close()")
    until = time.monotonic() + patience_s
    while subprocess.run([*machine.inside(namespace), sys.executable, "-c", probe],
                         stderr=subprocess.DEVNULL, check=False).returncode != 0:
        if process.poll() is not None or time.monotonic() > until:
            raise Unfit(f"{process.args} does not listen on {address}:{port}")
        try:
            process.wait(0.05)  # nobody announces a port; that it died is news
        except subprocess.TimeoutExpired:
            pass


class Rival:
    """A broker of the kernel's: on the loopback of a namespace, or behind a veth pair."""

    def __init__(self, transport, spaces):
        self.transport = transport
        self.clients = spaces.name["broker" if transport == "loopback" else "clients"]
        self.address = "127.0.0.1" if transport == "loopback" else spaces.ADDRESS["broker"]
        self.folder = tempfile.mkdtemp(prefix="sb-bench-")
        os.chmod(self.folder, 0o755)
        self.process = None
        try:
            self._start(spaces.name["broker"])
        except BaseException:
            self.stop()
            raise

    def _start(self, namespace):
        with open(os.path.join(self.folder, "log"), "wb") as log:
            self.process = machine.start(
                [*machine.inside(namespace), *self.command()],
                machine.cores()[0], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_listening(namespace, self.address, self.port, self.process)

    def pids(self):
        return {self.name: self.process.pid}  # nsenter has become it

    @staticmethod
    def generator_options():
        return []

    def stop(self):
        if self.process is not None:
            machine.end(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


class Mosquitto(Rival):
    name, protocol, port = "mosquitto", "mqtt", 1883

    def command(self):
        conf = os.path.join(self.folder, "conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(f"listener {self.port} {self.address}\nallow_anonymous true\n"
                    "persistence false\nset_tcp_nodelay true\nlog_type error\n")
        return [find(self.name), "-c", conf]

    @staticmethod
    def version():
        done = subprocess.run([find("mosquitto"), "-h"], capture_output=True, check=False)
        return done.stdout.decode().split("\n", 1)[0].removeprefix("mosquitto version ")


class Nats(Rival):
    name, protocol, port = "nats-server", "nats", 4222

    def command(self):
        return [find(self.name), "-a", self.address, "-p", str(self.port)]

    @staticmethod
    def version():
        done = subprocess.run([find("nats-server"), "--version"], capture_output=True,
                              check=False)
        return done.stdout.decode().strip().rpartition(" v")[2]


class Signalbox:
    """./run, all of its processes on the broker's core."""
    name, protocol, port = "signalbox", "mqtt", 1883
    clients = "signalbox"

    def __init__(self, transport, spaces, data):
        del spaces  # ./run makes its own
        self.transport = transport
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {machine.cores()[0]})
        try:
            self.socket = os.path.join(data, "memif") if transport == "memif" else None
            self.box = Box(f"memif:{self.socket}" if self.socket else transport, "--data", data)
        except Failed as failure:
            raise Unfit(str(failure)) from None
        finally:
            os.sched_setaffinity(0, mine)
        self.address = self.box.address
        self._pids = self._find_pids()
        if self.socket is None:
            machine.widen_ports(self.clients)

    def _find_pids(self):
        pids = {n.removeprefix("signalbox-"): p for n, p in self.box.pids().items()
                if n.startswith("signalbox-")}
        if pids:
            with open(f"/proc/{next(iter(pids.values()))}/stat", encoding="ascii") as f:
                pids["launcher"] = int(f.read().rsplit(")", 1)[1].split()[1])
        return pids

    def pids(self):
        return dict(self._pids)

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.box.facts['rest']}{path}", timeout=20) as f:
            return json.load(f)

    def generator_options(self):
        """Our own TCP takes the place of the kernel's, and its address."""
        if self.socket is None:
            return []
        return [f"--memif={self.socket}",
                f"--own-address={self.box.facts['rest'].rsplit(':', 1)[0]}"]

    def counters(self):
        """One sample of all counters: what was done, and what it took."""
        rows = self.get("/api/v1/monitor/counters")["counters"]
        return {row["name"]: row["value"] for row in rows}

    def memory(self):
        """Bytes in use by part, of what grows with connections."""
        rows = self.counters()
        return {part: rows[f"MEMORY_{name}_USED"] for part, name in (
            ("tcp", "TCP"), ("session", "SESSIONS"), ("subscription", "SUBSCRIPTIONS"),
            ("controlplane_registry", "REGISTRY"), ("controlplane_heap", "HEAP"))}

    def stop(self):
        self.box.stop()

    @staticmethod
    def version():
        return machine.commit()


def generator_path():
    tree = os.environ.get("SIGNALBOX_TREE") or os.path.join(ROOT, "build", "run")
    path = os.path.join(tree, "tests", "bench", "generator")
    if not os.access(path, os.X_OK):
        raise Unfit(f"no generator at {path}: build the tree, or name another by SIGNALBOX_TREE")
    return path

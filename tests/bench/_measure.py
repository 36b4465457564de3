"""One row of the comparison: the generator around a system, and what the system used for it."""
import json
import subprocess
import threading

import _machine as machine
from _machine import Unfit

SHAPES = {
    # Options of the generator beside its defaults for the shape.
    "fan_out": [],
    "pipelined": [],
    "one_in_flight": [],
    "connects": [],
    "paced": [],  # pipelined at half of its rate, in an open loop: delay
}
PATIENCE_S = 120
# CYCLES_* of the box's counters, in the order of a turn.
STAGES = ("receive", "tcp_in", "session", "match", "fan_out", "tcp_out", "send", "link")


def generator_command(path, system, shape, seconds, warm_up, more):
    broker, own = machine.cores()
    watched = [f"--watch={name}={pid}" for name, pid in system.pids().items()]
    return [*machine.inside(system.clients), path,
            f"--to={system.address}:{system.port}", f"--protocol={system.protocol}",
            f"--shape={'pipelined' if shape == 'paced' else shape}",
            f"--seconds={seconds}", f"--warm-up={warm_up}", f"--core={own}",
            f"--broker-core={broker}", *watched, *system.generator_options(), *more]


class Generator:
    """A generator that runs; its lines, and what was seen while it measured."""

    def __init__(self, command):
        self.process = machine.start(command, machine.cores()[1], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.timer = threading.Timer(PATIENCE_S, lambda: machine.end(self.process))
        self.timer.start()

    def wait_line(self, wanted):
        for line in self.process.stdout:
            if line.startswith(wanted):
                return line
        self.process.wait()
        why = self.process.stderr.read().decode().strip()
        raise Unfit(f"the generator ended (code {self.process.returncode}): {why[-400:]}")

    def finish(self):
        self.process.stdin.close()
        result = json.loads(self.wait_line(b"{"))
        self.process.wait()
        return result

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.timer.cancel()
        machine.end(self.process)
        self.process.stdout.close()
        self.process.stderr.close()


def sample_inside(system, seconds):
    """Two samples of the box's counters within the measured time; None for others."""
    if not hasattr(system, "counters"):
        return None
    before = system.counters()
    threading.Event().wait(max(0.1, seconds * 0.8))
    return before, system.counters()


def worker_us_per_message(samples, shape):
    """The worker's busy time by its own account: empty turns of its loop do not count."""
    before, after = samples
    what = "CONNECTS" if shape == "connects" else "DELIVERIES"
    messages = after[what] - before[what]
    if messages <= 0:
        return None
    return (after["WORKER_BUSY_US"] - before["WORKER_BUSY_US"]) / messages


def stage_shares(samples):
    """Of the worker's busy time, by the turns whose cycles were measured; None: none was."""
    before, after = samples
    spent = {s: after[f"CYCLES_{s.upper()}"] - before[f"CYCLES_{s.upper()}"] for s in STAGES}
    total = sum(spent.values())
    return {s: spent[s] / total for s in STAGES} if total > 0 else None


def stages_us(samples, worker_us):
    """Microseconds per message of each stage of the worker."""
    shares = None if samples is None else stage_shares(samples)
    if shares is None or worker_us is None:
        return None
    return {s: round(shares[s] * worker_us, 5) for s in STAGES}


def busy_parts(result, samples, shape, softirqs_apart):
    """Microseconds per message of each part. Their sum is the row's busy_us_per_message."""
    parts = {p["name"]: p["us_per_message"] for p in result["processes"]
             if p["name"] != "generator"}
    if samples is not None:
        worker = worker_us_per_message(samples, shape)
        cpu = parts.pop("dataplane", None)
        # Wall time of busy turns and CPU time with empty ones: each is too much, at times.
        parts["worker"] = min((x for x in (worker, cpu) if x is not None), default=None)
    if softirqs_apart:
        messages = result["connected"] if shape == "connects" else result["delivered"]
        parts["softirqs"] = result["broker_core"]["softirq_us"] / max(1, messages)
    return parts


def row_of(result, system, shape, samples, softirqs_apart):
    parts = busy_parts(result, samples, shape, softirqs_apart)
    known = [x for x in parts.values() if x is not None]
    return {
        "shape": shape, "system": system.name, "transport": system.transport,
        "protocol": system.protocol,
        "messages_per_s": result["messages_per_s"],
        "busy_us_per_message": round(sum(known), 4) if len(known) == len(parts) else None,
        "busy_parts_us": parts, "stages_us": stages_us(samples, parts.get("worker")),
        "p50_us": result["delay"]["p50_us"], "p99_us": result["delay"]["p99_us"],
        "p99_9_us": result["delay"]["p99_9_us"],
        "lost": result["lost"], "duplicated": result["duplicated"],
        "closed": result["closed"], "refused": result["refused"], "stalls": result["stalls"],
        "loop": result["loop"], "rate": result["rate"], "seconds": result["seconds"],
        "clients": result["publishers"] * (1 + result["subscribers_each"]),
        "window": result["window"], "qos": result["qos"],
        "payload_bytes": result["payload_bytes"],
        "cores": {p["name"]: p["cores"] for p in result["processes"]},
        "generator_us_per_message": next(
            p["us_per_message"] for p in result["processes"] if p["name"] == "generator"),
        "gaps_max_us": result["gaps"]["max_us"], "gaps_percent": result["gaps_percent"],
    }


def measure(path, system, shape, conf, more=()):
    """conf: seconds, warm_up, softirqs_apart."""
    command = generator_command(path, system, shape, conf.seconds, conf.warm_up,
                                [*SHAPES[shape], *more])
    with Generator(command) as g:
        g.wait_line(b"measuring")
        samples = sample_inside(system, conf.seconds)
        result = g.finish()
    return row_of(result, system, shape, samples, conf.softirqs_apart)


def wait_told(account):
    """The control plane looks at its heap once a second."""
    if account is not None:
        threading.Event().wait(1.5)


def measure_memory(path, system, conf):
    """Bytes that one idle connection with one subscription takes, by the system's own account
    where it has one, else by what its processes have resident; the kernel's share apart."""
    command = generator_command(path, system, "idle", 0, 0, [f"--idle={conf.idle}", "--noise=0"])
    before = {name: machine.rss_bytes(pid) for name, pid in system.pids().items()}
    slab = machine.slab_bytes()
    account = system.memory() if hasattr(system, "memory") else None
    with Generator(command) as g:
        g.wait_line(b"measuring")
        after = {name: machine.rss_bytes(pid) for name, pid in system.pids().items()}
        # Half of it: the generator's ends are the kernel's, too. Ours are not.
        kernel = (machine.slab_bytes() - slab) / 2 / conf.idle if account is None else 0
        wait_told(account)
        more = system.memory() if account is not None else None
        g.finish()
    rss = {name: round((after[name] - before[name]) / conf.idle, 1) for name in after}
    found = {"connections": conf.idle, "rss_bytes": rss, "kernel_bytes": round(kernel, 1)}
    if account is not None:
        found["parts_bytes"] = {name: round((more[name] - account[name]) / conf.idle, 1)
                                for name in more}
        found["bytes"] = round(sum(found["parts_bytes"].values()), 1)
    else:
        found["bytes"] = round(sum(rss.values()), 1)
    return found

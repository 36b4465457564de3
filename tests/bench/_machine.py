"""What this machine is, and how a command gets a place on it: a core, a namespace."""
import atexit
import gzip
import os
import platform
import resource
import signal
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NETNS = "/run/netns"
DESCRIPTORS = 65536


class Unfit(Exception):
    """Something that a measurement needs is not here."""


def cores():
    """(the broker's, the generator's): the first two that we may use."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[1 if len(allowed) > 1 else 0]


def first_line(path, beginning=""):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return next((x.strip() for x in f if x.startswith(beginning)), "")
    except OSError:
        return ""


def kernel_config(name):
    """'y', 'm', a value, or None where it is off or nobody tells."""
    release = platform.release()
    for path in ("/proc/config.gz", f"/boot/config-{release}"):
        try:
            opener = gzip.open if path.endswith(".gz") else open
            with opener(path, "rt", encoding="ascii", errors="replace") as f:
                for line in f:
                    if line.startswith(f"CONFIG_{name}="):
                        return line.strip().split("=", 1)[1]
                return None
        except OSError:
            continue
    return None


def commit():
    done = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"],
                          capture_output=True, check=False)
    return done.stdout.decode().strip() or "unknown"


def facts():
    broker, generator = cores()
    memory = first_line("/proc/meminfo", "MemTotal").split()
    return {
        "cpu": first_line("/proc/cpuinfo", "model name").partition(": ")[2],
        "mhz": float(first_line("/proc/cpuinfo", "cpu MHz").partition(": ")[2] or 0),
        "cores": os.cpu_count(),
        "broker_core": broker,
        "generator_core": generator,
        "memory_mib": int(memory[1]) // 1024 if len(memory) > 1 else None,
        "kernel": platform.release(),
        "virtual": "hypervisor" in first_line("/proc/cpuinfo", "flags").split(),
        "softirqs_apart": kernel_config("IRQ_TIME_ACCOUNTING") == "y",
        "load_before": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "signalbox_commit": commit(),
    }


def rss_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def slab_bytes():
    return int(first_line("/proc/meminfo", "Slab:").split()[1]) * 1024


def cpu_us(pid):
    """CPU time of all its threads."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000000 // os.sysconf("SC_CLK_TCK")


def inside(namespace):
    """The beginning of a command that runs in a network namespace."""
    return ["nsenter", f"--net={NETNS}/{namespace}", "--"]


def start(command, core, **more):
    """A process on one core, in a group of its own, with room for connections."""
    def prepare():
        os.sched_setaffinity(0, {core})
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, DESCRIPTORS),) * 2)
        except ValueError:  # root of a container, or nobody: what is allowed must do
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return subprocess.Popen([str(a) for a in command], start_new_session=True,
                            preexec_fn=prepare, **more)


def end(process):
    """Politely, then not. Only the group that `start` made."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, number)
            process.wait(5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def must(*command):
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise Unfit(f"{' '.join(map(str, command))}: {done.stdout.decode().strip()}")
    return done.stdout.decode()


class Namespaces:
    """Two network namespaces joined by a veth pair; gone when the script ends."""
    ADDRESS = {"broker": "10.255.0.1", "clients": "10.255.0.2"}

    def __init__(self):
        self.name = {role: f"sb-bench-{role[0]}{os.getpid()}" for role in self.ADDRESS}
        atexit.register(self.remove)
        for name in self.name.values():
            must("ip", "netns", "add", name)
            must("ip", "-n", name, "link", "set", "lo", "up")
            widen_ports(name)
        must("ip", "-n", self.name["broker"], "link", "add", "eth0", "type", "veth",
             "peer", "name", "eth0", "netns", self.name["clients"])
        for role, name in self.name.items():
            must("ip", "-n", name, "addr", "add", f"{self.ADDRESS[role]}/24", "dev", "eth0")
            must("ip", "-n", name, "link", "set", "eth0", "up")

    def remove(self):
        for name in self.name.values():
            if os.path.exists(os.path.join(NETNS, name)):
                subprocess.run(["ip", "netns", "del", name], check=False)


def widen_ports(namespace):
    """More connections to one address than the kernel's choice of ports allows."""
    must(*inside(namespace), "sh", "-c",
         "echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range")

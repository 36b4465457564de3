#!/usr/bin/env python3
"""The benchmarks run, and say what they are meant to say. No figure is judged here."""
import json
import os
import subprocess
import sys
import tempfile

from _box import ROOT, beside, check, main

BENCH = os.path.join(ROOT, "tests", "bench")
RUN_KEYS = {"shape", "system", "transport", "messages_per_s", "busy_us_per_message", "p50_us",
            "p99_us", "lost", "memory_per_connection_bytes"}


def generator():
    tree = os.environ.get("SIGNALBOX_TREE") or os.path.join(ROOT, "build", "run")
    return os.path.join(tree, "tests", "bench", "generator")


def generate(box, *options):
    out = beside(generator(), f"--to={box.facts['mqtt']}", "--warm-up=0.1", "--seconds=0.3",
                 "--noise=0", *options)
    return json.loads(out.splitlines()[-1])


def generator_loses_nothing(box):
    for options in (["--shape=pipelined"], ["--shape=pipelined", "--qos=1"],
                    ["--shape=pipelined", "--qos=2"], ["--shape=pipelined", "--rate=1000"],
                    ["--shape=fan_out", "--subscribers=100"],
                    ["--shape=one_in_flight", "--publishers=100"]):
        result = generate(box, *options)
        check(result["delivered"] > 0 and result["lost"] == 0 and result["duplicated"] == 0 and
              result["broken"] == 0 and result["closed"] == 0, f"{options}: {result}")


def generator_comes_and_goes(box):
    result = generate(box, "--shape=connects", "--publishers=10")
    check(result["connected"] > 0 and result["refused"] == 0 and result["broken"] == 0,
          f"{result}")


def comparison_has_its_format(nic):
    del nic  # it starts a box of its own
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "out.json")
        done = subprocess.run(
            [os.path.join(BENCH, "compare"), "--systems=signalbox", "--shapes=pipelined,paced",
             "--seconds=0.3", "--repeat=1", "--idle=100", f"--json={path}"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=180, check=False)
        check(done.returncode == 0, done.stderr.decode()[-1000:])
        with open(path, encoding="utf-8") as f:
            document = json.load(f)
    runs = document["runs"]
    check(runs and all(RUN_KEYS <= set(r) for r in runs), f"{runs}")
    check({"cpu", "cores", "kernel", "versions"} <= set(document["machine"]), f"{document}")
    for row in runs:
        check(row["messages_per_s"] > 0 and row["busy_us_per_message"] > 0, f"{row}")
        check(0 < row["memory_per_connection_bytes"] < 4096, f"{row}")
    parts = document["memory"][0]["parts_bytes"]
    check(all(parts[x] > 0 for x in ("tcp", "session", "subscription")), f"{parts}")


comparison_has_its_format.alone = True
CASES = {f.__name__: f for f in (
    generator_loses_nothing, generator_comes_and_goes, comparison_has_its_format)}

if __name__ == "__main__":
    sys.exit(main(CASES, [("tap", 1)]))

"""Build trees: how each is configured, and what is in it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from process import run

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
JOBS = max(1, len(os.sched_getaffinity(0)))

SANITIZE = ["-Db_sanitize=address,undefined", "-Dfuzz=true", "-Db_lundef=false"]
# Compares are not traced: that finds less in a minute and runs more than twice as many inputs.
FUZZ_LONG = [*SANITIZE, "-Dc_args=-fno-sanitize-coverage=trace-cmp"]
COVERAGE = "-fprofile-instr-generate -fcoverage-mapping"


@dataclass
class Registered:
    argv: list  # relative names are of the tree
    env: dict
    timeout_s: int
    compiled: bool  # else a script, which is one test


class BuildFailed(Exception):
    pass


class Tree:
    """One configuration of the sources; built at most once a run, and only as far as asked."""

    def __init__(self, name, compiler, options, source=ROOT):
        self.name = name
        self.path = BUILD / name
        self.source = source
        self.compiler = compiler
        self.options = options
        self.built = set()
        self.configured = False
        self.broken = False

    def configure(self):
        """Sets it up, or anew where a meson.build has changed: what introspect says is then so."""
        if self.configured:
            return
        if (self.path / "build.ninja").exists():
            self._step(["ninja", "-C", self.path, "build.ninja"], "setup")
        else:
            self._step(["meson", "setup", *self.options, self.path, self.source], "setup")
        self.configured = True

    def build(self, *targets):
        """All targets, or the named ones."""
        self.configure()
        wanted = set(targets) or {"all"}
        if "all" in self.built or wanted <= self.built:
            return
        self._step(["ninja", "-C", self.path, f"-j{JOBS}", *sorted(wanted)], "ninja")
        self.built |= wanted

    def _step(self, argv, what):
        if self.broken:
            raise BuildFailed(f"{self.name} did not build, see above")
        ended = run(argv, 1800, env={"CC": self.compiler, "LLVM_PROFILE_FILE": os.devnull})
        log = BUILD / "log" / f"{self.name}-{what}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(ended.output)
        if ended.code != 0:
            self.broken = True
            raise BuildFailed(f"{self.name}: {what}: {ended.why()}\n{excerpt(ended.output)}")

    def introspect(self, what):
        self.configure()
        ended = run(["meson", "introspect", f"--{what}", self.path], 120)
        if ended.code != 0:
            raise BuildFailed(f"{self.name}: introspect: {ended.output}")
        return json.loads(ended.output)

    def tests(self, suite):
        """What is registered in meson with that suite, by name: {name: Registered}."""
        found = {}
        for test in self.introspect("tests"):
            if suite not in {s.split(":")[-1] for s in test["suite"]}:
                continue
            program = Path(test["cmd"][0])
            compiled = self.path in program.parents
            name = program.name.removesuffix("_test") if compiled else test["name"]
            if name in found:
                raise BuildFailed(f"two tests of {suite} are called {name}")
            found[name] = Registered(test["cmd"], test["env"], test["timeout"], compiled)
        return dict(sorted(found.items()))

    def fuzzers(self):
        """{"mqtt": path} for each executable mqtt_fuzz."""
        found = {}
        for target in self.introspect("targets"):
            if target["type"] == "executable" and target["name"].endswith("_fuzz"):
                found[target["name"].removesuffix("_fuzz")] = Path(target["filename"][0])
        return dict(sorted(found.items()))


def excerpt(output):
    """The first complaint and what follows it; without one, the end."""
    lines = output.splitlines()
    first = next((i for i, line in enumerate(lines) if line.startswith("FAILED:")), -60)
    return "\n".join(lines[first:][:60])


def trees():
    return {
        "gcc": Tree("test-gcc", "gcc", []),
        "asan": Tree("test-asan", "clang", SANITIZE),
        "fuzz": Tree("test-fuzz", "clang", FUZZ_LONG),
        "cov": Tree("test-cov", "clang", [f"-Dc_args={COVERAGE}", f"-Dc_link_args={COVERAGE}"]),
    }

"""mutation.tcp: of 200 small changes to the TCP stack, at least nine in ten are noticed.

Each mutant (mutants.py) is made in a copy of the sources below build/, compiled and run against
the programs that test TCP, in the order of what they cost, until one of them fails. What survives
must be explained in tests/mutation/tcp.txt. Only with --long, or by name; SIGNALBOX_MUTANT_SEED
chooses other mutants, SIGNALBOX_MUTANTS another number. All verdicts: build/mutation/tcp.log.
"""

import os
import time

from mutants import applied, choose
from planted import copy_sources
from process import run
from report import FAILED, PASSED, Result
from tree import BUILD, ROOT, BuildFailed, Tree

COPY = BUILD / "mutation" / "source"
EXPLAINED = ROOT / "tests" / "mutation" / "tcp.txt"
LOG = BUILD / "mutation" / "tcp.log"
COUNT = 200
PERCENT_MIN = 90
SEED = "1"
SOURCES = "dataplane/tcp"
NOT_MUTATED = ("_test.c", "_fuzz.c", "_rig.c", "tcp_check.c")
STREAMS_SEED = {"SIGNALBOX_SEED": "1"}
LAST = [("tests/wire/tcp_pair_test", []), ("tests/sim/stream_sim", ["streams_of_fresh_seeds"])]
TIMES = 10  # as long as without a mutant, and
PATIENCE_S = 20


def explanations():
    """tests/mutation/tcp.txt: {key of a mutant: why it may live}; blocks, an empty line between."""
    lines = [line for line in EXPLAINED.read_text().splitlines() if not line.startswith("#")]
    blocks = [b.strip().split("\n") for b in "\n".join(lines).split("\n\n") if b.strip()]
    return {" ".join(part.strip() for part in b[:2]): " ".join(b[2:]) for b in blocks}


class Mutation:
    def __init__(self, context):
        self.context = context
        options = ["-Dwerror=false", "-Doptimization=0", "-Ddebug=false"]
        self.tree = Tree("mutation/tree", "gcc", options, source=COPY)

    def list(self):
        return ["mutation.tcp"]

    def prepare(self, wanted):
        if self._asked():
            copy_sources(COPY)
            self.tree.configure()

    def run(self, wanted):
        if not self._asked():
            return
        started = time.monotonic()
        try:
            verdict, text = self._all()
        finally:
            copy_sources(COPY)
        yield Result("mutation.tcp", verdict, text, time.monotonic() - started)

    def _asked(self):
        return self.context.long or self.context.named

    def _judges(self):
        """[(target of meson, arguments)], the quick ones first."""
        names = [t["filename"][0] for t in self.tree.introspect("targets")]
        names = [os.path.relpath(name, self.tree.path) for name in names]
        unit = sorted(n for n in names if n.startswith(SOURCES) and n.endswith("_test"))
        return [("tests/wire/wire_test", []), *((name, []) for name in unit), *LAST]

    def _all(self):
        files = {
            str(p.relative_to(ROOT)): p.read_text()
            for p in sorted((ROOT / SOURCES).glob("*.c"))
            if not p.name.endswith(NOT_MUTATED)
        }
        seed = os.environ.get("SIGNALBOX_MUTANT_SEED", SEED)
        wanted = int(os.environ.get("SIGNALBOX_MUTANTS", COUNT))
        judges = self._judges()
        limits, problem = self._limits(judges)
        if problem:
            return FAILED, problem
        killed, survived, log = 0, [], []
        for mutant in choose(files, seed):
            if killed + len(survived) == wanted:
                break
            by = self._one(mutant, files[mutant.path], judges, limits)
            if by is None:
                continue  # it does not compile: the compiler noticed, but that is no test
            killed += by != ""
            survived += [mutant] if by == "" else []
            log.append(f"{by or 'SURVIVED'}: {mutant.where()}")
            LOG.write_text("\n".join(log) + "\n")
        return self._verdict(seed, killed, survived)

    def _verdict(self, seed, killed, survived):
        explained = explanations()
        total = killed + len(survived)
        percent = 100 * killed / max(1, total)
        said = f"seed {seed}: {killed} of {total} mutants killed, {percent:.1f} %"
        print(f"# mutation.tcp: {said}; all in {LOG.relative_to(ROOT)}", flush=True)
        unknown = [m.where() for m in survived if m.key() not in explained]
        if percent < PERCENT_MIN or unknown:
            lines = [said, *(m.where() for m in survived if m.key() in explained)]
            if unknown:
                lines += ["not explained in tests/mutation/tcp.txt:", *unknown]
            return FAILED, "\n".join(lines)
        return PASSED, ""

    def _limits(self, judges):
        """({target: seconds}, problem): how long each may take; unchanged, all must pass."""
        limits = {}
        self.tree.build(*(target for target, _ in judges))
        for target, arguments in judges:
            started = time.monotonic()
            ended = run([self.tree.path / target, *arguments], 600, env=STREAMS_SEED)
            if ended.code != 0:
                return {}, f"{target} fails without a mutant\n{ended.output[-2000:]}"
            limits[target] = TIMES * (time.monotonic() - started) + PATIENCE_S
        return limits, ""

    def _one(self, mutant, text, judges, limits):
        """The program that noticed, "" for none, None if it does not compile."""
        source = COPY / mutant.path
        source.write_text(applied(mutant, text))
        try:
            for target, arguments in judges:
                if not self._compile(target):
                    return None
                argv = [self.tree.path / target, *arguments]
                if run(argv, limits[target], env=STREAMS_SEED).code != 0:
                    return target
            return ""
        finally:
            source.write_text(text)

    def _compile(self, target):
        self.tree.built.clear()
        self.tree.broken = False
        try:
            self.tree.build(target)
        except BuildFailed:
            return False
        return True

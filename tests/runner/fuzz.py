"""fuzz.TARGET: replays tests/corpus/TARGET, then fuzzes for a while from there.

--long: ten million executions of each target under ASan and UBSan, shared by as many processes as
the cores have room for. fuzz.TARGET_MODE: the same of a target that can be run in another way, too.
"""

import functools
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from compiled import SANITIZERS
from process import run
from programs import together
from report import FAILED, PASSED, Result
from tree import BUILD, JOBS, ROOT

SECONDS = 5
RUNS_LONG = 10_000_000
LONG_TIMEOUT_S = 4 * 3600
LIMITS = ["-timeout=10", "-rss_limit_mb=2048", "-close_fd_mask=1", "-print_final_stats=1"]
# A world that outlives its input looks like a leak: each would be run twice, with a search. The
# search at the end of the process stays.
TARGET = {"ring": ["-detect_leaks=0"]}
# Entropic scheduling finds more in a minute, but over millions of runs it costs more than it finds:
# three quarters of the time of fuzz.tcp. To look in each run for a shorter input costs a tenth.
LONG = ["-entropic=0", "-reduce_inputs=0"]
# Inputs of these grow into long conversations that find nothing that short ones do not.
LONG_TARGET = {"tcp": ["-max_len=128"], "ring": ["-max_len=128"]}
# A report needs no long stacks, the replay has them; no input frees more than 16 MiB. What is used
# after its function has returned is for the short runs to find: it costs a fifth.
LONG_ASAN = "malloc_context_size=8:quarantine_size_mb=16:detect_stack_use_after_return=0"


@dataclass
class Mode:
    target: str
    env: dict
    cores: int  # that one process keeps busy


@dataclass
class Part:
    name: str
    mode: Mode
    program: Path
    shard: str
    budget: list
    env: dict


MODES = {"ring_thread": Mode("ring", {"RING_FUZZ_THREAD": "1"}, 2)}
OUTPUT_LINES_MAX = 60


def fuzz_once(target, program, scratch, budget, timeout_s, env=SANITIZERS):
    """Ended; new inputs and what broke it go to `scratch`, never to the committed corpus."""
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "new").mkdir(parents=True)
    options = [*LIMITS, *TARGET.get(target, []), *budget]
    argv = [program, *options, f"-artifact_prefix={scratch}/", scratch / "new"]
    return run([*argv, ROOT / "tests" / "corpus" / target], timeout_s, env=env)


def long_sanitizers():
    return {**SANITIZERS, "ASAN_OPTIONS": f"{SANITIZERS['ASAN_OPTIONS']}:{LONG_ASAN}"}


class Fuzz:
    def __init__(self, context):
        self.context = context
        self.tree = context.trees["fuzz" if context.long else "asan"]

    def list(self):
        return [f"fuzz.{name}" for name in self._modes()]

    def prepare(self, wanted):
        programs = self._chosen(wanted).values()
        self.tree.build(*{str(p.relative_to(self.tree.path)) for _, p in programs})

    def run(self, wanted):
        chosen = self._chosen(wanted).items()
        if self.context.long:
            for name, (mode, program) in chosen:
                yield self._long(name, mode, program)
            return
        yield from together([functools.partial(self._short, n, m, p) for n, (m, p) in chosen])

    def _modes(self):
        """{name: (Mode, program)}"""
        programs = self.tree.fuzzers()
        found = {target: (Mode(target, {}, 1), p) for target, p in programs.items()}
        found |= {n: (m, programs[m.target]) for n, m in MODES.items() if m.target in programs}
        return dict(sorted(found.items()))

    def _chosen(self, wanted):
        return {n: found for n, found in self._modes().items() if f"fuzz.{n}" in wanted}

    def _short(self, name, mode, program):
        started = time.monotonic()
        budget = [f"-max_total_time={SECONDS}"]
        return self._part(Part(name, mode, program, "0", budget, SANITIZERS), 120, started)

    def _long(self, name, mode, program):
        """Its shards together: the first failure, or how long all took."""
        started = time.monotonic()
        count = max(1, JOBS // mode.cores)
        runs = -(-RUNS_LONG // count)
        shards = []
        for shard in range(count):
            options = [*LONG, *LONG_TARGET.get(mode.target, [])]
            budget = [*options, f"-runs={runs}", f"-seed={shard + 1}"]
            part = Part(name, mode, program, str(shard), budget, long_sanitizers())
            shards.append(functools.partial(self._part, part, LONG_TIMEOUT_S, started))
        results = list(together(shards))
        return next((r for r in results if r.verdict == FAILED), results[-1])

    def _part(self, part, timeout_s, started):
        test, target = f"fuzz.{part.name}", part.mode.target
        corpus = ROOT / "tests" / "corpus" / target
        if not corpus.is_dir() or not any(corpus.iterdir()):
            return Result(test, FAILED, f"tests/corpus/{target} is empty")
        scratch = BUILD / "fuzz" / part.name / part.shard
        env = {**part.env, **part.mode.env}
        ended = fuzz_once(target, part.program, scratch, part.budget, timeout_s, env)
        seconds = time.monotonic() - started
        if ended.code == 0:
            return Result(test, PASSED, "", seconds)
        return Result(test, FAILED, complaint(ended, part, scratch), seconds)


def complaint(ended, part, scratch):
    tail = "\n".join(ended.output.splitlines()[-OUTPUT_LINES_MAX:])
    kept = " ".join(str(p.relative_to(ROOT)) for p in scratch.iterdir() if p.is_file())
    words = [*(f"{k}={v}" for k, v in part.mode.env.items()), str(part.program.relative_to(ROOT))]
    return f"{ended.why()}; input: {kept}\nagain: {' '.join(words)} INPUT\n{tail}"

"""fuzz.TARGET: replays tests/corpus/TARGET, then fuzzes for a while from there."""

import functools
import shutil
import time

from compiled import SANITIZERS
from process import run
from programs import together
from report import FAILED, PASSED, Result
from tree import BUILD, ROOT

SECONDS = 5
RUNS_LONG = 10_000_000
LIMITS = ["-timeout=10", "-rss_limit_mb=2048", "-close_fd_mask=1", "-print_final_stats=1"]
# Entropic scheduling finds more in a minute, but over millions of runs it costs more than it finds:
# three quarters of the time of fuzz.tcp.
LONG = ["-entropic=0", f"-runs={RUNS_LONG}"]
OUTPUT_LINES_MAX = 60


def fuzz_once(target, program, scratch, budget, timeout_s):
    """Ended; new inputs and what broke it go to `scratch`, never to the committed corpus."""
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "new").mkdir(parents=True)
    argv = [program, *LIMITS, *budget, f"-artifact_prefix={scratch}/", scratch / "new"]
    return run([*argv, ROOT / "tests" / "corpus" / target], timeout_s, env=SANITIZERS)


class Fuzz:
    def __init__(self, context):
        self.context = context
        self.tree = context.trees["asan"]

    def list(self):
        return [f"fuzz.{target}" for target in self.tree.fuzzers()]

    def prepare(self, wanted):
        programs = self.tree.fuzzers().items()
        chosen = [p for target, p in programs if f"fuzz.{target}" in wanted]
        self.tree.build(*(str(p.relative_to(self.tree.path)) for p in chosen))

    def run(self, wanted):
        programs = self.tree.fuzzers().items()
        chosen = [(t, p) for t, p in programs if f"fuzz.{t}" in wanted]
        yield from together([functools.partial(self._one, t, p) for t, p in chosen])

    def _one(self, target, program):
        test = f"fuzz.{target}"
        corpus = ROOT / "tests" / "corpus" / target
        if not corpus.is_dir() or not any(corpus.iterdir()):
            return Result(test, FAILED, f"tests/corpus/{target} is empty")
        started = time.monotonic()
        budget = LONG if self.context.long else [f"-max_total_time={SECONDS}"]
        scratch = BUILD / "fuzz" / target
        ended = fuzz_once(target, program, scratch, budget, 7200 if self.context.long else 120)
        seconds = time.monotonic() - started
        if ended.code == 0:
            return Result(test, PASSED, "", seconds)
        tail = "\n".join(ended.output.splitlines()[-OUTPUT_LINES_MAX:])
        kept = " ".join(str(p.relative_to(ROOT)) for p in scratch.iterdir() if p.is_file())
        text = f"{ended.why()}; input: {kept}\nagain: {program.relative_to(ROOT)} INPUT\n{tail}"
        return Result(test, FAILED, text, seconds)

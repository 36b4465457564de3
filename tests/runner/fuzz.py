"""fuzz.TARGET: replays tests/corpus/TARGET, then fuzzes for a while from there.

--long: ten million executions of each target under ASan and UBSan, shared by as many processes as
there are cores.
"""

import functools
import shutil
import time

from compiled import SANITIZERS
from process import run
from programs import together
from report import FAILED, PASSED, Result
from tree import BUILD, JOBS, ROOT

SECONDS = 5
RUNS_LONG = 10_000_000
LONG_TIMEOUT_S = 4 * 3600
LIMITS = ["-timeout=10", "-rss_limit_mb=2048", "-close_fd_mask=1", "-print_final_stats=1"]
# Entropic scheduling finds more in a minute, but over millions of runs it costs more than it finds:
# three quarters of the time of fuzz.tcp.
LONG = ["-entropic=0"]
# Inputs of these grow into long conversations that find nothing that short ones do not.
LONG_TARGET = {"tcp": ["-max_len=128"]}
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
        self.tree = context.trees["fuzz" if context.long else "asan"]

    def list(self):
        return [f"fuzz.{target}" for target in self.tree.fuzzers()]

    def prepare(self, wanted):
        programs = self.tree.fuzzers().items()
        chosen = [p for target, p in programs if f"fuzz.{target}" in wanted]
        self.tree.build(*(str(p.relative_to(self.tree.path)) for p in chosen))

    def run(self, wanted):
        programs = self.tree.fuzzers().items()
        chosen = [(t, p) for t, p in programs if f"fuzz.{t}" in wanted]
        if self.context.long:
            for target, program in chosen:
                yield self._long(target, program)
            return
        yield from together([functools.partial(self._short, t, p) for t, p in chosen])

    def _short(self, target, program):
        started = time.monotonic()
        budget = [f"-max_total_time={SECONDS}"]
        return self._part(target, program, "0", budget, 120, started)

    def _long(self, target, program):
        """Its shards together: the first failure, or how long all took."""
        started = time.monotonic()
        runs = -(-RUNS_LONG // JOBS)
        shards = []
        for shard in range(JOBS):
            budget = [*LONG, *LONG_TARGET.get(target, []), f"-runs={runs}", f"-seed={shard + 1}"]
            shards.append(functools.partial(
                self._part, target, program, str(shard), budget, LONG_TIMEOUT_S, started))
        results = list(together(shards))
        return next((r for r in results if r.verdict == FAILED), results[-1])

    def _part(self, target, program, shard, budget, timeout_s, started):
        test = f"fuzz.{target}"
        corpus = ROOT / "tests" / "corpus" / target
        if not corpus.is_dir() or not any(corpus.iterdir()):
            return Result(test, FAILED, f"tests/corpus/{target} is empty")
        scratch = BUILD / "fuzz" / target / shard
        ended = fuzz_once(target, program, scratch, budget, timeout_s)
        seconds = time.monotonic() - started
        if ended.code == 0:
            return Result(test, PASSED, "", seconds)
        tail = "\n".join(ended.output.splitlines()[-OUTPUT_LINES_MAX:])
        kept = " ".join(str(p.relative_to(ROOT)) for p in scratch.iterdir() if p.is_file())
        text = f"{ended.why()}; input: {kept}\nagain: {program.relative_to(ROOT)} INPUT\n{tail}"
        return Result(test, FAILED, text, seconds)

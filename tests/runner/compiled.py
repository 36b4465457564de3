"""unit, wire and sim: test programs built by meson, run plain and under the sanitizers."""

import functools

from programs import Program, together
from report import FAILED, Result

SANITIZERS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=0",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}
TIMEOUT_S = {"unit": 180, "wire": 300, "sim": 900, "talk": 300}


class Compiled:
    """What meson has registered for a suite.

    Programs: the plain run is the test, the sanitizers' run of a whole program is asan.PROGRAM.
    A script is one test. A program that cannot even list its tests is one that fails.
    """

    def __init__(self, name, context):
        self.name = name
        self.context = context

    def list(self):
        plain, checked, scripts, _ = self._programs()
        return [test for p in plain for test in p.ids] + sorted(checked) + sorted(scripts)

    def prepare(self, wanted):
        if any(test.startswith("asan.") for test in wanted):
            self.context.trees["asan"].build()

    def run(self, wanted):
        plain, checked, scripts, broken = self._programs()
        yield from broken
        jobs = []
        for p in plain:
            names = [n for n, test in zip(p.names, p.ids) if test in wanted]
            if names:
                jobs.append(functools.partial(p.run, names, p.prefix))
        for test, p in checked.items():
            if test in wanted:
                jobs.append(lambda p=p, test=test: [p.run_whole(p.names, test)])
        for test, p in scripts.items():
            if test in wanted:
                jobs.append(lambda p=p, test=test: [p.run_plain(test)])
        for results in together(jobs):
            yield from results

    def _program(self, tree, name, registered, slower=1):
        env = {**self.context.env, **registered.env, **(SANITIZERS if slower > 1 else {})}
        limit = max(TIMEOUT_S[self.name], registered.timeout_s) * slower
        return Program(name, registered.argv, env, limit, tree.path)

    @functools.lru_cache(maxsize=None)
    def _programs(self):
        gcc, asan = self.context.trees["gcc"], self.context.trees["asan"]
        gcc.build()
        plain, checked, scripts, broken, seen = [], {}, {}, [], set()
        sanitized = asan.tests(self.name)
        for name, registered in gcc.tests(self.name).items():
            p = self._program(gcc, name, registered)
            if not registered.compiled:
                scripts[f"{self.name}.{name}"] = p
                continue
            p.prefix = f"unit.{name}." if self.name == "unit" else f"{self.name}."
            try:
                p.names = p.list()
            except RuntimeError as problem:
                broken.append(Result(f"{p.prefix}list", FAILED, str(problem)))
                continue
            p.ids = [p.prefix + n for n in p.names]
            if seen & set(p.ids):
                raise RuntimeError(f"named twice in {self.name}: {sorted(seen & set(p.ids))}")
            seen |= set(p.ids)
            plain.append(p)
            twin = self._program(asan, name, sanitized[name], slower=3)
            twin.names = p.names
            checked[f"asan.{name}"] = twin
        return plain, checked, scripts, broken

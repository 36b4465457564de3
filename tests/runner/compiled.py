"""unit, wire and sim: test programs built by meson, run plain and under the sanitizers."""

import functools

from programs import Program, together

SANITIZERS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=0",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}
TIMEOUT_S = {"unit": 180, "wire": 300, "sim": 900}


class Compiled:
    """The plain run is the test; the sanitizers' run of a whole program is asan.PROGRAM."""

    def __init__(self, name, context):
        self.name = name
        self.context = context

    def list(self):
        plain, checked = self._programs()
        return [test for p in plain for test in p.ids] + sorted(checked)

    def run(self, wanted):
        plain, checked = self._programs()
        jobs = []
        for p in plain:
            names = [n for n, test in zip(p.names, p.ids) if test in wanted]
            if names:
                jobs.append(functools.partial(p.run, names, p.prefix))
        for test, p in checked.items():
            if test in wanted:
                jobs.append(lambda p=p, test=test: [p.run_whole(p.names, test)])
        for results in together(jobs):
            yield from results

    @functools.lru_cache(maxsize=None)
    def _programs(self):
        gcc, asan = self.context.trees["gcc"], self.context.trees["asan"]
        gcc.build()
        env, limit = self.context.env, TIMEOUT_S[self.name]
        plain, checked, seen = [], {}, set()
        sanitized = dict(asan.tests(self.name))
        for name, path in gcc.tests(self.name):
            p = Program(name, [path], env, limit)
            p.names = p.list()
            p.prefix = f"unit.{name}." if self.name == "unit" else f"{self.name}."
            p.ids = [p.prefix + n for n in p.names]
            if seen & set(p.ids):
                raise RuntimeError(f"named twice in {self.name}: {sorted(seen & set(p.ids))}")
            seen |= set(p.ids)
            plain.append(p)
            if name in sanitized:
                twin = Program(name, [sanitized[name]], {**env, **SANITIZERS}, limit * 3)
                twin.names = p.names
                checked[f"asan.{name}"] = twin
        return plain, checked

    def prepare(self, wanted):
        if any(test.startswith("asan.") for test in wanted):
            self.context.trees["asan"].build()

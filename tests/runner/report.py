"""Collects what the tests said: quiet about success, complete about failure."""

import json
import time
from dataclasses import dataclass

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclass
class Result:
    test: str  # its id: "unit.wheel.fires_in_order"
    verdict: str
    text: str = ""  # why it failed or was skipped
    seconds: float = 0.0


class Report:
    def __init__(self, skip_is_failure):
        self.results = []
        self.skip_is_failure = skip_is_failure

    def add(self, result):
        if result.verdict == SKIPPED and self.skip_is_failure:
            result = Result(result.test, FAILED, "skipped: " + result.text, result.seconds)
        self.results.append(result)
        if result.verdict == FAILED:
            print(f"not ok {result.test}: {result.text.rstrip()}", flush=True)
        elif result.verdict == SKIPPED:
            print(f"skip {result.test}: {result.text.rstrip()}", flush=True)

    def count(self, verdict, since=0):
        return sum(r.verdict == verdict for r in self.results[since:])

    def suite(self, name, results, started):
        """Takes the results of one suite as they come, and says how it went in one line."""
        since = len(self.results)
        for result in results:
            self.add(result)
        passed, failed, skipped = (self.count(v, since) for v in (PASSED, FAILED, SKIPPED))
        if not passed + failed + skipped:
            return
        line = f"{name}: {passed} passed"
        line += f", {failed} failed" if failed else ""
        line += f", {skipped} skipped" if skipped else ""
        print(f"{line} in {time.monotonic() - started:.1f} s", flush=True)

    def save(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([vars(r) for r in self.results], indent=1) + "\n")

    def close(self):
        """The last line, which machines read. A run that tested nothing has failed."""
        passed, failed, skipped = (self.count(v) for v in (PASSED, FAILED, SKIPPED))
        print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
        return 0 if failed == 0 and passed > 0 else 1

"""./test - builds the project and runs its suites. How to: docs/how-to/test.md."""

import argparse
import fnmatch
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import report
from compiled import Compiled
from context import Context
from coverage import Coverage
from fuzz import Fuzz
from mutation import Mutation
from planted import Planted
from process import end_with_us
from scripts import Scripts
from tidysuite import Tidy
from tree import BUILD, BuildFailed

SUITES = ["tidy", "unit", "fuzz", "wire", "sim", "mutation", "talk", "browser"]


def suites_of(name, context):
    if name == "tidy":
        return [Tidy(context)]
    if name == "fuzz":
        return [Fuzz(context), Coverage(context), Planted(context)]
    if name == "mutation":
        return [Mutation(context)]
    if name == "talk":
        return [Scripts(name, context), Compiled(name, context)]
    if name == "browser":
        return [Scripts(name, context)]
    return [Compiled(name, context)]


def arguments():
    parser = argparse.ArgumentParser(
        prog="./test", description="Builds the project and runs its tests."
    )
    parser.add_argument("--suite", action="append", choices=SUITES, help="only this suite")
    parser.add_argument("--long", action="store_true", help="long fuzzing, more simulations")
    parser.add_argument("--list", action="store_true", help="print the ids of all tests")
    parser.add_argument("ids", nargs="*", metavar="ID", help="an id, its beginning, or a pattern")
    return parser.parse_args()


def matches(test, patterns):
    return not patterns or any(
        test == p or test.startswith(p + ".") or fnmatch.fnmatchcase(test, p) for p in patterns
    )


def suites_for(patterns):
    """The suites that can hold those ids, so that one test does not build the world."""
    first = {p.split(".")[0] for p in patterns}
    if not patterns or not first <= set(SUITES) | {"asan"}:
        return SUITES
    compiled = {"unit", "wire", "sim"} if "asan" in first else set()
    return [s for s in SUITES if s in first | compiled]


def listed(suite):
    """Its ids; a suite that cannot list is one failed test."""
    try:
        return suite.list(), None
    except (BuildFailed, RuntimeError, OSError) as problem:
        return [], str(problem)


def results_of(name, suites, args):
    for suite in suites:
        ids, problem = listed(suite)
        wanted = {test for test in ids if matches(test, args.ids)}
        try:
            if problem:
                raise BuildFailed(problem)
            if wanted:
                suite.prepare(wanted)
                yield from suite.run(wanted)
        except (BuildFailed, RuntimeError, OSError) as failure:
            yield report.Result(f"{name}.build", report.FAILED, str(failure))


def run_suites(groups, args, tally):
    """One after another; but tidy, which only computes, fills what conversations leave idle."""
    aside = None
    started = time.monotonic()
    for name, suites in groups.items():
        if name == "tidy" and "talk" in groups:
            continue
        if name == "talk" and "tidy" in groups:
            started = time.monotonic()
            tidy = results_of("tidy", groups["tidy"], args)
            aside = ThreadPoolExecutor(1).submit(list, tidy)
        tally.suite(name, results_of(name, suites, args), time.monotonic())
    if aside:
        tally.suite("tidy", iter(aside.result()), started)


def print_list(groups, patterns):
    code = 0
    for suites in groups.values():
        for suite in suites:
            ids, problem = listed(suite)
            print("".join(f"{test}\n" for test in ids if matches(test, patterns)), end="")
            if problem:
                print(problem, file=sys.stderr)
                code = 1
    return code


def main():
    args = arguments()
    end_with_us()
    context = Context(args.long, bool(args.ids))
    groups = {name: suites_of(name, context) for name in SUITES}
    context.ids = lambda: [t for suites in groups.values() for s in suites for t in s.list()]
    names = args.suite or suites_for(args.ids)
    groups_wanted = {name: groups[name] for name in SUITES if name in names}
    if args.list:
        return print_list(groups_wanted, args.ids)
    started = time.monotonic()
    tally = report.Report(skip_is_failure=context.ci)
    run_suites(groups_wanted, args, tally)
    if args.ids and not tally.results:
        print(f"no such test: {' '.join(args.ids)}; see ./test --list")
    tally.save(BUILD / "results.json")
    print(f"all: {time.monotonic() - started:.1f} s; results in build/results.json")
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())

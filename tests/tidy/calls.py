"""Functions that nobody calls here, and memory that is taken only at the start."""

import re

from sources import is_test

BANNED = {
    "strcpy": "a copy needs a size: snprintf or memcpy",
    "strcat": "a copy needs a size: snprintf or memcpy",
    "strncpy": "leaves strings open: snprintf or memcpy",
    "strncat": "a copy needs a size: snprintf or memcpy",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "gets": "fgets",
    "strtok": "keeps hidden state",
    "atoi": "hides errors: strtoul",
    "atol": "hides errors: strtoul",
    "atof": "hides errors: strtod",
    "rand": "randomness is an argument: dataplane/base/rng.h",
    "srand": "randomness is an argument: dataplane/base/rng.h",
    "random": "randomness is an argument: dataplane/base/rng.h",
    "time": "`now` is an argument",
    "gmtime": "keeps hidden state: gmtime_r",
    "localtime": "keeps hidden state: localtime_r",
    "alloca": "the stack has no bound check",
}
BANNED_CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
ALLOCATE = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|aligned_alloc|strdup|strndup)\s*\(")
ALLOCATORS = "tests/tidy/allocators.txt"
SLEEP = re.compile(r"(?<![\w.>])(sleep|usleep|nanosleep|clock_nanosleep)\s*\(")
SLEEP_PYTHON = re.compile(r"^(\s*)def (\w+)|(?<!\w)(?:time\.)?sleep\(", re.M)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def function_at(sources, path, line):
    for function in sources.functions(path):
        if function.line <= line < function.line + function.length:
            return function.name
    return ""


def check_banned(sources, context):
    problems = []
    for path in sources.c_files:
        code = sources.code(path)
        for match in BANNED_CALL.finditer(code):
            line = line_of(code, match.start())
            problems.append(f"{path}:{line}: {match[1]}(): {BANNED[match[1]]}")
    return problems


def check_allocation(sources, context):
    """Allowed: in tests, in functions named *_create, and where allocators.txt says so."""
    listed = {}
    for line in sources.text(ALLOCATORS).splitlines():
        words = line.split("#")[0].split()
        if words:
            listed[words[0]] = False
    problems = []
    for path in sources.c_files:
        code = "" if is_test(path) else sources.code(path)
        for match in ALLOCATE.finditer(code):
            line = line_of(code, match.start())
            name = function_at(sources, path, line)
            excuse = next((e for e in (path, f"{path}:{name}") if e in listed), None)
            if excuse:
                listed[excuse] = True
            elif not (name == "create" or name.endswith("_create") or name.startswith("create_")):
                problems.append(f"{path}:{line}: {match[1]}() in {name}: memory is taken at start")
    unused = [e for e, used in listed.items() if not used]
    return problems + [f"{ALLOCATORS}: {e} takes no memory: remove it" for e in unused]


def check_sleeps(sources, context):
    """A test waits for an event with a deadline. Python: only inside a function wait_x."""
    problems = []
    for path in sources.files:
        if not is_test(path):
            continue
        if path.endswith(".c"):
            code = sources.code(path)
            lines = [line_of(code, m.start()) for m in SLEEP.finditer(code)]
        elif path.endswith(".py") and not path.startswith(("tests/tidy/", "tests/runner/")):
            lines = python_sleeps(sources.text(path))
        else:
            continue
        problems += [f"{path}:{line}: a test does not sleep" for line in lines]
    return problems


def python_sleeps(text):
    inside, lines = "", []
    for match in SLEEP_PYTHON.finditer(text):
        if match[2]:
            inside = match[2]
        elif not inside.startswith("wait_"):
            lines.append(line_of(text, match.start()))
    return lines

"""How long things may be: functions, files, headers, lines.

tests/tidy/exceptions.txt names what is longer, with its length; the list may only shrink.
"""

LIST = "tests/tidy/exceptions.txt"
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 800
HEADER_LINES_MAX = 100
COLUMNS_MAX = 100
TAB = 8
SOURCES = (".c", ".h", ".def", ".py", ".mjs", ".js", ".css", ".html", ".sh", "meson.build")
UNLIMITED_LINES = ("tests/corpus/", "docs/")


def exceptions(sources, kind):
    """{what: length}"""
    found = {}
    if LIST in sources.files:
        for line in sources.text(LIST).splitlines():
            words = line.split("#")[0].split()
            if words and words[0] == kind:
                found[words[1]] = int(words[2])
    return found


def judge(kind, limit, lengths, excused):
    """lengths: {what: lines}. An excuse must be needed, and be no larger than needed."""
    problems = []
    for what, lines in lengths.items():
        allowed = max(limit, excused.get(what, 0))
        if lines > allowed:
            problems.append(f"{what}: {lines} lines, at most {allowed}")
    for what, allowed in excused.items():
        lines = lengths.get(what, 0)
        if lines <= limit:
            problems.append(f"{LIST}: {kind} {what} is no longer needed: remove it")
        elif lines < allowed:
            problems.append(f"{LIST}: {kind} {what} has shrunk to {lines}: lower it")
    return problems


def check_functions(sources, context):
    lengths = {}
    for path in sources.c_files:
        for function in sources.functions(path):
            what = f"{path}:{function.name}"
            lengths[what] = max(function.length, lengths.get(what, 0))
    return judge("function", FUNCTION_LINES_MAX, lengths, exceptions(sources, "function"))


def check_files(sources, context):
    files, headers = {}, {}
    for path in sources.files:
        lines = sources.text(path).count("\n")
        if path.endswith(".h"):
            headers[path] = lines
        elif path.endswith(SOURCES):
            files[path] = lines
    problems = judge("file", FILE_LINES_MAX, files, exceptions(sources, "file"))
    problems += judge("header", HEADER_LINES_MAX, headers, exceptions(sources, "header"))
    return problems


def check_lines(sources, context):
    problems = []
    for path in sources.files:
        is_source = path.endswith(SOURCES) or sources.text(path).startswith("#!")
        if not is_source or path.startswith(UNLIMITED_LINES):
            continue
        for number, line in enumerate(sources.text(path).splitlines(), 1):
            if len(line.expandtabs(TAB)) > COLUMNS_MAX:
                problems.append(f"{path}:{number}: longer than {COLUMNS_MAX} columns")
            if line != line.rstrip():
                problems.append(f"{path}:{number}: space at the end of the line")
    return problems

"""Comments that say nothing, names of machines, scripts that do not parse."""

import ast
import re
import subprocess
from urllib.parse import urlparse

TODO = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?!\s*\(?#\d+)")
EMPTY = re.compile(r"^(/\*[\s*]*\*/|//\s*)$")
HASH_COMMENTS = (".py", ".sh", "meson.build", ".txt")
# Spelt so that this file does not contain what it looks for.
PLACES = [re.compile(r"(?<![\w.$])/" + name + r"/\w") for name in ("work", "home", "root", "Users")]
HOSTS = ["registry." + "npmjs", "deb." + "debian.org", "pypi." + "org", "security." + "debian.org"]


def check_comments(sources, context):
    problems = []
    for path in sources.c_files:
        if not sources.text(path).startswith("/*"):
            problems.append(f"{path}:1: a file begins with a comment that says what it is")
        for line, comment in sources.comments(path):
            if EMPTY.match(comment):
                problems.append(f"{path}:{line}: empty comment")
            if TODO.search(comment):
                problems.append(f"{path}:{line}: no issue number: TODO(#123)")
    for path in sources.files:
        if not path.endswith(HASH_COMMENTS) or path.startswith("tests/tidy/"):
            continue
        for number, line in enumerate(sources.text(path).splitlines(), 1):
            _, mark, comment = line.partition("#")
            if mark and TODO.search(comment):
                problems.append(f"{path}:{number}: no issue number: TODO(#123)")
    return problems


def hosts_here():
    """Where this machine fetches packages from: must not leak into the tree."""
    urls = []
    npm = subprocess.run(["npm", "config", "get", "registry"], capture_output=True, check=False)
    urls += npm.stdout.decode().split()
    apt = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE)"],
        capture_output=True, check=False)
    urls += apt.stdout.decode().split()
    hosts = {urlparse(u).hostname for u in urls} - {None, "localhost", "127.0.0.1"}
    return sorted(h for h in hosts if "." in h)


def check_places(sources, context):
    problems = []
    hosts = set(HOSTS) | set(hosts_here())
    for path in sources.files:
        for number, line in enumerate(sources.text(path).splitlines(), 1):
            if any(p.search(line) for p in PLACES):
                problems.append(f"{path}:{number}: path of one machine")
            for host in hosts:
                if host in line:
                    problems.append(f"{path}:{number}: names a package host")
    return problems


def check_scripts(sources, context):
    """shellcheck for shell, the parser for Python and JavaScript."""
    problems, shell, node = [], [], []
    for path in sources.files:
        first = sources.text(path).split("\n", 1)[0]
        if path.endswith(".sh") or re.match(r"#!.*\b(ba)?sh\b", first):
            shell.append(path)
        elif path.endswith(".py") or re.match(r"#!.*\bpython3?\b", first):
            try:
                ast.parse(sources.text(path), path)
            except SyntaxError as problem:
                problems.append(f"{path}:{problem.lineno}: {problem.msg}")
        elif path.endswith((".mjs", ".js")):
            node.append(path)
    if shell:
        problems += said(sources, ["shellcheck", "-f", "gcc", "-e", "SC2317", *shell])
    for path in node:
        problems += said(sources, ["node", "--check", path])[:3]
    return problems


def said(sources, argv):
    ended = subprocess.run(argv, cwd=sources.root, capture_output=True, check=False)
    if ended.returncode == 0:
        return []
    return (ended.stdout + ended.stderr).decode().strip().splitlines()

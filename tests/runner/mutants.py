"""Small changes to C sources, made mechanically: what a test suite worth its name notices.

Each mutant is one change in one line: an operator swapped, a number off by one, a condition
negated, a statement dropped. Which of all possible ones are taken depends on a seed and on the
lines themselves, so that the choice stays much the same while other lines change.
"""

import hashlib
import re
from dataclasses import dataclass

SWAPS = {
    "<": ["<="],
    "<=": ["<"],
    ">": [">="],
    ">=": [">"],
    "==": ["!="],
    "!=": ["=="],
    "&&": ["||"],
    "||": ["&&"],
    "+": ["-"],
    "-": ["+"],
    "+=": ["-="],
    "-=": ["+="],
    "++": ["--"],
    "seq_lt": ["seq_le"],
    "seq_le": ["seq_lt"],
    "seq_gt": ["seq_ge"],
    "seq_ge": ["seq_gt"],
    "seq_min": ["seq_max"],
    "seq_max": ["seq_min"],
    "RTE_MIN": ["RTE_MAX"],
    "RTE_MAX": ["RTE_MIN"],
    "true": ["false"],
    "false": ["true"],
}
NUMBER = re.compile(r"\d+[uU]?$")
TOKEN = re.compile(
    r"[A-Za-z_]\w*|0[xX][0-9a-fA-F]+|\d+[uUlL]*|->|\+\+|--|<<=?|>>=?|[<>=!+\-*/|&^%]=|&&|\|\||\S"
)
CONDITION = re.compile(r"^(\s*(?:\} else )?(?:if|while)) \((.*)\)( \{)?$")
STATEMENT = re.compile(
    r"^\t+(?!return\b|break;|continue;|goto\b|const\b|static\b|struct\b|else\b)"
    r"(?:\*?[A-Za-z_][\w.>\[\]()*&-]*)(?: ?[|&+-]?= |\(|\+\+;|--;).*;$"
)
DECLARATION = re.compile(
    r"^\s*(?:const |static |struct |enum |unsigned |u?int\d*_t |bool |size_t )"
)
COMMENT = re.compile(r"/\*.*?\*/", re.S)


@dataclass(frozen=True)
class Mutant:
    path: str
    number: int  # of the line, from 1
    before: str
    after: str

    def key(self):
        """How tests/mutation/*.txt names it: not by number, which changes all the time."""
        return f"{self.path}: {self.before.strip()} => {self.after.strip()}"

    def where(self):
        return f"{self.path}:{self.number}: {self.before.strip()} => {self.after.strip()}"


def blank_comments(text):
    return COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def is_code(line):
    """Not preprocessor, assertion, attribute or table of states: those are not for a peer."""
    stripped = line.strip()
    if not stripped or stripped.startswith(("#", "ASSERT", "static_assert", '"')):
        return False
    return "__attribute__" not in stripped and "printf" not in stripped


def unary(tokens, at):
    """Whether an operator at that place has nothing on its left."""
    before = tokens[at - 1][0] if at > 0 else ""
    return before == "return" or re.match(r"[\w)\]]", before) is None


def swapped(line):
    tokens = [(m[0], m.start()) for m in TOKEN.finditer(line)]
    declared = DECLARATION.match(line) is not None
    for at, (token, start) in enumerate(tokens):
        if token in "+-" and unary(tokens, at):
            continue
        if token in "<>" and declared and "=" not in line[:start]:
            continue
        for other in SWAPS.get(token, []):
            yield line[:start] + other + line[start + len(token) :]
        if NUMBER.match(token) and "[" + token + "]" not in line:
            more = str(int(token.rstrip("uU")) + 1) + ("u" if token[-1] in "uU" else "")
            yield line[:start] + more + line[start + len(token) :]


def negated(line):
    found = CONDITION.match(line)
    if found and found[2].count("(") == found[2].count(")"):
        yield f"{found[1]} (!({found[2]})){found[3] or ''}"


def dropped(line):
    if STATEMENT.match(line) and line.count("(") == line.count(")"):
        indent = line[: len(line) - len(line.lstrip())]
        yield indent + "(void)0;"


def whole_statement(lines, number):
    """Whether the line before ended something, so that this one begins a statement."""
    before = lines[number - 2].strip() if number >= 2 else ""
    headed = before.startswith(("if ", "else", "for ", "while "))
    return before == "" or before[-1] in ";{}:" or headed


def of_file(path, text):
    originals, bare = text.splitlines(), blank_comments(text).splitlines()
    inside = False
    for number, (original, line) in enumerate(zip(originals, bare), 1):
        inside = line == "{" or (inside and line != "}")
        line = line.rstrip()
        if not inside or not is_code(line):
            continue
        made = [*swapped(line), *negated(line)]
        if whole_statement(bare, number):
            made += dropped(line)
        for after in made:
            yield Mutant(path, number, line, after)


def choose(files, seed):
    """All mutants of {path: text}, in an order that the seed gives. Equal keys count once."""
    found = {}
    for path, text in files.items():
        for mutant in of_file(path, text):
            found.setdefault(mutant.key(), mutant)
    rank = lambda key: hashlib.sha256(f"{seed} {key}".encode()).digest()
    return [found[key] for key in sorted(found, key=rank)]


def applied(mutant, text):
    lines = text.splitlines()
    lines[mutant.number - 1] = mutant.after
    return "\n".join(lines) + "\n"

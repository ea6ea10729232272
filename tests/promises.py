"""The sentences in which pages, letters and the copy promise something, and the table that names
what makes each of them true.

The table is `promises.toml`: written by people, never by a program. A row is a test that would fail if its sentences
were not true, the code that they rest on, and the sentences, each with the template (or the module) in which it stands.
"""

from __future__ import annotations

import ast
import html
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "templates"
TABLE = Path(__file__).with_name("promises.toml")
#: The bare forms of fields and elements.
ELSEWHERE = ("django/", "allauth/")

APPS = ("accounts", "ilt_site", "orders", "privacy", "rma")
#: Modules and folders whose sentences no page, letter, copy or command shows to a person, to staff or to an operator at
#: work.
SILENT = {
    "accounts/regions.py": "names of regions",
    "ilt_site/demo.py": "invented data of a demonstration",
    "ilt_site/launcher": "what a terminal shows to who starts the site",
    "ilt_site/startup.py": "checks before the site starts",
    "privacy/audit/models.py": "help for who reads the tables",
    "privacy/checks.py": "checks that stop manage.py",
    "privacy/gate/log.py": "help for who reads the tables",
    "privacy/registers.py": "help for who reads the tables",
    "privacy/requests/regimes.py": "a check that stops manage.py",
    "privacy/restore/maintenance.py": "why a site that serves nothing does so",
    "privacy/vault/checks.py": "checks that stop manage.py",
    "privacy/vault/keystore/identity.py": "why a site that serves nothing does so",
}
LOGS = ("log", "logger")


def modules(root: Path = ROOT) -> list[str]:
    """Return every module that may hold a sentence for a person, staff or operators: all but migrations and those that
    SILENT names."""
    found = (path.relative_to(root) for app in APPS for path in (root / app).rglob("*.py"))
    return sorted(
        path.as_posix()
        for path in found
        if "migrations" not in path.parts and not {path.as_posix(), *map(Path.as_posix, path.parents)} & SILENT.keys()
    )


SCHEDULE = ROOT / "privacy" / "retention" / "schedule.toml"

#: Words without which a sentence commits nobody: who does something, what somebody may, what never happens, for how
#: long.
PROMISE = re.compile(
    r"\b(we|us|our|you (?:can|may|get|see|need|are|have|do|sign)|nobody|nothing|none|never|no longer|no more|until|once|only|works?"
    r"|cannot|kept|keeps?|stays?|stands?|removed|destroyed|overwritten|deleted|every|each|begins?|begun|counts?|costs?|opens?|ends?|goes|go)\b",
    re.IGNORECASE,
)
LEAST_WORDS = 4
#: A sentence that begins so asks its reader for something; it promises only where it also says who does what.
ASKS_FOR = frozenset((
    "Ask", "Call", "Choose", "Confirm", "Correct", "Describe", "Enter", "Fetch", "Give", "Go", "If", "Keep", "Leave",
    "Look", "Open", "Pack", "Perhaps", "Please", "Press", "Print", "Read", "Scan", "Send", "Sign", "Take", "Tell",
    "Try", "Turn", "Type", "Use", "When", "Write",
))  # fmt: skip
COMMITS = re.compile(
    r"\b(we (?!wrote|sent)\w+|our \w+ (?:look|is|are|tells?)|nobody|nothing|never|only|until|stops?|ends?|is told|are told|works?|counts?)\b",
    re.I,
)

_COMMENT = re.compile(
    r"\{#.*?#\}|\{%\s*comment\b.*?%\}.*?\{%\s*endcomment\s*%\}|<!--.*?-->|<(style|script)\b.*?</\1>", re.S
)
_PARTS = re.compile(r"\{%\s*(?:block|endblock|include|extends|load)\b.*?%\}", re.S)
_TRANSLATED = re.compile(r"\{%\s*trans(?:late)?\s+(['\"])(.*?)\1.*?%\}", re.S)
_TAG, _VARIABLE = re.compile(r"\{%.*?%\}", re.S), re.compile(r"\{\{.*?\}\}", re.S)
_INLINE = re.compile(r"</?(?:a|strong|em|b|i|code|span)\b[^>]*>", re.I)
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z…“])")


@dataclass(frozen=True, slots=True)
class Row:
    """What makes some sentences true: tests and code, or people; the sentences as compared, by the place where they
    stand."""

    what: str
    tests: tuple[str, ...]
    code: tuple[str, ...]
    people: str
    says: tuple[tuple[str, str], ...]


def table() -> list[Row]:
    """Return the rows of the table, in its order."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))["kept"]
    return [
        Row(
            row["what"],
            tuple(row["tests"]),
            tuple(row["code"]),
            row.get("people", ""),
            tuple((place, same(text)) for place, texts in row["says"].items() for text in texts),
        )
        for row in rows
    ]


def same(text: str) -> str:
    """Return a sentence without what a formatter may change: blanks, case, signs, and how many
    values stand beside each other."""
    return " ".join(re.sub(r"…[\s…]*", "… ", re.sub(r"[^\w…]+", " ", text.lower())).split())


def sentences(source: str, *, is_html: bool) -> list[str]:
    """Return the sentences of a template, whichever way its conditions go; what stands for a value is an ellipsis."""
    text = _PARTS.sub("\n\n", _TRANSLATED.sub(r"\2", _COMMENT.sub("", source)))
    text = _VARIABLE.sub("…", _TAG.sub(" ", text))
    if is_html:
        text = html.unescape(re.sub(r"<[^>]+>", "\n\n", _INLINE.sub("", text)))
    # In a letter as text a line is a paragraph.
    found = (" ".join(part.split()) for part in re.split(r"\n\s*\n" if is_html else r"\n", text))
    return [one for part in found for one in _END.split(part) if one]


def is_promise(sentence: str) -> bool:
    """Whether a sentence commits anybody: no heading or label, no question, and no mere request to its reader."""
    if sentence.rstrip("”)")[-1:] not in {".", "!", ":"} or len(sentence.split()) < LEAST_WORDS:
        return False
    if sentence.split()[0] in ASKS_FOR:
        return bool(COMMITS.search(sentence))
    return bool(PROMISE.search(sentence))


def of_templates(folder: Path = TEMPLATES) -> dict[tuple[str, str], str]:
    """Return the promises of all templates in `folder` that people read: (place, sentence as compared)
    -> the sentence as it stands.

    A letter is one place, whether it is read as text or as a page.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or name.startswith(ELSEWHERE):
            continue
        for one in sentences(path.read_text(encoding="utf-8"), is_html=path.suffix == ".html"):
            if is_promise(one):
                found[name.rpartition(".")[0], same(one)] = one
    return found


def of_modules(files: Iterable[str] | None = None, root: Path = ROOT) -> dict[tuple[str, str], str]:
    """Return the promises among the texts of these modules, without docstrings, and of the retention
    schedule, as `of_templates` does."""
    found = {}
    for name in modules(root) if files is None else files:
        tree = ast.parse((root / name).read_text(encoding="utf-8"))
        for text in _texts(tree):
            for one in _END.split(" ".join(text.split())):
                if one[:1].isupper() and is_promise(one):
                    found[name, same(one)] = one
    for kind in tomllib.loads(SCHEDULE.read_text(encoding="utf-8"))["classes"].values():
        for reason in kind.get("reasons", ()):
            for one in _END.split(reason["plain"]):
                if is_promise(one):
                    found["privacy/retention/schedule.toml", same(one)] = one
    return found


def _texts(node: ast.AST) -> Iterable[str]:
    """Yield the texts below a node, an f-string as one with an ellipsis for each value; what is
    raised or logged is not shown."""
    if isinstance(node, ast.Raise) or _is_logged(node):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(one.value) if isinstance(one, ast.Constant) else "…" for one in node.values)
    else:
        skip = (
            ast.get_docstring(node, clean=False)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            else None
        )
        for child in ast.iter_child_nodes(node):
            if not (skip is not None and isinstance(child, ast.Expr) and getattr(child.value, "value", None) == skip):
                yield from _texts(child)


def _is_logged(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in LOGS
    )


def missing_tests(names: Iterable[str]) -> list[str]:
    """Return those of these names of tests, `tests/x/test_y.py::test_z`, of which there is no function in that file."""
    return [name for name in names if name.partition("::")[2] not in _functions(name.partition("::")[0])]


@cache
def _functions(file: str) -> frozenset[str]:
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return frozenset(one.name for one in body if isinstance(one, ast.FunctionDef) and one.name.startswith("test_"))

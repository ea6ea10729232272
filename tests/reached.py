"""Which templates a page, a letter or a command reaches: from the URL conf, from what our modules name,
and from what those include.

Of allauth counts what a routed view of it leads to: its classes, the functions that they call by name, the messages
and letters that those name. That is more than ever happens (a condition counts as true), never less, so that
nothing in use is called unused.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.urls import NoReverseMatch, URLPattern, get_resolver, reverse
from django.utils.module_loading import import_string

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "templates"
APPS = ("privacy", "accounts", "orders", "rma", "ilt_site")
LETTERS = "privacy/email"

_LEADS_TO = re.compile(r"""\{%\s*(?:include|extends)\s+["']([^"']+)["']""")
_ELEMENT = re.compile(r"\{%\s*element\s+(\w+)")
_NAME = re.compile(r"^((?:account|mfa)/[a-z_/]+|\d{3})(?:\.[a-z]*)?$")
_DOTTED = re.compile(r"^allauth\.[\w.]+\.(\w+)$")
#: A module that writes letters, or says which a right has.
_WRITES = re.compile(r"\b(?:queue\w*|letter_to|Letters)\(")
_LETTER_ENDS = ("_subject.txt", "_message.txt", "_message.html")


def existing() -> set[str]:
    """Return the names of our templates."""
    return {path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*") if path.is_file()}


def reached(ours: set[str]) -> set[str]:
    """Return the names of those templates of `ours`, and of others that they lead to, that something reaches."""
    named = {text for text in _texts(_modules()) if text in ours}
    writing = [path for path in _modules() if _WRITES.search(path.read_text(encoding="utf-8"))]
    kinds = {*_texts(writing), *_constants(_modules()), *_composed(writing, set(_texts(_modules())))}
    letters = {f"{LETTERS}/{kind}.html" for kind in kinds if re.fullmatch(r"[a-z_]+", kind)}
    first = named | (letters & ours) | (_of_django() & ours) | _of_allauth(ours)
    return _with_what_they_include(first)


# What our own code, and Django's, names -------------------------------------------------------------------------------


def _modules() -> Iterator[Path]:
    for app in APPS:
        yield from (path for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _texts(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def _constants(paths: Iterable[Path]) -> Iterator[str]:
    """Yield what constants of modules say: the kind of a letter may be one."""
    for path in paths:
        for node in _tree(path).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).isupper():
                yield from (
                    one.value
                    for one in ast.walk(node.value)
                    if isinstance(one, ast.Constant) and isinstance(one.value, str)
                )


def _composed(paths: Iterable[Path], words: set[str]) -> Iterator[str]:
    """Yield the kinds of letters that are put together of a beginning, `f"contact_{purpose}"`, and any other word."""
    for path in paths:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.JoinedStr) and len(node.values) == 2 and isinstance(node.values[0], ast.Constant):
                yield from (f"{node.values[0].value}{word}" for word in words)


def _of_django() -> set[str]:
    """Return what Django itself draws: errors, forms, and what its back office includes of ours."""
    folder = _package("django")
    found = set(_texts([*folder.glob("views/*.py"), *folder.glob("forms/*.py")]))
    for path in folder.glob("contrib/admin/templates/**/*.html"):
        found.update(_LEADS_TO.findall(path.read_text(encoding="utf-8")))
    return found


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


# What allauth's routed views lead to ----------------------------------------------------------------------------------


def routed() -> list[type]:
    """Return the classes of allauth's views that the URL conf routes."""
    found: list[type] = []
    waiting: list[Any] = list(get_resolver().url_patterns)
    while waiting:
        one = waiting.pop()
        if isinstance(one, URLPattern):
            if one.callback.__module__.startswith("allauth"):
                found.extend(_classes(one.callback))
        else:
            waiting.extend(one.url_patterns)
    return found


def _classes(view: Any) -> list[type]:
    """Return the class of a view, of one that chooses among views all of them."""
    if hasattr(view, "view_class"):
        return [view.view_class]
    view = inspect.unwrap(view)
    chosen = (view.__globals__.get(name) for name in view.__code__.co_names)
    return [one for one in chosen if isinstance(one, type) and hasattr(one, "as_view")]


def _of_allauth(ours: set[str]) -> set[str]:
    words, done = _sent_by_our_adapter(), set()
    definitions = _definitions()
    waiting: list[ast.AST] = []
    drawn = set()
    for view in routed():
        drawn.add(str(getattr(view, "template_name", "")))
        for kind in view.__mro__:
            if kind.__module__.startswith("allauth"):
                waiting.extend(_without_template_name(definitions[kind.__name__]))
    # Our adapters are asked by allauth: what they leave to it, and what it calls of them.
    waiting.extend(node for path in _modules() if path.parent.name == "accounts" for node in _tree(path).body)
    while waiting:
        node = waiting.pop()
        if id(node) in done:
            continue
        done.add(id(node))
        for part in ast.walk(node):
            word = ""
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                if name := _NAME.match(part.value):
                    words.add(name[1])
                dotted = _DOTTED.match(part.value)
                word = dotted[1] if dotted else ""
            elif isinstance(part, ast.Name):
                word = part.id
            elif isinstance(part, ast.Attribute):
                word = part.attr
            waiting.extend(definitions.get(word, ()))
    by_word = {
        name
        for name in ours
        if name.startswith(("account/", "mfa/", "4")) and (_stem(name) in words or name.rpartition(".")[0] in words)
    }
    return by_word | drawn


def _sent_by_our_adapter() -> set[str]:
    """Return the letters that our adapter sends in place of allauth's, which it names by their last word."""
    return {
        f"account/email/{one}" for one in _texts([ROOT / "accounts" / "adapter.py"]) if re.fullmatch(r"[a-z_]+", one)
    }


def _stem(name: str) -> str:
    """Return what allauth calls the letter of which this is the subject or the text."""
    return next((name.removesuffix(end) for end in _LETTER_ENDS if name.endswith(end)), name)


def _without_template_name(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the parts of classes but for the attribute that says what they draw: of that the value counts, not the
    source."""
    for node in nodes:
        for part in getattr(node, "body", ()):
            if not (isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) == "template_name"):
                yield part


@cache
def _definitions() -> dict[str, list[ast.AST]]:
    """Return what a name may mean in allauth: functions and classes of its modules, and the methods of its adapters."""
    found: dict[str, list[ast.AST]] = defaultdict(list)
    folder = _package("allauth")
    for path in (*folder.glob("account/**/*.py"), *folder.glob("mfa/**/*.py"), *folder.glob("core/**/*.py")):
        if "tests" in path.parts:
            continue
        for node in _tree(path).body:
            if isinstance(node, ast.FunctionDef):
                found[node.name].append(node)
            elif isinstance(node, ast.ClassDef) and path.name == "adapter.py":
                for method in node.body:
                    if isinstance(method, ast.FunctionDef) and not _is_ours(method.name):
                        found[method.name].append(method)
            elif isinstance(node, ast.ClassDef) and _has_its_page(node):
                found[node.name].append(node)
    return found


def _has_its_page(stage: ast.ClassDef) -> bool:
    """Whether a class of allauth can be entered: a stage of signing in has a page, by the name of its URL."""
    for part in stage.body:
        if isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) == "urlname":
            try:
                reverse(ast.literal_eval(part.value))
            except NoReverseMatch:
                return False
    return True


def _is_ours(method: str) -> bool:
    """Whether our adapter has this method of its own and does not ask allauth's."""
    adapter = import_string("accounts.adapter.AccountAdapter")
    own = adapter.__dict__.get(method)
    return own is not None and f"super().{method}" not in inspect.getsource(own)


# What templates include -----------------------------------------------------------------------------------------------


def _with_what_they_include(names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = [name for name in names if name]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            text = Path(str(get_template(name).origin)).read_text(encoding="utf-8")  # type: ignore[attr-defined]
        except TemplateDoesNotExist:  # one of several names that a view tries
            continue
        waiting.extend(_LEADS_TO.findall(text))
        waiting.extend(f"allauth/elements/{one}.html" for one in _ELEMENT.findall(text))
    return found

"""Which module imports which, read from the source: at the top of a file, or late, inside a function or class."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Import:
    """One import of one of our modules by another; `is_late` when it does not stand at the top of its file."""

    by: str
    of: str
    line: int
    is_late: bool


def modules(root: Path, app: str) -> dict[str, Path]:
    """Return the modules of an app by dotted name, migrations left out: they are history."""
    found = {}
    for path in sorted((root / app).rglob("*.py")):
        if "migrations" not in path.parts:
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(known: Mapping[str, Path]) -> Iterator[Import]:
    """Yield the imports of these modules among each other. One for types only runs never, and is none."""
    for name, path in known.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for_types = {
            id(inner)
            for node in tree.body
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            for inner in ast.walk(node)
        }
        top = {id(node) for node in tree.body}
        for node in ast.walk(tree):
            if id(node) in for_types:
                continue
            for wanted in _named(node):
                of = _ours(wanted, known)
                if of and of != name:
                    yield Import(name, of, node.lineno, id(node) not in top)


def _named(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [one.name for one in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [f"{node.module}.{one.name}" for one in node.names]
    return []


def _ours(wanted: str, known: Mapping[str, Path]) -> str:
    """Return the module that an imported name stands in, "" for one that is not ours."""
    while wanted and wanted not in known:
        wanted = wanted.rpartition(".")[0]
    return wanted


def circles(found: list[Import]) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or through others (Tarjan)."""
    edges: dict[str, set[str]] = {}
    for one in found:
        edges.setdefault(one.by, set()).add(one.of)
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = low[module] = len(number)
        stack.append(module)
        for other in sorted(edges.get(module, ())):
            if other not in number:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], number[other])
        if low[module] == number[module]:
            at = stack.index(module)
            group = stack[at:]
            del stack[at:]
            if len(group) > 1:
                groups.append(sorted(group))

    for module in sorted(edges):
        if module not in number:
            visit(module)
    return groups

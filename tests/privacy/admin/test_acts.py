"""Each action that the program records has words for the desk."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from privacy.admin import acts, told
from privacy.admin.work import _acts_of_apps
from privacy.audit import AuditEvent
from privacy.requests.states import State
from rma.admin import RMAAdmin

ROOT = Path(__file__).parents[3]
ACTION = re.compile(r"[a-z_]+\.[a-z_]+")
#: Actions that are put together where they are recorded.
PUT_TOGETHER = {
    "f'request.{to.value}'": {f"request.{one.value}" for one in State},
    "f\"copy.{what.removeprefix('copy_')}\"": {"copy.printed", "copy.on_stick"},
    "chain.told_as": {"access_log.signed"},
    "event.action": set(),  # the door itself
}


def calls(texts: dict[Path, str], names: Iterable[str]) -> Iterator[tuple[Path, ast.Call, str, set[str]]]:
    """Yield the calls of functions of these names: file, call, and the function around it with its parameters."""
    begins = re.compile(
        rf"(?<![a-z])({'|'.join(sorted(names))})\(\s*(f?[\"'][a-z_]+\.|[\w.]+,|[A-Z]\w+ if|[\w]+, [A-Z])"
    )
    for path, text in texts.items():
        if not begins.search(text):
            continue
        for function in (one for one in ast.parse(text).body if isinstance(one, ast.FunctionDef | ast.ClassDef)):
            inner = [one for one in function.body if isinstance(one, ast.FunctionDef)]
            for one in inner if isinstance(function, ast.ClassDef) else [function]:
                given = {each.arg for each in one.args.args}
                for node in ast.walk(one):
                    if isinstance(node, ast.Call) and node.args and name_of(node) in names:
                        yield path, node, one.name, given


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def said_by(node: ast.expr, path: Path) -> Iterable[Any]:
    """Return the actions that an argument says; raises for one that only its caller knows."""
    if isinstance(node, ast.Constant):
        return [node.value]
    if isinstance(node, ast.IfExp):
        return [*said_by(node.body, path), *said_by(node.orelse, path)]
    text = ast.unparse(node)
    if text in PUT_TOGETHER:
        return PUT_TOGETHER[text]
    found: Any = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    for part in text.split("."):
        found = getattr(found, part)
    return [found]


def recorded() -> set[str]:
    apps = ("privacy", "accounts", "orders", "rma", "ilt_site")
    texts = {path: path.read_text() for app in apps for path in (ROOT / app).rglob("*.py")}
    actions: set[Any] = set()
    handed_on = {"record"}  # functions that are told the action
    for path, call, function, given in calls(texts, {"record", "Happened"}):
        if ast.unparse(call.func) not in ("audit.record", "events.record", "audit.Happened", "Happened"):
            continue
        if getattr(call.args[0], "id", "") in given:
            handed_on.add(function)
        else:
            actions.update(said_by(call.args[0], path))
    for path, call, _, _ in calls(texts, handed_on):
        for given in call.args:
            parts = [given.body, given.orelse] if isinstance(given, ast.IfExp) else [given]
            actions.update(one.value for one in parts if isinstance(one, ast.Constant))
            for one in parts:
                if isinstance(one, ast.Name) and one.id.isupper():
                    actions.update(said for said in said_by(one, path) if isinstance(said, str))
    return {one for one in actions if isinstance(one, str) and ACTION.fullmatch(one)}


def test_each_action_that_is_recorded_has_words_and_none_has_words_that_is_not() -> None:
    found, more = recorded(), _acts_of_apps()
    assert len(found) > 100 and {"rma.moved", "customer.created", "request.proof_refused", "hold.placed"} <= found
    known = {*acts.ACTS, *more}
    assert sorted(found - known) == []
    assert sorted(known - found) == []
    assert not set(acts.ACTS) & set(more)
    assert acts.in_words("request.identified", more) == "Identity proved"
    assert acts.in_words("gone.long_ago", more) == "Gone long ago"


def test_a_state_that_changed_is_told_from_what_to_what_and_no_reason_is_no_dash_of_its_own() -> None:
    moved = AuditEvent(action="rma.moved", label="rma.rma", reason="received → quoted → approved: within_limit")
    assert told.reason(moved, RMAAdmin.history_words) == (
        "Received and inspected → Quoted: waiting for the customer's approval → Quote approved: "
        "Within the limit approved in advance"
    )
    assert told.reason(AuditEvent(action="rma.opened", label="rma.rma"), RMAAdmin.history_words) == ""

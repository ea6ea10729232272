"""Who acts by what the row of a request says asks `privacy.requests.doubt`, and not the table (a walk of the code)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
#: What somebody may have written there for a minute, by which a request is chosen.
CHOOSES = {
    "state",
    "kind",
    "scope",
    "identity",
    "closed_at",
    "parked_from",
    "owner",
    "owner_id",
    "subject",
    "subject_id",
}
#: The places that choose by it themselves, each with why nothing is sent, ended, given or asked by that alone.
MAY = {
    "ilt_site/metrics.py Gauges._requests": "counts",
    "privacy/admin/agenda.py waiting_for": "the list of what is due; those in doubt are named by seal_requests",
    "privacy/admin/requests.py RequestAdmin.rows_of": "a list; each page asks for itself",
    "privacy/views/person.py own_request.inner": "sight.require_sight is asked next",
    "privacy/views/requests.py _own": "a list; each page asks for itself",
    "accounts/views.py account": "a list; each page asks for itself",
    "privacy/personal_data.py work": "says why staff open a record, and the access log tells that they did",
    "privacy/personal_data.py _requests": "may be due; nightly leaves out those in doubt and goes by the history",
    "privacy/requests/doubt.py theirs": "here those in doubt are added",
    "privacy/requests/doubt.py open_one": "here those in doubt are told apart",
    "privacy/requests/addresses.py is_erased": "asks doubt.among",
    "privacy/requests/assessment.py warnings_of": "a warning on a page",
    "privacy/requests/begin.py pin_again": "asks doubt.among",
    "privacy/requests/begin.py _keep_addresses": "only files that by the key store are the person's",
    "privacy/requests/erasure.py _forget": "bound.carry signs none that did not fit",
    "privacy/requests/export.py left": "whose a copy is says the key store (bound.is_file_of)",
    "privacy/requests/export.py has_left": "says on a page that there is one",
    "privacy/requests/filing.py _open_one": "asks doubt.among",
    "privacy/requests/filing.py _subject_for": "asks bound.is_ours of each",
    "privacy/requests/login_stays.py until_finished": "a sentence on a page, of decisions that the site made",
    "privacy/requests/login_stays.py _newest": "a sentence on a page, of decisions that the site made",
    "privacy/requests/login_stays.py _decisions": "a sentence on a page, of decisions that the site made",
    "privacy/requests/recount.py recount": "counts days anew by the history",
    "privacy/requests/recount.py _recount": "counts days anew by the history",
    "privacy/requests/steps.py exports_destroyed": "export.over_by ends none before its time",
    "privacy/requests/tombstones.py taken": "names them for an operator",
    "privacy/requests/waits.py _of_ended": "those in doubt are left out where it is called",
    "privacy/requests/writing.py _of_the_erased": "asks doubt.among",
    "privacy/restore/apply.py _is_under_way": "waits",
    "privacy/retention/restriction.py settle_person": "works restrictions out anew; settle_all does for all by night",
    "privacy/sweep/notices.py _is_told": "refuses to keep an account; decisions that the site made",
    "accounts/joinable.py require_on_file": "require_free refuses those in doubt",
    "accounts/moved.py Moved.check_still_there": "those in doubt are refused before",
}  # fmt: skip


def test_requests_are_chosen_by_what_their_rows_say_only_where_those_in_doubt_are_told_apart() -> None:
    found = {
        f"{path.relative_to(ROOT)} {name}"
        for top in ("accounts", "ilt_site", "orders", "privacy", "rma")
        for path in sorted((ROOT / top).rglob("*.py"))
        if "migrations" not in path.parts
        for name in chosen(ast.parse(path.read_text()))
    }
    assert len(found) > 20, "the walk sees them"
    assert sorted(found - MAY.keys()) == [], "ask privacy.requests.doubt"
    assert sorted(MAY.keys() - found) == [], "none is listed that is no more"


def test_the_walk_sees_each_way_to_choose() -> None:
    """By a keyword, in a Q, through a link of another table; after another filter, too."""
    for code in (
        "Request.objects.filter(state='closed')",
        "Request.objects.exclude(Q(owner_id=one) | Q(pk=two))",
        "Request.objects.select_for_update().filter(pk=1).filter(kind__in=those)",
        "Letter.objects.filter(request__state='closed')",
    ):
        assert list(chosen(ast.parse(f"def named():\n    return {code}"))) == ["named"], code
    for code in ("Request.objects.filter(pk=1)", "Order.objects.filter(state='paid')"):
        assert list(chosen(ast.parse(f"def named():\n    return {code}"))) == [], code


def chosen(tree: ast.AST, within: str = "") -> Iterator[str]:
    """Yield the name of each function in which requests are chosen by what their rows say."""
    for node in ast.iter_child_nodes(tree):
        here = within
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            here = f"{within}.{node.name}".lstrip(".")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_choice = node.func.attr in ("filter", "exclude", "get")
            if is_choice and chooses(keywords(node), of_requests=is_of_requests(node)):
                yield here
        yield from chosen(node, here)


def keywords(call: ast.Call) -> list[list[str]]:
    """Return the parts of the names by which a call chooses, those in a Q as well, but none of a query within."""
    found = [one.arg.split("__") for one in call.keywords if one.arg]
    waiting: list[ast.AST] = list(call.args)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name | ast.Attribute) and named(node) == "Q"):
            continue
        if isinstance(node, ast.keyword) and node.arg:
            found.append(node.arg.split("__"))
        waiting += ast.iter_child_nodes(node)
    return found


def named(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def chooses(names: list[list[str]], *, of_requests: bool) -> bool:
    return any(
        (of_requests and parts[0] in CHOOSES) or (parts[0] == "request" and len(parts) > 1 and parts[1] in CHOOSES)
        for parts in names
    )


def is_of_requests(call: ast.Call) -> bool:
    """Say whether a call is one of a chain that begins at `Request.objects`."""
    node: ast.AST = call.func
    while isinstance(node, ast.Call | ast.Attribute):
        if isinstance(node, ast.Attribute) and node.attr == "objects":
            return isinstance(node.value, ast.Name) and node.value.id == "Request"
        node = node.func if isinstance(node, ast.Call) else node.value
    return False

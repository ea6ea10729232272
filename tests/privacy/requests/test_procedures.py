"""The table of rights: what it says of each, that nothing else knows the kinds, and what becomes of a kind without an
entry."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.template.loader import get_template

from accounts.models import Customer
from privacy import audit, checks
from privacy.gate.purposes import ProgramPurpose
from privacy.letters.models import Letter
from privacy.requests import broker, execute, filing, procedures, services
from privacy.requests.history import NotAllowed
from privacy.requests.models import Request
from privacy.requests.procedure import Does, Door, NotInOrder, Procedure
from privacy.requests.proof import BadRequest
from privacy.requests.states import OPEN_STATES, State
from tests import factories, pages
from tests.asked import NOW, OPERATOR, PRIVACY, TODAY, Clock, confirmed, filed, run
from tests.factories import as_customer

ROOT = Path(__file__).parents[3]
APPS = ("privacy", "accounts", "orders", "rma", "ilt_site")


#: Without them what was removed comes back, stays linked, or is answered by nothing.
DUTIES = ("block_tokens", "erase", "unlink", "tombstone", "letter")

# What it says ---------------------------------------------------------------------------------------------------------


def test_the_names_in_the_database_are_those_of_before() -> None:
    assert list(procedures.TABLE)[:2] == ["access", "erasure"]
    assert procedures.get("access").order() == ("plan", "build_copy", "letter", "close")
    assert procedures.get("erasure").order() == (
        "plan", "wait_for_access", "sign_out", "stop_mail", "block_tokens", "erase", "exports_destroyed", "unlink", "tombstone",
        "letter", "close",
    )  # fmt: skip
    assert procedures.waiting_steps() == {"identity", "confirm"}


def test_of_single_records_nothing_is_done_that_concerns_a_whole_person() -> None:
    whole, single = (procedures.get("erasure").order(of_a_person=one) for one in (True, False))
    assert set(whole) - set(single) == {"sign_out", "stop_mail", "block_tokens"}


@pytest.mark.parametrize("right", procedures.rights(), ids=lambda one: one.kind)
def test_each_step_has_its_function_its_words_and_a_purpose_that_the_gate_knows(right: Procedure) -> None:
    from privacy.gate import matrix

    assert all(callable(one.function()) for one in right.steps)
    assert all(one.words or one.waits for one in right.steps)
    assert f"system:{right.purpose}" in matrix.matrix().roles


@pytest.mark.parametrize("right", procedures.rights(), ids=lambda one: one.kind)
def test_each_letter_and_page_of_a_right_has_its_templates(right: Procedure) -> None:
    found = right.letters
    for kind in (found.answer, found.answer_by_post, found.plan_ready, found.plan_changed, found.plan_confirmed):
        assert not kind or get_template(f"privacy/email/{kind}.html")
    for page in (right.pages.new, right.pages.confirm, right.pages.confirmed, right.pages.under_way):
        assert not page or get_template(page)


def test_a_step_without_a_function_and_a_missing_template_stop_manage_py(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.check_rights() == []
    right = procedures.get("access")
    broken = replace(right.steps[0], do="privacy.requests.steps.no_such_step")
    monkeypatch.setitem(procedures.TABLE, "access", replace(right, steps=(broken, *right.steps[1:])))
    (found,) = checks.check_rights()
    assert found.id == "privacy.E014" and "no_such_step" in str(found.msg)
    wrong = replace(
        right, pages=replace(right.pages, new="privacy/no_such_page.html"), at_gate=ProgramPurpose("no_such_purpose")
    )
    monkeypatch.setitem(procedures.TABLE, "access", wrong)
    said = " ".join(str(one.msg) for one in checks.check_rights())
    assert "no_such_page.html" in said and "no_such_purpose" in said
    silent = replace(right, at_gate=replace(right.at_gate, told=""), letters=replace(right.letters, titles={}))
    monkeypatch.setitem(procedures.TABLE, "access", silent)
    said = " ".join(str(one.msg) for one in checks.check_rights())
    assert "has no words" in said and "'copy_ready' has no title" in said


@pytest.mark.parametrize(
    "wrong",
    [
        lambda one: {"steps": tuple(step for step in one.steps if step.name != "plan")},
        lambda one: {"steps": one.steps[:-1]},
        lambda one: {"steps": (*one.steps[:-1], one.steps[-2], one.steps[-1])},
        lambda one: {"steps": (*one.steps[:4], *one.steps[3:])},
        lambda one: {"pages": replace(one.pages, confirm="")},
        lambda one: {"letters": replace(one.letters, plan_ready="")},
        lambda one: {"steps": (replace(one.steps[0], delay=None), *one.steps[1:])},
        *(lambda one, left=left: {"steps": tuple(step for step in one.steps if step.name != left)} for left in DUTIES),
        lambda one: {"steps": (*one.steps[:-1], replace(one.steps[-1], do="privacy.requests.closing.letter"))},
        lambda one: {"tells_recipients": False},
        lambda one: {"letters": replace(one.letters, answer_by_post="copy_posted")},
        lambda one: {"does": Does.GIVE},
    ],
    ids=[
        "no plan",
        "no end",
        "twice",
        "one name twice",
        "no page",
        "no letter",
        "no words for a delay",
        *(f"no {left}" for left in DUTIES),
        "closed by something else",
        "recipients untold",
        "a copy by post of none",
        "no copy is made",
    ],
)
def test_an_entry_whose_steps_cannot_be_taken_is_none(wrong: Any) -> None:
    right = procedures.get("erasure")
    with pytest.raises(procedures.UnknownKind):
        procedures.get("advice")
    assert replace(right, is_final=True) == right
    with pytest.raises(NotInOrder, match="erasure"):
        replace(right, **wrong(right))


def test_a_right_more_needs_no_migration(monkeypatch: pytest.MonkeyPatch) -> None:
    field = Request._meta.get_field("kind")
    before = field.deconstruct()
    kinds = list(procedures.TABLE)
    monkeypatch.setitem(procedures.TABLE, "one_more", replace(procedures.get("access"), kind="one_more"))
    assert field.deconstruct() == before
    assert [kind for kind, _ in field.flatchoices] == [*kinds, "one_more"]


def test_a_proof_that_does_not_count_for_the_right_is_refused(alice: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    right = procedures.get("access")
    monkeypatch.setitem(procedures.TABLE, "access", replace(right, proofs=right.proofs - {Request.Identity.LOGIN}))
    with pytest.raises(NotAllowed, match="does not count"):
        filed(alice, "access")
    assert not Request.objects.exists()
    assert filed(alice, "erasure").is_identified


# Nothing else knows the kinds -----------------------------------------------------------------------------------------

#: Words of other lists that are spelled like a kind: purposes at the gate, a log, categories of the data map.
OTHER_WORDS = {
    "privacy/gate/log.py": {"access"},
    "privacy/personal_data.py": {"access"},
    "privacy/views/words.py": {"access"},
}


def kinds_named(source: str, path: str = "") -> list[tuple[int, str]]:
    """Return the lines of a module in which a kind of the table stands as a word of its own, or as a name."""
    kinds = set(procedures.TABLE) - OTHER_WORDS.get(path, set())
    names = {kind.upper() for kind in procedures.TABLE}
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in kinds:
            found.append((node.lineno, node.value))
        is_name = isinstance(node, ast.Attribute) and node.attr in names
        if is_name and ast.unparse(node.value).split(".")[-1] in ("Kind", "procedures", "Request"):
            found.append((node.lineno, ast.unparse(node)))
    return found


def named_in_template(source: str) -> list[str]:
    """Return where a template names a kind of the table, or compares one, whatever the variable is called."""
    kinds = "|".join(map(re.escape, procedures.TABLE))
    return re.findall(rf"""\.kind\s*(?:==|!=|in\b|not\s+in\b)|['"](?:{kinds})['"]|get_kind_display""", source)


def modules() -> Iterator[Path]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts and path != ROOT / "privacy" / "requests" / "procedures.py":
                yield path


def test_no_module_but_the_table_names_a_kind() -> None:
    found = {}
    for path in modules():
        name = str(path.relative_to(ROOT))
        if named := kinds_named(path.read_text(), name):
            found[name] = named
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        'if request.kind == "erasure": pass',
        'Request.objects.filter(kind="access")',
        'found = {"erasure": 1}',
        "if request.kind != Request.Kind.ERASURE: pass",
        "procedures.ACCESS",
        'match kind:\n    case "access":\n        pass',
    ],
)
def test_one_that_names_it_is_found(line: str) -> None:
    assert kinds_named(line)
    assert not kinds_named(
        line.replace("access", "copy")
        .replace("erasure", "removal")
        .replace("ACCESS", "PLAN")
        .replace("ERASURE", "PLAN")
    )


def test_no_template_names_a_kind_or_compares_one() -> None:
    templates = [path for path in sorted((ROOT / "templates").rglob("*.*")) if path.suffix in (".html", ".txt")]
    assert len(templates) > 150
    found = {str(path.relative_to(ROOT)): named_in_template(path.read_text()) for path in templates}
    assert {
        name: said for name, said in found.items() if said and not name.startswith("templates/accounts/details")
    } == {}


def test_a_template_that_compares_one_is_found() -> None:
    for line in ('{% if request.kind == "x" %}', "{% url 'request_new' 'access' %}", "{{ about.get_kind_display }}"):
        assert named_in_template(line)
    assert not named_in_template("{% if event.actor_kind == 'customer' %}{{ section.kind.title }}")


def test_a_right_that_was_added_is_looked_for_as_the_first_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ('if request.kind == "restrict_use": pass', "found = Request.Kind.RESTRICT_USE")
    drawn = ("{% url 'request_new' \"restrict_use\" %}", '{% if x == "restrict_use" %}')
    assert not any(map(kinds_named, lines)) and not any(map(named_in_template, drawn)), "control"
    added = replace(procedures.get("access"), kind="restrict_use")
    monkeypatch.setitem(procedures.TABLE, "restrict_use", added)
    assert all(map(kinds_named, lines)) and all(map(named_in_template, drawn))
    assert named_in_template("{% if procedure.kind == x %}") and named_in_template("{% if y.kind in z %}")


# A kind without an entry ----------------------------------------------------------------------------------------------


def unknown(request: Request) -> Request:
    """Make a request one of a right that a newer version had, as it stands in the table after going back."""
    from privacy.requests import bound

    with bound.kept(request):
        request.kind = "portability"
        request.save(update_fields=["kind"])
    return request


@pytest.mark.parametrize("before", ["identity", "planned", "confirmed"])
def test_a_kind_without_an_entry_is_never_carried_out_and_waits_for_a_person(
    alice: Customer, before: str, outbox: list[Any]
) -> None:
    request = confirmed(alice) if before == "confirmed" else filed(alice)
    if before == "planned":
        services.make_plan(request, actor=as_customer(alice), now=NOW)
    request.refresh_from_db()
    unknown(request)
    run(request, Clock(NOW + timedelta(days=40)))
    assert (request.state, request.last_error, request.next_action_at) == (State.PARKED, "UnknownKind", None)
    assert not request.decisions.filter(done_at__isnull=False).exists()
    assert not Letter.objects.filter(request=request, sealed_letter=None).exists(), "no letter is burned"
    assert (
        audit.history(reference=request.reference).filter(action="request.parked").get().reason.endswith("UnknownKind")
    )
    assert broker.poll(now=NOW + timedelta(days=41)) == 0


def test_the_same_request_of_a_known_kind_is_carried_out(alice: Customer, outbox: list[Any]) -> None:
    request = confirmed(alice)
    run(request)
    assert request.state == State.CLOSED and request.decisions.filter(done_at__isnull=False).exists()


def test_nobody_can_plan_confirm_or_resume_what_is_not_known(alice: Customer) -> None:
    request = unknown(filed(alice))
    for act in (
        lambda: services.make_plan(request, actor=PRIVACY, now=NOW),
        lambda: services.confirm(request, "x", actor=PRIVACY, now=NOW),
    ):
        with pytest.raises(NotAllowed, match="does not know"):
            act()
    execute.advance(request.pk, now=NOW)
    request.refresh_from_db()
    with pytest.raises(NotAllowed, match="does not know"):
        services.resume(request, actor=PRIVACY, now=NOW)
    assert request.state == State.PARKED


def test_it_goes_on_once_its_entry_is_there_again(alice: Customer, outbox: list[Any]) -> None:
    request = unknown(filed(alice, "access"))
    execute.advance(request.pk, now=NOW)
    request.refresh_from_db()
    assert request.state == State.PARKED
    from privacy.requests import bound

    with bound.kept(request):
        request.kind = "access"
        request.save(update_fields=["kind"])
    services.resume(request, actor=OPERATOR, now=NOW)
    run(request)
    run(request, Clock(NOW + timedelta(minutes=5)))
    assert request.state in (State.REPLIED, State.CLOSED)


def test_what_is_not_known_is_not_filed(alice: Customer) -> None:
    with pytest.raises(BadRequest, match="one of access, erasure"):
        filing.file(
            filing.Receipt(kind="portability", subject=alice.subject_id, channel="phone", received_on=TODAY),
            actor=OPERATOR,
            now=NOW,
        )
    assert not Request.objects.exists()


def test_the_desk_the_person_and_the_commands_say_that_it_is_not_known(alice: Customer) -> None:
    request = unknown(filed(alice))
    execute.advance(request.pk, now=NOW)
    with time_machine.travel(NOW, tick=False):
        carol = pages.signed_in(factories.staff(roles=("privacy",)))
        here = f"/admin/privacy/request/{request.pk}/"
        for path in ("/admin/", "/admin/privacy/request/", f"{here}change/"):
            assert "something that this version of the site does not know (portability)" in pages.read(carol.get(path))
        page = pages.read(carol.get(f"{here}change/"))
        assert "this version of the site does not know a request of the kind “portability”" in page
        assert (
            f"{here}step/resume/" not in page and f"{here}step/confirm/" not in page and f"{here}step/plan/" not in page
        )
        browser = pages.signed_in(alice.user, again=True)
        assert "A request that this version of the site does not know" in pages.read(browser.get("/privacy/requests/"))
        hers = pages.read(browser.get(f"/privacy/requests/{request.pk}/"))
        assert "A request that this version of the site does not know" in hers and "Removal" not in hers
        assert browser.get("/privacy/requests/new/portability/").status_code == 404
        with pytest.raises(CommandError, match="does not know"):
            call_command("request_run", request.reference, "--dry-run")
    assert request.kind == "portability" and request.state in OPEN_STATES


def test_every_door_offers_the_rights_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    right = procedures.get("access")
    before = {door: [one.kind for one in procedures.rights(door)] for door in Door}
    monkeypatch.setitem(procedures.TABLE, "access", replace(right, doors=frozenset({Door.STAFF})))
    others = [kind for kind in before[Door.PORTAL] if kind != "access"]
    assert [one.kind for one in procedures.rights(Door.PORTAL)] == others and "erasure" in others
    assert [kind for kind, _ in procedures.choices_at(Door.STAFF)()] == before[Door.STAFF]
    without = [kind for kind in before[Door.WITHOUT_LOGIN] if kind != "access"]
    assert [kind for kind, _ in procedures.choices_at(Door.WITHOUT_LOGIN)()] == without

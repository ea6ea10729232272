"""Who may do what at every URL. alice never reads, lists, exports, changes or erases what is bob's; bob does.

`url_table.txt` has a line for each pattern of the URL map and the outcome of a GET for everybody; `*` says that bob's
canaries are in the answer, no `*` that none of them is. `effects.py` has each POST that changes something, with its
positive control.
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.conf import settings as configured
from django.db import connections

from privacy import datamap
from privacy.audit import AuditEvent
from privacy.gate import matrix
from privacy.models import AccessEntry, AccessName
from privacy.requests.models import RequestEvent
from privacy.vault import SealedModel
from tests.figures import report
from tests.journeys import doors, everybody, importing
from tests.journeys.doors import ACTORS, House
from tests.journeys.effects import SESSION, WITHOUT, Effect, effects
from tests.journeys.everybody import Person, undone

pytestmark = [pytest.mark.django_db, pytest.mark.journey]

ROLES = {"carol": "sales", "erin": "accounting", "pat": "privacy"}
METHODS = ("HEAD", "POST", "PUT", "DELETE")
# Who looked, and that a session was used, is written whatever the outcome.
LOGS = {AccessEntry._meta.db_table, AccessName._meta.db_table}
TRACES = LOGS | {"accounts_session"}


class Row(NamedTuple):
    """One line of the table."""

    pattern: str
    arguments: str
    methods: str
    outcomes: dict[str, str]

    @property
    def names_a_record(self) -> bool:
        """Whether the URL has the number of one of bob's records in it."""
        return any(not one.startswith("=") for one in self.arguments.split(",") if one not in ("-", "token", "product"))


def _read() -> list[Row]:
    lines = Path(__file__).with_name("url_table.txt").read_text().splitlines()
    rows = []
    for pattern, arguments, methods, *outcomes in (line.split() for line in lines if not line.startswith("#")):
        rows.append(Row(pattern, arguments, methods, dict(zip(ACTORS, outcomes, strict=True))))
    return rows


TABLE = _read()


def events() -> set[tuple[str, str, str]]:
    """Return what the audit and the requests tell of, (table, number, kind)."""
    found = {
        ("default.privacy_auditevent", str(one), kind) for one, kind in AuditEvent.objects.values_list("pk", "action")
    }
    return found | {
        ("default.privacy_requestevent", str(one), kind) for one, kind in RequestEvent.objects.values_list("pk", "kind")
    }


def done_by_looking(before: dict[str, str], told: set[tuple[str, str, str]]) -> list[str]:
    """Return the tables that changed, but for this: who opens a letter to print it is written
    down, as who opens a record is, and the keyed hash of a request stands over its history."""
    new = events() - told
    noted = {table for table, _, kind in new if kind in ("letter.opened", "code_shown")}
    if any(kind == "code_shown" for _, _, kind in new):
        noted.add("default.privacy_request")
    other = {table for table, _, kind in new if kind not in ("letter.opened", "code_shown")}
    return sorted((set(changed(before, importing.fingerprint(TRACES))) ^ noted) | other)


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return sorted(table for table in after if after[table] != before.get(table))


# The table itself -----------------------------------------------------------------------------------------------------


def test_every_url_has_a_line_in_the_table() -> None:
    walked, written = list(doors.patterns()), [row.pattern for row in TABLE]
    assert [one for one in walked if one not in written] == [], "URLs nobody decided who may use"
    assert [one for one in written if one not in walked] == [], "lines about URLs that are gone"
    assert len(set(written)) == len(written)
    print(f"{len(written)} URLs x {len(ACTORS)} people")


def test_in_the_table_alice_never_gets_in_where_a_record_of_bobs_is_named() -> None:
    named = [row for row in TABLE if row.names_a_record]
    assert len(named) > 50
    assert [row.pattern for row in named if row.outcomes["alice"] not in ("404", "405")] == []
    assert [row.pattern for row in named if row.outcomes["anonymous"] not in ("login", "405")] == []


def test_every_url_that_takes_a_post_has_its_effect_or_a_reason(house: House) -> None:
    known = {one.pattern for one in effects(house.world)} | set(WITHOUT)
    # Lists, histories and doors of Django's admin answer a POST as a GET or lead on; the walks below hold them to it.
    takers = [row.pattern for row in TABLE if row.methods != "GET" and not row.pattern.startswith("/admin/")]
    assert [one for one in takers if one not in known] == []
    assert [one for one in known if one not in {row.pattern for row in TABLE}] == []


#: What acts by one button that a page with other things has; each with the reason why nothing of it needs a page
#: before.
ONE_BUTTON: dict[str, str] = {
    "/account/contact/send/": "sends a link once more",
    "/account/look/": "asks the privacy team to look",
    "/rma/<uuid:pk>/message/": "sends what the person has just typed; nothing is lost by it",
    "/privacy/requests/<uuid:pk>/export/": "fetches the copy, which can be fetched again",
}


def test_what_acts_by_one_button_can_be_done_again_or_loses_nothing() -> None:
    """Whatever cannot be undone by the same person has a page before it, which a GET shows (privacy/views/check.py); at
    the desk each act is a step with a page of its own, and a search is no act."""
    one_button = {row.pattern for row in TABLE if row.methods == "POST" and not row.pattern.endswith("/search/")}
    assert one_button == set(ONE_BUTTON)


def test_each_sealed_field_of_a_person_has_a_canary(house: House) -> None:
    world = house.world
    planted = {(one.label, one.envelope, one.field) for one in world.bob.canaries}
    declared = {
        (one.label, envelope, name)
        for one in datamap.declarations()
        if issubclass(one.model, SealedModel) and one.subject_path is not None
        for envelope, names in one.model.envelopes().items()
        for name in names
    }
    assert declared - planted == set()
    assert not {one.text for one in world.alice.canaries} & {one.text for one in world.bob.canaries}


# Reading --------------------------------------------------------------------------------------------------------------


@pytest.mark.figure
@pytest.mark.parametrize("name", ACTORS)
def test_everybody_gets_at_each_url_what_the_table_says(house: House, name: str) -> None:
    bob, wrong = house.world.bob, []
    before, told = importing.fingerprint(TRACES), events()
    for row in TABLE:
        outcome, shown = doors.knock(house.browser(name), "GET", house.path(row))
        seen = bob.seen_in(shown)
        if (found := outcome + "*" * bool(seen)) != row.outcomes[name]:
            wrong.append(f"{row.pattern}: {found}, not {row.outcomes[name]}")
        if surprise := {one[:3] for one in seen if not _may_read(name, one)}:
            wrong.append(f"{row.pattern}: shows {surprise}")
        if name != "alice" and (
            surprise := {one[:3] for one in house.world.alice.seen_in(shown) if not _may_read(name, one, "alice")}
        ):
            wrong.append(f"{row.pattern}: shows {surprise} of alice's")
    assert not wrong, "\n".join(wrong)
    assert done_by_looking(before, told) == [], "something was done by merely looking"
    report("B5", f"addresses that answered {name} otherwise than the table says", len(wrong), n=len(TABLE), goal="0")


def _may_read(name: str, canary: everybody.Canary, whose: str = "bob") -> bool:
    if name == whose:
        return True
    anybody, _ = matrix.rights(frozenset({ROLES[name]} if name in ROLES else ()), False, "read")
    return (canary.label, canary.envelope) in anybody


def test_bob_sees_every_kind_of_his_data_in_the_portal(house: House) -> None:
    """The other half of the walk: the canaries that alice never sees are on pages that exist."""
    seen: set[everybody.Canary] = set()
    for row in TABLE:
        if "*" in row.outcomes["bob"]:
            seen |= house.world.bob.seen_in(doors.knock(house.browser("bob"), "GET", house.path(row))[1])
    seen |= house.world.bob.seen_in(_copy(house, "bob"))
    kinds = {(one.label, one.envelope) for one in house.world.bob.canaries}
    # Of a social security number only that it is on file; of the employer nothing is the person's own. Links and codes
    # are given by the letter alone.
    unseen = {("accounts.tax_identifier", "ssn"), ("privacy.letter", "credentials")}
    assert kinds - {(one.label, one.envelope) for one in seen} == unseen


def _copy(house: House, name: str) -> str:
    """Return all text in the copy that somebody downloads from bob's request."""
    path = f"/privacy/requests/{house.world.bob.records['access'].pk}/export/"
    with undone():
        answer = house.browser(name).post(path)
        assert answer.status_code == 200
        archive = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))
        return "\n".join(archive.read(one).decode() for one in archive.namelist())


def test_no_staff_page_with_bobs_record_is_alices_by_a_detour(house: House) -> None:
    """Django's own side doors: pop-ups, look-ups, sorting and narrowing by hand, next pages, a slash too few."""
    bob = house.world.bob
    order, customer = bob.records["order"], bob.customer
    for path in (
        f"/admin/orders/order/{order.pk}/change/?_popup=1", "/admin/orders/order/?_to_field=id&_popup=1", f"/admin/orders/order/?q={order.number}",
        f"/admin/autocomplete/?app_label=accounts&model_name=customer&field_name=company&term={order.number}", f"/admin/orders/order/{order.pk}",
        f"/admin/accounts/customer/?id={customer.pk}", f"/orders/?page=1&customer={customer.pk}", f"/rma/?subject={bob.subject}",
        f"/privacy/held/?subject={bob.subject}", f"/privacy/held/orders.order/?subject={bob.subject}&page=1", f"/privacy/openings/?subject={bob.subject}&page=1",
        f"/privacy/requests/?subject={bob.subject}", f"/account/details/?user={bob.user.pk}", f"/orders/{order.pk}", f"/orders/{order.number}/",
        f"/orders/{str(order.pk).upper()}/", f"/privacy/requests/{bob.records['access'].reference}/", f"/privacy/link/{bob.records['spent']}/",
    ):  # fmt: skip
        for name in ("alice", "anonymous"):
            answer = house.browser(name).get(path, follow=True)
            assert not bob.seen_in(answer.text), path
            assert order.number not in answer.text or order.number in path, path


# Writing --------------------------------------------------------------------------------------------------------------


@pytest.mark.figure
@pytest.mark.parametrize("name", ["alice", "anonymous"])
def test_no_method_reaches_bobs_records_and_the_answer_is_as_for_nothing_there(house: House, name: str) -> None:
    bob, wrong, count = house.world.bob, [], 0
    data = {one.pattern + one.arguments: one.data for one in effects(house.world)}
    before = importing.fingerprint(TRACES)
    for row in (row for row in TABLE if row.names_a_record):
        nothing = re.sub(
            r"[0-9a-f]{8}-[0-9a-f-]{27}|CAL-\d{4}-\d+", "01890000-0000-7000-8000-000000000000", house.path(row)
        )
        for method in METHODS:
            given = data.get(row.pattern + row.arguments)
            outcome, shown = doors.knock(house.browser(name), method, house.path(row), given)
            as_nothing, _ = doors.knock(house.browser(name), method, nothing, given)
            count += 1
            refusals = ("404", "405") if name == "alice" else ("login", "405")
            if outcome not in refusals or outcome != as_nothing or bob.seen_in(shown):
                wrong.append(f"{method} {row.pattern}: {outcome}, for nothing {as_nothing}, shows {bob.seen_in(shown)}")
        if before != (before := importing.fingerprint(TRACES)):
            wrong.append(f"{row.pattern}: something changed")
    assert not wrong, "\n".join(wrong)
    report("B5", f"requests by {name} that reached somebody else's records", len(wrong), n=count, goal="0")


def test_who_may_change_something_does_and_nobody_else(house: House) -> None:
    before, wrong = importing.fingerprint(LOGS), []
    for effect in (one for one in effects(house.world) if not one.is_own):
        others = [name for name in ACTORS if name not in effect.by]
        # Each who may begins where nothing has happened; the others do nothing, so that one look is enough for them.
        for names in (others, *([name] for name in effect.by)):
            with undone():
                answers = [
                    (name, *doors.knock(house.browser(name), "POST", house.path(effect), effect.data)) for name in names
                ]
                tables = changed(before, importing.fingerprint(LOGS))
            what = f"{[one[:2] for one in answers]} at {effect.pattern} {effect.arguments}: {tables}"
            done = effect.table in tables
            if (not done) if names is not others else (done or set(tables) - {SESSION}):
                wrong.append(what)
            for name, _, shown in answers:
                if name in ("alice", "anonymous") and house.world.bob.seen_in(shown):
                    wrong.append(f"{what} shows to {name}")
    assert not wrong, "\n".join(wrong)


def test_what_alice_does_on_her_own_pages_with_bobs_numbers_in_the_form_is_nothing_to_bob(house: House) -> None:
    bob, wrong = house.world.bob, []
    smuggled = {
        name: str(number)
        for names, number in (
            (("customer", "customer_id"), bob.customer.pk), (("subject", "subject_id", "owner", "owner_id"), bob.subject), (("user", "user_id"), bob.user.pk),
            (("pk", "id"), bob.records["address"].pk), (("order", "order_id"), bob.records["order"].pk), (("company", "company_id"), bob.records["company"].pk),
            (("request", "request_id"), bob.records["access"].pk), (("rma",), bob.records["rma"].pk),
        )
        for name in names
    }  # fmt: skip
    known = {one.pattern: one for one in effects(house.world) if one.is_own}
    about_bob, everything = rows_about(bob), importing.fingerprint(LOGS)
    for row in TABLE:
        if row.pattern.startswith("/admin/") or row.names_a_record or row.arguments == "token":
            continue
        effect = known.get(row.pattern)
        data = {**smuggled, **(effect.data if effect else {})}
        with undone():
            answers = [
                doors.knock(house.browser("alice"), method, house.path(row), data)
                for method in ("PUT", "DELETE", "POST")
            ]
            if rows_about(bob) != about_bob or any(bob.seen_in(shown) for _, shown in answers):
                wrong.append(f"{row.pattern}: {[outcome for outcome, _ in answers]}")
            if effect and "bob" in effect.by and effect.table not in changed(everything, importing.fingerprint(LOGS)):
                wrong.append(f"{row.pattern}: {answers[-1][0]}, alice cannot even change what is hers")
    assert not wrong, "\n".join(wrong)


def rows_about(person: Person) -> dict[str, Any]:
    """Return every column of every row about somebody, and their keys; the logs of looking excepted."""
    found: dict[str, Any] = {
        "company": list(type(person.records["company"]).objects.filter(pk=person.records["company"].pk).values_list())
    }
    for declaration, rows in datamap.records_of(person.subject):
        if declaration.model._meta.db_table not in TRACES:
            found[declaration.label] = [
                tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in rows.values_list()
            ]
    with connections["keystore"].cursor() as cursor:
        cursor.execute("SELECT t::text FROM vault_datakey t WHERE owner_id = %s ORDER BY 1", [person.subject])
        found["keys"] = cursor.fetchall()
    return found


# CSRF (B7) ------------------------------------------------------------------------------------------------------------


def test_no_url_takes_a_post_that_did_not_come_from_our_pages(house: House) -> None:
    before, wrong = importing.fingerprint(LOGS), []
    for row in TABLE:
        who = "pat" if row.pattern.startswith("/admin/") else "bob"
        for name in (who, "anonymous"):  # signing somebody in by a foreign form is an attack, too
            outcome, _ = doors.knock(house.browser(name, enforce_csrf_checks=True), "POST", house.path(row))
            if outcome != "403":
                wrong.append(f"{name} at {row.pattern}: {outcome}")
    assert not wrong, "\n".join(wrong)
    assert changed(before, importing.fingerprint(LOGS)) == []


def test_each_effect_needs_the_token_of_this_browser_and_our_own_origin(house: House) -> None:
    """And with both it happens: the same data that was refused."""
    ours, theirs, wrong = "a" * 32, "b" * 32, []
    refused: dict[str, tuple[str, dict[str, str]]] = {
        "no token": ("", {}),
        "the token of another session": (theirs, {}),
        "another origin": (ours, {"origin": "https://evil.example"}),
        "a hidden origin": (ours, {"origin": "null"}),
    }
    before = importing.fingerprint(LOGS)

    def post(effect: Effect, token: str, headers: dict[str, str]) -> str:
        browser = house.browser(effect.by[0], enforce_csrf_checks=True, headers=headers)
        browser.cookies[configured.CSRF_COOKIE_NAME] = ours
        return doors.knock(browser, "POST", house.path(effect), {**effect.data, "csrfmiddlewaretoken": token})[0]

    for effect in effects(house.world):
        for title, (token, headers) in refused.items():
            if (outcome := post(effect, token, headers)) != "403":
                wrong.append(f"{effect.pattern} {effect.arguments}, {title}: {outcome}")
        if tables := changed(before, importing.fingerprint(LOGS)):
            wrong.append(f"{effect.pattern} {effect.arguments}, refused: {tables}")
        with undone():
            outcome = post(effect, ours, {"origin": "http://testserver"})
            if effect.table not in (tables := changed(before, importing.fingerprint(LOGS))):
                wrong.append(f"{effect.pattern} {effect.arguments}, our own page: {outcome}, {tables}")
    assert not wrong, "\n".join(wrong)

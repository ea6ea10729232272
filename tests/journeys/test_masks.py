"""Where a page, a table, a copy or a task forgets whose records it may read, it shows dots, and bob stays unread.

The narrowing is taken away from every query of a sealed record; the protection stays: the gate, which decides at the
moment of decryption. alice's own rights are still worked out with the narrowing, or she would be somebody else.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from celery import shared_task
from django.conf import settings as configured

from accounts.models import User
from privacy import datamap, gate, tasks
from privacy.admin.records import RecordAdmin
from privacy.admin.work import WorkAdmin
from privacy.gate import Actor, matrix
from privacy.gate.system import system
from privacy.models import AccessEntry, Export, Request
from privacy.requests import archive, contents, execute, export
from privacy.requests.states import Channel
from privacy.vault import Masked, SealedModel, SealedQuerySet
from tests import factories, pages
from tests.asked import taken_in
from tests.journeys import doors, importing
from tests.journeys.doors import House
from tests.journeys.effects import effects
from tests.journeys.everybody import NOW, Person
from tests.journeys.test_url_table import TABLE, TRACES, changed

pytestmark = [pytest.mark.django_db, pytest.mark.journey]

DOTS = Masked.text
SENTENCES = (DOTS, "On file, but this page may not show it.", "This cannot be read at the moment")
OWNER = re.compile(r"(^|__)(subject|user)(_id)?$")


@pytest.fixture
def unscoped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the narrowing to one person out of every query of a sealed record: each list is everybody's."""
    scoped, as_actor = SealedQuerySet.filter, User.as_actor
    is_protection = False

    def everybodys(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_protection:
            kwargs = {name: value for name, value in kwargs.items() if not OWNER.search(name)}
        return scoped(self, *args, **kwargs)

    def who(self: User) -> Actor:
        nonlocal is_protection
        is_protection = True
        try:
            return as_actor(self)
        finally:
            is_protection = False

    monkeypatch.setattr(SealedQuerySet, "filter", everybodys)
    monkeypatch.setattr(User, "as_actor", who)


@contextmanager
def unread(house: House, *, but: str = "") -> Iterator[None]:
    """Assert that nothing of bob's, nor of his employer's, is opened in the block, but by the one purpose named."""
    bob = house.world.bob

    def noted() -> list[Any]:
        found = AccessEntry.objects.filter(whose__subject_id=bob.subject) | AccessEntry.objects.filter(
            company_id=bob.records["company"].pk
        )
        return sorted(found.exclude(role=f"system:{but}").values_list("pk", flat=True))

    before = noted()
    yield
    assert noted() == before, "something of bob's was opened"


def sealed_values(person: Person) -> Iterator[tuple[Any, str]]:
    """Yield each record of a person, read afresh, with the name of each sealed field that holds something."""
    for declaration, rows in datamap.records_of(person.subject):
        if issubclass(declaration.model, SealedModel):
            for row in rows:
                for envelope, names in declaration.model.envelopes().items():
                    if getattr(row, f"sealed_{envelope}"):
                        yield from ((row, name) for name in names)


# Pages ----------------------------------------------------------------------------------------------------------------


def portal(house: House) -> list[Any]:
    """Return the lines of the portal's pages that show bob something of his, or name one of his records."""
    return [
        row
        for row in TABLE
        if not row.pattern.startswith("/admin/")
        and row.methods != "POST"
        and ("*" in row.outcomes["bob"] or row.names_a_record)
    ]


def test_without_the_narrowing_alices_pages_show_masks_where_bobs_data_are(house: House, unscoped: None) -> None:
    bob, alice, outcomes, masked = house.world.bob, house.world.alice, {}, set()
    with unread(house):
        for row in portal(house):
            outcomes[row.pattern], shown = doors.knock(house.browser("alice"), "GET", house.path(row))
            assert not bob.seen_in(shown), row.pattern
            if any(sentence in shown for sentence in SENTENCES):
                masked.add(row.pattern)
    # That the narrowing is really gone: these are 404 in the table.
    assert {pattern for pattern, outcome in outcomes.items() if outcome == "200"} >= {
        "/orders/<uuid:pk>/", "/rma/<uuid:pk>/", "/account/addresses/<uuid:pk>/", "/privacy/held/", "/account/details/",
    }  # fmt: skip
    assert masked >= {
        "/orders/<uuid:pk>/",
        "/rma/<uuid:pk>/",
        "/account/addresses/<uuid:pk>/",
        "/privacy/held/",
        "/account/details/",
    }
    # Requests have a second look of their own, whoever found them.
    assert {outcomes[f"/privacy/requests/<uuid:pk>/{rest}"] for rest in ("", "confirm/")} == {"403"}
    text = house.browser("alice").get("/account/details/").text
    assert alice.seen_in(text), "what is hers she still reads"
    assert bob.seen_in(house.browser("bob").get(f"/orders/{bob.records['order'].pk}/").text), "and bob his"


def test_without_the_narrowing_alice_still_changes_nothing_of_bobs(house: House, unscoped: None) -> None:
    before = importing.fingerprint(TRACES)
    with unread(house):
        for effect in effects(house.world):
            if effect.by == ("bob",) and not effect.is_own:
                outcome, shown = doors.knock(house.browser("alice"), "POST", house.path(effect), effect.data)
                assert outcome == "403", (effect.pattern, outcome)
                assert not house.world.bob.seen_in(shown)
                assert changed(before, importing.fingerprint(TRACES)) == [], effect.pattern


@pytest.mark.parametrize("role", ["sales", "service", "accounting", "privacy", None])
def test_with_every_admin_page_open_a_role_reads_what_it_needs_and_dots(
    house: House, role: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`may_see` says yes to everybody: what the pages then show is the gate's word alone. None is staff without a
    role."""
    monkeypatch.setattr(WorkAdmin, "may_see", lambda self, user: True)
    monkeypatch.setattr(RecordAdmin, "may_see", lambda self, user: True)
    dan = factories.staff("dan", "dan@ilt.example", roles=(role,) if role else ())
    browser, bob = pages.signed_in(dan), house.world.bob
    readable, _ = matrix.rights(frozenset({role} if role else ()), False, "read")
    dots, seen = [], set()
    for row in TABLE:
        if row.pattern.startswith("/admin/") and row.methods != "POST" and "/product/" not in row.pattern:
            _, shown = doors.knock(browser, "GET", house.path(row))
            shown_here = bob.seen_in(shown)
            assert {one[:3] for one in shown_here if (one.label, one.envelope) not in readable} == set(), row.pattern
            seen |= shown_here
            if DOTS in shown:
                dots.append(row.pattern)
    assert bool(seen) == bool(role), "a role reads something, nobody without one does"
    # The privacy team reads all that these pages show.
    assert role == "privacy" or [one for one in dots if one.endswith("/change/")], (
        "nothing was covered: the doors were not open"
    )
    for entry in AccessEntry.objects.filter(actor_id=str(dan.pk), whose__subject_id=bob.subject):
        assert {tuple(one.rsplit("/", 1)) for one in entry.envelopes} <= readable


# Tables, copies, tasks ------------------------------------------------------------------------------------------------


def test_every_value_of_bobs_is_a_mask_to_alice_however_it_is_written_out(house: House) -> None:
    """What somebody would write who never heard of the gate: csv, json, format, values()."""
    bob = house.world.bob
    with unread(house), gate.acting(house.world.alice.user.as_actor()):
        out, count = io.StringIO(), 0
        table = csv.writer(out)
        for row, name in sealed_values(bob):
            value = getattr(row, name)
            assert isinstance(value, Masked) and not value
            table.writerow([row._meta.label, name, value, f"{value}", str(value), repr(value)])
            out.write(json.dumps({name: value}, default=str))
            count += 1
        text = out.getvalue()
    assert count == len(bob.canaries) - len(bob.of("accounts.company")) // 2, "his employer's record is not about him"
    assert text.count(DOTS) >= 3 * count and not bob.seen_in(text)
    with gate.acting(bob.user.as_actor()):
        assert {str(getattr(row, name)) for row, name in sealed_values(bob) if name != "outcome"} & set(
            bob.of("orders.order")
        )


def written(house: House, actor: Actor) -> dict[str, str]:
    """Return bob's records as the product's own export writes them under an actor: the text, or why it stopped."""
    found: dict[str, str] = {}
    with gate.acting(actor):
        for kind in contents.kinds(house.world.bob.subject):
            for name, write in (
                ("csv", lambda kind: b"".join(archive._csv(kind, {})).decode()),
                ("json", lambda kind: json.dumps([row.values for row in contents.rows(kind, {})])),
            ):
                try:
                    found[f"{kind.label}.{name}"] = write(kind)
                except contents.CopyIncomplete as stopped:
                    found[f"{kind.label}.{name}"] = f"STOPPED {stopped}"
    return found


def test_the_export_of_bobs_tables_under_alices_actor_stops_and_says_nothing(house: House) -> None:
    bob = house.world.bob
    with unread(house):
        found = written(house, house.world.alice.user.as_actor())
    stopped = {name for name, text in found.items() if text.startswith("STOPPED")}
    sealed = {f"{label}.{name}" for label in {one.label for one in bob.canaries} for name in ("csv", "json")}
    assert stopped >= sealed, "a copy with dots in it would look whole"
    assert not bob.seen_in("\n".join(found.values()))
    his = written(house, bob.user.as_actor())
    assert {one.label for one in bob.seen_in("\n".join(his.values()))} >= {
        "orders.order",
        "rma.rma",
        "accounts.customer",
    }


def files() -> set[Path]:
    return set(Path(configured.EXPORT_DIR).glob("*"))


def fresh_request(person: Person) -> Request:
    """Return an access request without a copy, its identity proved."""
    old = Request.objects.get(pk=person.records["access"].pk)
    Export.objects.filter(request=old).delete()
    Request.objects.filter(pk=old.pk).update(state="closed", step="", next_action_at=None)
    return taken_in("access", person.subject, channel=Channel.WEB, identity="login", actor=person.user.as_actor())


def test_a_zip_of_bobs_built_under_alices_bound_actor_is_not_built(house: House) -> None:
    bob, request = house.world.bob, fresh_request(house.world.bob)
    before = files()
    with (
        unread(house),
        system("export", subject=house.world.alice.subject),
        pytest.raises(contents.CopyIncomplete) as stopped,
    ):
        export.build(request, now=NOW)
    assert not bob.seen_in(str(stopped.value)) and files() == before
    with system("export", subject=bob.subject):
        export.build(request, now=NOW)
    with gate.acting(bob.user.as_actor()):
        _, chunks = export.fetch(request, actor=bob.user.as_actor(), now=NOW)
        archive = zipfile.ZipFile(io.BytesIO(b"".join(chunks)))
    assert bob.seen_in(archive.read("data.json").decode()), "bound to bob it is built and his"


def test_alices_copy_from_queries_without_narrowing_is_not_made_either(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker's own path: the task runs the step, the copy stops, nothing is given, the request is tried again."""
    request = fresh_request(house.world.alice)
    monkeypatch.setattr(
        datamap.Declaration, "rows_of", lambda self, subject: self.model._default_manager.order_by("pk")
    )
    before, count = files(), Export.objects.count()
    with unread(house, but="letter"):  # the task sends the letters that wait, bob's to bob
        words = []
        for _ in range(3):
            request.refresh_from_db()
            words.append(tasks.advance.apply((str(request.pk), request.step, request.version)).get())
    request.refresh_from_db()
    # The key store says first that most of it is not hers.
    assert "retry" in words and request.last_error == "NotOurs", (words, request.last_error)
    assert files() == before and Export.objects.count() == count


@shared_task
def tell(subject: str, bound_to: str) -> str:
    """Write out everything sealed about `subject` in a task bound to somebody."""
    with system("export", subject=UUID(bound_to)):
        return json.dumps([str(getattr(row, name)) for row, name in _values_of(UUID(subject))])


def _values_of(subject: UUID) -> Iterator[tuple[Any, str]]:
    for declaration, rows in datamap.records_of(subject):
        if issubclass(declaration.model, SealedModel):
            for row in rows:
                yield from (
                    (row, name)
                    for names in declaration.model.envelopes().values()
                    for name in names
                    if name != "outcome"
                )


def test_a_task_bound_to_alice_gets_dots_of_bob(house: House) -> None:
    bob, alice = house.world.bob, house.world.alice
    with unread(house):
        text = tell.apply((str(bob.subject), str(alice.subject))).get()
    assert DOTS in json.loads(text) and not bob.seen_in(text)
    assert bob.seen_in(tell.apply((str(bob.subject), str(bob.subject))).get()), "bound to bob it reads him"
    with unread(house):
        assert not bob.seen_in(tell.apply((str(alice.subject), str(alice.subject))).get())


# Who looked -----------------------------------------------------------------------------------------------------------


def test_what_carol_opens_alice_sees_on_her_page_and_in_her_copy(house: House) -> None:
    alice, bob = house.world.alice, house.world.bob
    assert not AccessEntry.objects.filter(whose__subject_id=alice.subject, role="sales").exists()
    assert alice.seen_in(house.browser("carol").get(f"/admin/orders/order/{alice.records['order'].pk}/change/").text)
    page = " ".join(house.browser("alice").get("/privacy/openings/").text.split())
    line = re.search(
        r"<tr>\s*<th [^>]*>([^<]*)</th>\s*<td [^>]*>(sales staff)</td>\s*<td [^>]*>([^<]*)</td>\s*<td [^>]*>([^<]*)</td>\s*"
        r"<td [^>]*>(.*?)</td>",
        page,
    )
    assert line, page
    when, role, purpose, often, opened = line.groups()
    number = alice.records["order"].number
    assert (when, role) == ("20 November 2026", "sales staff") and "10:00" in often
    assert purpose in (f"daily work: open order {number}", "daily work: the person phoned, wrote or came in")
    assert f"Order {number}: " in opened
    assert "carol" not in page and str(house.world.carol.pk) not in page
    assert "sales staff" not in house.browser("bob").get("/privacy/openings/").text

    request = fresh_request(alice)
    while execute.run(request.pk, clock=lambda: NOW + timedelta(hours=1), pause=lambda: None) == "ended":
        pass
    with gate.acting(alice.user.as_actor()):
        _, chunks = export.fetch(request, actor=alice.user.as_actor(), now=NOW + timedelta(hours=1))
        archive = zipfile.ZipFile(io.BytesIO(b"".join(chunks)))
    records = [
        one["values"]
        for one in json.loads(archive.read("data.json"))["records"]
        if one["label"] == "privacy.accessentry"
    ]
    looked = [one for one in records if one["Who"] == "sales staff"]
    assert [(one["When"], one["What for"]) for one in looked] == [(NOW.isoformat(), purpose)], records
    assert f"Order {number}: " in looked[0]["What was opened"]
    assert not bob.seen_in("".join(archive.read(name).decode() for name in archive.namelist()))

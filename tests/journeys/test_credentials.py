"""Whoever has a session, a copy, a role, a command or the tables finds no link and no code that works (design 9).

A day in which every kind of credential is given; then everything that shows or keeps anything is searched for them.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.core.management import call_command
from django.db import connections
from django.test import Client

from privacy import datamap, letters, vault
from privacy.gate.system import system
from privacy.models import Letter, Request
from privacy.requests import execute, posting
from privacy.vault import SealedModel
from tests import factories
from tests.asked import taken_in
from tests.bad_input import planting
from tests.journeys import doors
from tests.journeys.doors import House
from tests.journeys.everybody import NOW, undone
from tests.journeys.test_url_table import TABLE

pytestmark = [pytest.mark.django_db, pytest.mark.journey]

CODE = re.compile(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b")


@dataclass
class Day:
    """What was given, by the letter that gave it: the secret part of each link, and each code."""

    given: dict[str, set[str]] = field(default_factory=dict)

    @property
    def needles(self) -> set[str]:
        return {needle for needles in self.given.values() for needle in needles}

    def found_in(self, text: str) -> set[str]:
        """Return the kinds of letter of which a credential stands in a text."""
        return {kind for kind, needles in self.given.items() if any(needle in text for needle in needles)}

    def note(self) -> None:
        """Look into every letter that waits, as its recipient will."""
        with system("letter"):
            for letter in Letter.objects.exclude(sealed_credentials=None):
                if not isinstance(letter.credentials, dict):
                    continue
                for value in letter.credentials.values():
                    secret = max(value.strip("/").split("/"), key=len) if "/" in value else value
                    self.given.setdefault(letter.kind, set()).add(secret)


def work(now: Any) -> None:
    for request in Request.objects.exclude(next_action_at=None):
        for _ in range(3):
            execute.run(request.pk, clock=lambda: now, pause=lambda: None)


@pytest.fixture(scope="module")
def _day(_house: House, django_db_blocker: Any) -> Iterator[Day]:
    with django_db_blocker.unblock(), undone():
        with time_machine.travel(NOW, tick=False):
            made = a_day(_house)
        yield made


@pytest.fixture
def day(_day: Day, house: House) -> Day:
    """The day, made once: each test undoes what it did to the letters."""
    return _day


def a_day(house: House) -> Day:
    """Sign-up, reset, another address, a request without a login and its outcome; nothing has been sent yet."""
    day, visitor = Day(), Client()
    visitor.post(
        "/accounts/signup/", {"username": "dora", "email": "dora@example.com", "password1": factories.PASSWORD}
    )
    visitor.post("/accounts/password/reset/", {"email": house.world.alice.of("accounts.login_address", "email")[0]})
    house.browser("alice").post("/accounts/email/", {"action_add": "", "email": "alice.new@example.com"})
    factories.customer("Fay", "Frost", email="fay@example.com")
    for kind in ("access", "erasure"):
        visitor.post("/privacy/ask/", {"kind": kind, "email": "fay@example.com"})
    day.note()
    seen = ""
    for token in list(day.given["link_identity"]):
        seen += visitor.post(f"/privacy/link/{token}/", follow=True).text
        work(NOW)
    assert CODE.search(seen), "once, to the person who just proved herself"
    day.note()
    return day


def places(house: House, actors: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield (where, all of it) of what shows or keeps anything: every page as each of these
    people, copies, commands, tables."""
    for name in actors:
        whose = house.world.bob if name == "bob" else house.world.alice
        for row in TABLE:
            yield f"{name} {row.pattern}", doors.knock(house.browser(name), "GET", house.path(row, whose))[1]
        yield from letters_held(house, name)
    yield from at_the_desk(house)
    yield from copies(house)
    yield from tables()


def at_the_desk(house: House) -> Iterator[tuple[str, str]]:
    """Yield what the privacy team and an operator see of each request."""
    for request in Request.objects.all():
        path = f"/admin/privacy/request/{request.pk}/"
        for part in ("change/", "history/"):
            yield f"pat {path}{part}", doors.knock(house.browser("pat"), "GET", path + part)[1]
        for letter in request.letters.filter(by=Letter.By.EMAIL):
            yield f"pat {letter.kind}", doors.knock(house.browser("pat"), "GET", f"{path}letter/{letter.pk}/")[1]
        yield from printed("request_show", request.reference)
        yield from printed("request_show", request.reference, "--json")
    yield from printed("data_map")


def letters_held(house: House, name: str) -> Iterator[tuple[str, str]]:
    for page in range(1, 6):
        path = f"/privacy/held/privacy.letter/?page={page}"
        yield f"{name} {path}", doors.knock(house.browser(name), "GET", path)[1]


def printed(*words: str) -> Iterator[tuple[str, str]]:
    out = io.StringIO()
    call_command(*words, stdout=out, stderr=out)
    yield " ".join(words), out.getvalue()


def copies(house: House) -> Iterator[tuple[str, str]]:
    for person in (house.world.alice, house.world.bob):
        for name, content in planting.copy(person).items():
            yield f"copy: {name}", content.decode(errors="replace")


def tables() -> Iterator[tuple[str, str]]:
    """Yield every table of both databases as text, and every envelope that can be opened, but those that wait."""
    for alias in ("default", "keystore"):
        with connections[alias].cursor() as cursor:
            for table in connections[alias].introspection.table_names(cursor):
                cursor.execute(f'SELECT t::text FROM "{table}" t')
                yield f"table {table}", "\n".join(row[0] for row in cursor.fetchall())
    with vault.internal():
        for model in datamap.installed_models():
            if issubclass(model, SealedModel):
                for row in model._default_manager.all():
                    names = [name for env, all_ in model.envelopes().items() if env != "credentials" for name in all_]
                    yield f"opened {model.vault_label}", "\n".join(repr(getattr(row, name)) for name in names)


def shown(day: Day, looked_at: Iterable[tuple[str, str]]) -> list[str]:
    return sorted({f"{where}: {kind}" for where, text in looked_at for kind in day.found_in(text)})


KINDS = {
    "acknowledgement", "copy_ready", "email_confirmation", "email_confirmation_signup", "link_identity", "link_result",
    "password_reset_key",
}  # fmt: skip


def test_no_link_or_code_of_a_day_is_shown_or_readable_while_its_letter_waits(house: House, day: Day) -> None:
    assert set(day.given) == KINDS and all(len(one) >= 6 for one in day.needles)
    assert shown(day, places(house, ("anonymous", "alice", "carol", "pat"))) == []


def test_nor_is_one_kept_when_its_letter_has_gone(house: House, day: Day) -> None:
    mail.outbox = []
    with system("letter"):
        letters.send_due(now=NOW, limit=500)
    sent = "\n".join(f"{one.body}\n{one.alternatives}" for one in mail.outbox)
    assert day.found_in(sent) == set(day.given), "control: each went out"
    waiting = Letter.objects.exclude(sealed_credentials=None)
    assert set(waiting.values_list("by", flat=True)) <= {"post"}
    # Every table and every envelope is read: what stands in none of them no page can show. Those
    # of the person are looked at.
    assert shown(day, places(house, ("alice",))) == []


def test_one_that_stood_in_a_letter_would_be_found(house: House, day: Day) -> None:
    """The control: on the product as it was, each of these places showed it."""
    secret = next(iter(day.given["password_reset_key"]))
    letter = Letter.objects.filter(subject=house.world.alice.subject, kind="password_reset_key").get()
    with vault.internal():
        letter.text = f"Choose a new password: https://portal.example/{secret}/"
        letter.save(update_fields=["text"])
    looked_at = chain(letters_held(house, "alice"), copies(house), tables())
    found = {one.partition(":")[0] if not one.startswith("copy") else "copy" for one in shown(day, looked_at)}
    assert {"opened privacy.letter", "copy"} <= found
    assert any(one.startswith("alice /privacy/held/") for one in found)


def test_the_print_view_gives_a_code_until_it_is_ticked_off(house: House) -> None:
    person = factories.customer("Gus", "Green", email="")
    pat = house.browser("pat")
    actor = house.world.pat.as_actor()
    filed = taken_in(
        "access", person.subject_id, channel="mail", received_on=NOW.date(), identity="in_person", actor=actor
    )
    letter = filed.letters.get(kind="acknowledgement")
    path = f"/admin/privacy/request/{filed.pk}/letter/{letter.pk}/"
    assert factories.code_of(filed) in pat.get(path).text
    assert factories.code_of(filed) not in house.browser("carol").get(path).text
    posting.mark_posted(letter, actor=actor, now=NOW + timedelta(minutes=1))
    assert house.browser("pat").get(path).status_code == 404

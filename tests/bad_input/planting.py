"""Texts planted in every sealed text field of bob's, past all forms, and all that shows them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from privacy import datamap, gate, vault
from privacy.letters import sending
from privacy.models import Export, Letter, Request
from privacy.requests import execute, export, writing
from privacy.vault import SealedModel
from privacy.vault.fields import layouts
from tests.asked import taken_in
from tests.bad_input import forms
from tests.journeys.doors import House
from tests.journeys.everybody import NOW, TODAY, Person

# Made by us, with a form of its own, or of one exact shape (orders.cards refuses any other on saving).
NEVER = {"outcome", "ssn", "password", "username", "token", "last_four", "expiry"}


_number = count()


def fields(person: Person) -> Iterator[tuple[Any, str]]:
    """Yield each record about a person with each of its sealed text fields; sessions, logins and letters as sent
    excepted."""
    records = [(person.records["company"], type(person.records["company"]))]
    for declaration, rows in datamap.records_of(person.subject):
        if issubclass(declaration.model, SealedModel) and declaration.label not in (
            "accounts.session",
            "privacy.letter",
        ):
            records += [(row, declaration.model) for row in rows]
    for record, model in records:
        for envelope, names in model.envelopes().items():
            if getattr(record, f"sealed_{envelope}") is not None:
                yield from ((record, name) for name in names if name not in NEVER)


def plant(person: Person, text: Callable[[str], str]) -> int:
    """Put `text(name of the field)` into every sealed text field of a person; return into how many."""
    planted = 0
    records: dict[Any, list[str]] = {}
    for record, name in fields(person):
        with vault.internal():
            if not isinstance(getattr(record, name), str):
                continue
            setattr(record, name, text(name))
        records.setdefault(record, []).append(name)
        planted += 1
    for record, names in records.items():
        with as_before(type(record)):
            record.save(update_fields=names)
    return planted


@contextmanager
def as_before(model: type[SealedModel]) -> Iterator[None]:
    """Let the vault seal line breaks in one line, as it did before it refused them: such data may still be there."""
    found = layouts(model).values()
    lines = [plan.lines for plan in found]
    for plan in found:
        plan.lines = frozenset()
    try:
        yield
    finally:
        for plan, before in zip(found, lines, strict=True):
            plan.lines = before


def shown(house: House) -> Iterator[tuple[str, str]]:
    """Yield (where, HTML) of every page that shows something of bob's to somebody who may see it."""
    for who, path, text in forms.pages(house):
        yield f"{who} {path}", text


def copy(person: Person) -> dict[str, bytes]:
    """Return every file of a copy built anew."""
    Request.objects.filter(subject=person.subject, kind="access").update(state="closed", step="", next_action_at=None)
    Export.objects.filter(request__subject=person.subject).delete()
    actor = person.user.as_actor()
    request = taken_in("access", person.subject, identity="login", actor=actor)
    while execute.run(request.pk, clock=lambda: NOW, pause=lambda: None) == "ended":
        pass
    with gate.acting(actor):
        _, chunks = export.fetch(Request.objects.get(pk=request.pk), actor=actor, now=NOW)
        archive = zipfile.ZipFile(io.BytesIO(b"".join(chunks)))
    assert len(archive.namelist()) == len(set(archive.namelist()))
    return {name: archive.read(name) for name in archive.namelist()}


def mails(person: Person, name: str) -> list[Any]:
    """Return as mails every letter the product writes in which a name, a plan or a reason of somebody's stands."""
    request, number = Request.objects.get(pk=person.records["erasure"].pk), next(_number)
    with vault.internal():
        found = []
        for kind, context in (
            ("acknowledgement", {"received_on": TODAY, "merged": False, "code": name}),
            ("refused", {"ground": name, "authority": name}),
            ("plan_changed", {}),
            ("withdrawn", {}),
        ):
            letter = writing.queue(
                kind, to="bob@example.com", context={**context, "name": name}, key=f"planted:{kind}:{number}",
                request=request, now=NOW,
            )  # fmt: skip
            found.append(sending._message(Letter.objects.get(pk=letter.pk)))
        return found

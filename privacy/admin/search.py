"""Find records by what staff are told on the phone: an address, a number, a name or part of one.

The indexes searched are those the model declares on its fields; no second list exists. Nothing is opened here. What a
role may not read is not searched for it: that a record is found would confirm what stands in it (P40). What is
restricted is found by what is sealed in it only by those to whom it opens (design 10); by its number by everybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import Q

from privacy import gate
from privacy.typed import numbers, phones
from privacy.vault import Exact, Words
from privacy.vault.keystore import keys


@dataclass(frozen=True)
class By:
    """A function that returns the ids that a text finds, and the envelope in which what it compares is sealed."""

    find: Callable[[str], Iterable[Any]]
    label: str
    envelope: str


# What a link leads to: a model whose own indexes are searched, or such a function.
Through = type[models.Model] | By

CAP = 200
PHONE_DIGITS = 7
MOST_COMPARED = 5000
_MAY_BE_NUMBER = re.compile(r"(?:(?=.*[0-9])[A-Za-z0-9./-]{1,40}|[A-Za-z])\Z", re.ASCII)


@dataclass(frozen=True)
class Found:
    """What a search found: at most 200 ids, and whether more records match than these."""

    ids: list[Any]
    is_all: bool


def find(
    model: type[models.Model],
    text: str,
    *,
    columns: Sequence[str] = (),
    through: Sequence[tuple[str, Through]] = (),
) -> Found:
    """Return the records that match `text`; every word of a name must match, whichever of them are common.

    `columns` are plain columns (an order number, a serial number: the whole or its beginning); `through` names links
    to models that are searched the same way ("customer", Customer), or whose rows a function finds.
    """
    text = text.strip()
    found: set[UUID] = set()
    is_all = True
    for column in columns:
        here, is_whole = _by_number(model, column, text)
        is_all &= is_whole and len(here) <= CAP
        found |= here
    here = _by_indexes(model, text)
    is_all &= len(here) <= CAP
    found |= _shown(model, here)
    for link, other in through:
        owners = _by_indexes(other, text) if isinstance(other, type) else _by(other, text)
        is_all &= len(owners) <= CAP
        owners = _shown(_led_to(model, link), owners)
        rows = model._default_manager.filter(**{f"{link}__in": owners}).values_list("pk", flat=True)[: CAP + 1]
        is_all &= len(rows) <= CAP
        found.update(rows)
    return Found(sorted(found)[:CAP], is_all=is_all and len(found) <= CAP)


def here(rows: models.QuerySet[Any], text: str, *, columns: Sequence[str]) -> Found:
    """Return the rows of a short list about nobody in which each word of the text stands in one of the columns.

    Compared here and not by the database: what is typed may be a name all the same, and would stand in its statements.
    """
    words = text.casefold().split()
    found = [
        pk
        for pk, *values in rows.values_list("pk", *columns).iterator()
        if all(any(word in value.casefold() for value in values) for word in words)
    ]
    return Found(found[:CAP], is_all=len(found) <= CAP)


def kind_of(text: str) -> str:
    """Return in a word what was typed, for the log of searches, which never says what."""
    if "@" in text:
        return "e-mail"
    if _suits("phone", text):
        return "phone"
    return "number" if numbers.is_ours(text) else "name"


def _by_number(model: type[models.Model], column: str, text: str) -> tuple[set[UUID], bool]:
    """Return the ids of the rows whose plain number begins with the text, and whether all rows were compared.

    What the database is asked stands readable in its list of statements. So only what has the form of a number of ours
    goes there whole; of anything else, which may be a telephone number, its first four characters, and the rest is
    compared here. A name or an address (letters without a digit, a blank, an @) does not go there at all.
    """
    if not _MAY_BE_NUMBER.fullmatch(text):
        return set(), True
    asked = numbers.beginning(text)
    # Not istartswith: the index on the column knows the case as it was written, which is upper case.
    begins = Q(**{f"{column}__startswith": asked}) | Q(**{f"{column}__startswith": asked.upper()})
    rows = model._default_manager.filter(begins).values_list("pk", column)
    if asked == text:
        return {pk for pk, _ in rows[: CAP + 1]}, True
    compared = list(rows[: MOST_COMPARED + 1])
    matches = (pk for pk, number in compared if number.upper().startswith(text.upper()))
    return set(islice(matches, CAP + 1)), len(compared) <= MOST_COMPARED


def _by(other: By, text: str) -> set[Any]:
    return set(other.find(text)) if gate.may(gate.current(), other.label, other.envelope) else set()


def _led_to(model: Any, link: str) -> Any:
    """Return the model at the end of a link such as "subject__users"."""
    for part in link.split("__"):
        model = model._meta.get_field(part).related_model
    return model


def _shown(model: Any, found: set[Any]) -> set[Any]:
    """Return those of the records that may be shown to have been found: no restricted one that does not open."""
    if not found:
        return found
    actor = gate.current()
    indexed = {field.envelope for field in model._meta.private_fields if getattr(field, "blind", ())}
    hidden = {
        record
        for (record, envelope), restriction in keys.restrictions(found).items()
        if envelope in indexed and not gate.may(actor, model.vault_label, envelope, "read", None, restriction)
    }
    return found - hidden


def _by_indexes(model: type[models.Model], text: str) -> set[UUID]:
    """Return the ids of at most 201 records that those indexes of the model know by the text whose data the actor may
    read, so that more are seen to be there."""
    manager: Any = model._default_manager
    found: set[UUID] = set()
    for blind in _indexes(model):
        if isinstance(blind, Words):
            if "@" not in text:  # the key store intersects the words: none of them is cut short before
                found.update(manager.find_words(blind.field, text, most=CAP + 1).values_list("pk", flat=True))
        elif isinstance(blind, Exact) and _suits(blind.normaliser, text):
            found.update(manager.find(blind.field, text, most=CAP + 1).values_list("pk", flat=True))
    return found


def _indexes(model: type[models.Model]) -> list[Any]:
    actor, label = gate.current(), model.vault_label  # type: ignore[attr-defined]  # a sealed model
    return [
        blind
        for field in model._meta.private_fields
        for blind in getattr(field, "blind", ())
        if gate.may(actor, label, field.envelope)
    ]


def _suits(normaliser: str, text: str) -> bool:
    if normaliser == "email":
        return "@" in text
    if normaliser == "phone":
        return sum(character.isdigit() for character in text) >= PHONE_DIGITS and phones.is_written(text)
    return "@" not in text

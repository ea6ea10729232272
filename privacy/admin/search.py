"""Find records by what staff are told on the phone: an address, a number, a name or part of one.

The indexes searched are those the model declares on its fields; no second list exists. Nothing is opened here. What is
restricted is found by what is sealed in it only by those to whom it opens (design 10); by its number by everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import Q

from privacy import gate
from privacy.vault import Exact, Words, keys

# What a link leads to: a model whose own indexes are searched, or a function that returns the ids that a text finds.
Through = type[models.Model] | Callable[[str], Iterable[Any]]

CAP = 200
PHONE_DIGITS = 7


def find(
    model: type[models.Model],
    text: str,
    *,
    columns: Sequence[str] = (),
    through: Sequence[tuple[str, Through]] = (),
) -> list[UUID]:
    """Return the ids of at most 200 records that match `text`.

    `columns` are plain columns (an order number, a serial number: the whole or its beginning); `through` names links
    to models that are searched the same way ("customer", Customer), or whose rows a function finds.
    """
    text = text.strip()
    if not text:
        return []
    found: set[UUID] = set()
    for column in columns:
        # Not istartswith: the index on the column knows the case as it was written, which is upper case.
        begins = Q(**{f"{column}__startswith": text}) | Q(**{f"{column}__startswith": text.upper()})
        matches = model._default_manager.filter(begins)
        found.update(matches.values_list("pk", flat=True)[:CAP])
    found.update(_shown(model, _by_indexes(model, text)))
    for link, other in through:
        owners = _by_indexes(other, text) if isinstance(other, type) else set(other(text))
        owners = _shown(_led_to(model, link), owners)
        found.update(model._default_manager.filter(**{f"{link}__in": owners}).values_list("pk", flat=True)[:CAP])
    return sorted(found)[:CAP]


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
    manager: Any = model._default_manager
    found: set[UUID] = set()
    words: list[str] = []
    for blind in _indexes(model):
        if isinstance(blind, Words):
            words.append(blind.field)
        elif isinstance(blind, Exact) and _suits(blind.normaliser, text):
            found.update(manager.find(blind.field, text).values_list("pk", flat=True))
    if words and "@" not in text:
        found |= _by_words(manager, words, text.split())
    return found


def _by_words(manager: Any, indexes: Iterable[str], words: Sequence[str]) -> set[UUID]:
    """Every word must be found in one of the indexes: "Smi Alice" finds Alice Smith."""
    found: set[UUID] | None = None
    for word in words:
        here: set[UUID] = set()
        for index in indexes:
            here.update(manager.find_words(index, word).values_list("pk", flat=True))
        found = here if found is None else found & here
        if not found:
            return set()
    return found or set()


def _indexes(model: type[models.Model]) -> list[Any]:
    return [blind for field in model._meta.private_fields for blind in getattr(field, "blind", ())]


def _suits(normaliser: str, text: str) -> bool:
    if normaliser == "email":
        return "@" in text
    if normaliser == "phone":
        return sum(character.isdigit() for character in text) >= PHONE_DIGITS and not any(c.isalpha() for c in text)
    return "@" not in text

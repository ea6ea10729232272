"""How the database is asked for a record by its number: what else may have been typed does not stand in the statement.

What must never happen: a name, an address, a telephone or a tax number typed where a number is asked for, readable in
the database's list of statements (`pg_stat_activity`) or in its log. The driver writes each value into the statement.
So only what has the form of a number of ours goes there whole; of anything else no more than its beginning, and the
rest is compared here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Length
from stdnum import iban
from stdnum.ch import uid
from stdnum.eu import vat
from stdnum.gb import vat as gb_vat
from stdnum.no import mva

LONGEST = 40  # characters; no number of ours is longer
BEGINNING = 4  # characters of what may be a telephone number
FEWER = 2  # letters of what may be a name
_OURS = re.compile(r"[A-Za-z]{1,4}-?[0-9][A-Za-z0-9./-]*")  # SO-2026-000003, AW00011000, ILT2400-1
_DIGIT = re.compile("[0-9]")
_SOMEBODYS = (vat, gb_vat, uid, mva, iban)  # the same form, but the number of a person or company


def is_ours(text: str) -> bool:
    """Say whether a text has the form of a number that we give out, or a maker gives to an instrument."""
    return bool(_OURS.fullmatch(text)) and not any(kind.is_valid(text) for kind in _SOMEBODYS)


def beginning(text: str) -> str:
    """Return what of the text may be asked for: all of our own numbers, else its first characters; "" for nothing."""
    if len(text) > LONGEST or not text.isprintable() or "@" in text:
        return ""
    if is_ours(text):
        return text
    return text[:BEGINNING] if _DIGIT.search(text) else text[: min(FEWER, (len(text) + 1) // 2)]


def has(column: str) -> Callable[[models.QuerySet[Any], str], bool]:
    """Return the function that says whether one of some rows has this number, in whatever case it is said."""
    return lambda rows, text: next(equal(rows, column, text.strip().upper()), None) is not None


def equal(rows: models.QuerySet[Any], column: str, text: str) -> Iterator[Any]:
    """Yield the ids of the rows whose column is exactly this text."""
    asked = beginning(text)
    if not asked:
        return
    if asked == text:
        yield from rows.filter(**{column: text}).values_list("pk", flat=True).iterator()
        return
    # The index narrows by the beginning, the length and the lack of digits narrow further.
    fits = rows.alias(length=Length(column)).filter(Q(**{f"{column}__startswith": asked}), length=len(text))
    if not _DIGIT.search(text):
        fits = fits.filter(**{f"{column}__regex": "^[^0-9]*$"})
    yield from (pk for pk, number in fits.values_list("pk", column).iterator() if number == text)

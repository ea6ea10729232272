"""How one value is said to people: days and moments in words, amounts with their currency, yes and no, nothing as
nothing.

Pages and the readable part of a copy say values so; the files for programs give them exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from privacy import vault
from privacy.calendar import undated
from privacy.requests import ended


def value(one: Any) -> str:
    """Return a value in words, "" for nothing; what cannot be read says why.

    Raises TypeError for a table of names and values: what stands in one is said by its datum's own `words` (E013).
    """
    if isinstance(one, vault.Unreadable):
        return unreadable(one)
    if one is None or isinstance(one, str):
        return one or ""
    if isinstance(one, bool):
        return _("yes") if one else _("no")
    if undated.is_none(one):
        return str(one)
    if isinstance(one, datetime):
        return moment(one)
    if isinstance(one, date):
        return day(one)
    if isinstance(one, Mapping):
        raise TypeError("A table of names and values has no words of its own.")
    if isinstance(one, list | tuple | set | frozenset):
        return ", ".join(value(each) for each in one)
    return str(one)


@lru_cache(maxsize=10_000)
def day(one: date) -> str:
    """Return a day in words: "3 March 2026"."""
    return date_format(one, "j F Y")


def moment(one: datetime) -> str:
    """Return a moment in words, to the minute: "3 March 2026, 14:05 EST"."""
    return date_format(timezone.localtime(one), "j F Y, H:i T")


def money(amount: Decimal | None, currency: str = "USD") -> str:
    """Return an amount with two decimals and its currency: "USD 1,250.00"; more decimals where the amount has them."""
    if amount is None:
        return ""
    is_finer = amount != round(amount, 2)
    return f"{currency} {amount.normalize():,f}" if is_finer else f"{currency} {amount:,.2f}"


def unreadable(one: vault.Unreadable) -> str:
    """Return why a value cannot be read: it was erased, and when and by what; it is away for the moment; it is covered
    here."""
    if isinstance(one, vault.Erased):
        return ended.told(one)
    if isinstance(one, vault.KeyUnavailable):
        return _("Cannot be read at this moment. It is not lost; please try again later.")
    return _("On file, but this page may not show it.")

"""Countries on file that are none, chosen by somebody who found out which one is meant.

What must never happen: a country guessed, or one that is right changed here. So only a row whose code is none of ISO
3166-1 takes another, one row at a time, and the audit has both codes. A mistake is undone where the record is
corrected: at the desk, or by its person.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.http import HttpRequest

from accounts import corrections, upgrades
from accounts.models import Address, Customer
from accounts.validators import validate_country
from privacy import audit, vault
from privacy.actor import Actor
from privacy.requests import recount


class NothingToChoose(LookupError):
    """There is no such row, or its country is one. The text names no code."""


def choose(label: str, number: str, code: str, *, actor: Actor, now: datetime, is_dry: bool = False) -> list[str]:
    """Put `code` in place of every country of one row that is none, and return the columns; the
    dates of open requests follow.

    `label` and `number` are those that `countries` prints. Raises ValidationError when `code` is no country, and
    NothingToChoose.
    """
    validate_country(code)
    done = []
    with transaction.atomic():
        for model, name in upgrades.country_columns():
            if model._meta.label_lower != label.lower():
                continue
            try:
                row = upgrades.misspelt(model, name).select_for_update().filter(pk=number)
                old = row.values_list(name, flat=True).first()
            except (ValidationError, ValueError):  # no number of this kind of record
                old = None
            if old is None:
                continue
            done.append(name)
            if is_dry:
                continue
            upgrades.write_country(model, name, models.Q(pk=number), code)
            _contacts_read_anew(model, number, old, actor=actor, now=now)
            audit.record(
                "country.chosen", actor=actor, now=now, record=(label.lower(), number), fields=[name],
                reason=f"{old} became {code}",
            )  # fmt: skip
    if not done:
        raise NothingToChoose("There is no such record whose country is none: `countries` lists them.")
    if not is_dry:
        recount.recount(actor=actor, now=now)
    return done


def _contacts_read_anew(model: type[Any], number: str, old: str, *, actor: Actor, now: datetime) -> None:
    """Let what is read by the country count as entered now: a customer's telephone number, a postal address."""
    if model not in (Customer, Address):
        return
    row = model._base_manager.get(pk=number)
    with vault.internal():  # compared, shown to nobody
        before = {"country": old} | ({"phone": row.phone} if isinstance(row, Customer) else {})
        corrections.contacts_changed(row, before, actor=actor, now=now)


def said(left: int) -> str:
    """Return how many countries on file are none, in a sentence."""
    if not left:
        return "Every country on file is one."
    return f"{left} countr{'y' if left == 1 else 'ies'} on file {'is' if left == 1 else 'are'} none of ISO 3166-1."


class CountryToChoose(admin.SimpleListFilter):
    """The records of a list whose country is none, those of a customer's addresses too."""

    title = "country on file"
    parameter_name = "country"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("none", "is none, to be put right")]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        if self.value() != "none":
            return queryset
        found = models.Q(pk__in=[])
        for model, name in upgrades.country_columns():
            if model is queryset.model:
                found |= models.Q(pk__in=upgrades.misspelt(model, name).values("pk"))
            elif model is Address and hasattr(queryset.model, "addresses"):
                found |= models.Q(pk__in=upgrades.misspelt(model, name).values("customer"))
        return queryset.filter(found)

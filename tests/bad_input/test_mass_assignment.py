"""Fields that no form has (B17): sent along with each form they change nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import models

from tests.bad_input.forms import Form, Sender
from tests.figures import report
from tests.journeys.doors import House
from tests.journeys.everybody import undone

pytestmark = [pytest.mark.django_db, pytest.mark.figure]

# Who looked, and that something was done, is written either way.
LOGS = {"accounts.Session", "privacy.AccessEntry", "privacy.AccessName", "privacy.AuditEvent", "privacy.AuditLink"}
APPS = ("accounts", "orders", "rma", "privacy", "account", "auth", "mfa")


def smuggled(house: House) -> dict[str, str]:
    """Return fields that people try, with values that would show: rights, owners, states, dates."""
    alice = house.world.alice
    return {
        **dict.fromkeys(("is_staff", "is_superuser", "is_active", "verified", "primary", "must_change_password", "pinned",
                         "overdue", "is_warranty", "used_as_tax_id", "is_sole_trader"), "1"),
        **dict.fromkeys(("groups", "user_permissions", "roles", "role"), "1"),
        **dict.fromkeys(("customer", "customer_id", "requester", "for_customer"), str(alice.customer.pk)),
        **dict.fromkeys(("subject", "subject_id", "owner", "owner_id"), str(alice.subject)),
        **dict.fromkeys(("user", "user_id", "author_id", "actor_id"), str(alice.user.pk)),
        **dict.fromkeys(("id", "pk", "uuid", "record_id"), str(alice.records["address"].pk)),
        **dict.fromkeys(("order", "order_id"), str(alice.records["order"].pk)),
        **dict.fromkeys(("company", "company_id"), str(alice.records["company"].pk)),
        **dict.fromkeys(("state", "status", "parked_from"), "closed"), "outcome": "accepted",
        **dict.fromkeys(("retention_until", "until", "received_on_", "due_on", "legal_due_on", "closed_on", "closed_at",
                         "paid_on", "shipped_on", "invoiced_on", "last_active_on", "since", "identity_at", "lifted_at"), "2001-02-03"),
        **dict.fromkeys(("total", "subtotal", "quote", "cost_limit", "downloads", "attempts"), "777"),
        **dict.fromkeys(("confirmed_hash", "outcome_code_hash"), "f" * 64), "password": "pbkdf2$x", "step": "erase",
        "is_self": "1", "asked_by_": "agent", "author": "staff", "sealed_account": "x", "envelope": "x",
    }  # fmt: skip


def tables() -> list[type[models.Model]]:
    return [one for label in APPS for one in apps.get_app_config(label).get_models()]


def numbers() -> set[tuple[str, Any]]:
    """Return (table, number) of all rows that are there."""
    return {(model._meta.db_table, pk) for model in tables() for pk in model._base_manager.values_list("pk", flat=True)}


def plain(known: set[tuple[str, Any]]) -> dict[str, list[tuple[Any, ...]]]:
    """Return what the open columns of every table say: rights, links, states, dates, amounts. A new row's number is
    "new"."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for model in tables():
        if model._meta.label in LOGS:
            continue
        told = [one for one in model._meta.concrete_fields if one.primary_key or _tells(one)]
        leads = [_leads(model, one) for one in told]
        rows = models.QuerySet(model).values_list(*(one.attname for one in told))
        found[model._meta.label] = sorted(
            (
                tuple(
                    "new" if to and value and (to, value) not in known else value
                    for to, value in zip(leads, row, strict=True)
                )
                for row in rows
            ),
            key=repr,
        )
    return found


def _leads(model: type[models.Model], one: models.Field[Any, Any]) -> str:
    """Return the table whose rows a column names, "" when it names none."""
    if one.is_relation and one.related_model is not None:
        return str(one.related_model._meta.db_table)
    if one.primary_key:
        return str(model._meta.db_table)
    return "privacy_subject" if one.name == "owner_id" else ""


def _tells(one: models.Field[Any, Any]) -> bool:
    if isinstance(
        one, models.ForeignKey | models.BooleanField | models.DateField | models.IntegerField | models.DecimalField
    ):
        return True
    return bool(one.choices) or one.name in ("owner_id", "step")


def test_what_no_form_asks_for_changes_nothing(house: House, every_form: list[Form]) -> None:
    extra = smuggled(house)
    wrong, taken = [], 0
    known = numbers()
    untouched = plain(known)
    with Sender(house) as sender:
        for form in every_form:
            with undone():
                first = sender.post(form, {})
                honest = plain(known)
            with undone():
                second = sender.post(form, {name: value for name, value in extra.items() if name not in form.data})
                smuggling = plain(known)
            taken += honest != untouched
            differs = [label for label in honest if honest[label] != smuggling[label]]
            if differs or first.status_code != second.status_code:
                wrong.append(f"{form}: {first.status_code}, {second.status_code}, {differs}")
    assert not sender.failed and not wrong, "\n".join([*sender.failed, *wrong])
    assert taken > 15, "hardly a form was taken: nothing was tried"
    report("B17", "columns changed by fields that no form has", 0, n=len(extra) * len(every_form), goal="0")

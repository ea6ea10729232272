"""A query compiled once gives what the queryset gives, anew each time."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from orders.models import Order
from privacy import registers
from privacy.restore.models import LedgerCopy
from privacy.vault.compiled import Change, Question
from tests import factories

pytestmark = pytest.mark.django_db


def columns(record: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if not name.startswith("_")}


def test_a_record_is_what_the_queryset_reads_with_what_is_beside_it_and_read_anew() -> None:
    carol = factories.staff(roles=("service", "sales"))
    rows = User.objects.with_roles()
    asked = Question(rows.filter(pk=Question.NUMBER), Question.NUMBER)
    found = asked.record(carol.pk)
    assert columns(found) == columns(rows.get(pk=carol.pk))
    assert found == carol
    assert set(found.role_names) == {"service", "sales"}
    assert (found._state.adding, found._state.db) == (False, "default")
    assert found.username == rows.get(pk=carol.pk).username  # sealed: opened, or masked, as ever
    User.objects.filter(pk=carol.pk).update(last_login=factories.NOW)
    assert asked.record(carol.pk).last_login == factories.NOW
    assert asked.record(uuid4()) is None


def test_a_column_that_django_converts_is_read_as_it_reads_it() -> None:
    said = LedgerCopy.objects.create(entry=uuid4(), kind="keys", at=factories.NOW, counts={"erased": 2})
    assert Question(LedgerCopy.objects.filter(entry=Question.NUMBER), Question.NUMBER).record(said.entry).counts == {
        "erased": 2
    }


def test_a_value_fills_each_place_of_its_blank_and_no_other() -> None:
    carol = factories.staff(roles=("service",))
    assert carol.subject_id is not None
    signed = registers.Acknowledgement.objects.get(subject=carol.subject_id)
    kind = registers.Acknowledgement.Kind.CONFIDENTIALITY
    first, last = signed.signed_on, signed.expires_on
    for day, found in (
        (first, signed),
        (last, signed),
        (first - timedelta(days=1), None),
        (last + timedelta(days=1), None),
    ):
        assert registers.current(carol.subject_id, kind, today=day) == found, day
    assert registers.current(carol.subject_id, registers.Acknowledgement.Kind.TRAINING, today=first) is None
    assert registers.current(uuid4(), kind, today=first) is None
    later = registers.Acknowledgement.objects.create(
        subject_id=carol.subject_id, kind=kind, version="2", signed_on=first, expires_on=last + timedelta(days=1)
    )
    assert registers.current(carol.subject_id, kind, today=first) == later


def test_a_text_and_a_moment_are_filled_in_too() -> None:
    carol = factories.staff()
    users = User.objects.filter(password=Question.TEXT, created_at__lte=Question.MOMENT)
    asked = Question(users, Question.TEXT, Question.MOMENT)
    assert asked.record(carol.password, carol.created_at) == carol
    assert asked.record(carol.password, carol.created_at - timedelta(seconds=1)) is None
    assert asked.record("another", carol.created_at) is None


def test_records_are_all_that_the_queryset_reads_with_what_is_joined_to_them() -> None:
    alice = factories.customer(email="alice@example.com")
    placed = [factories.an_order(alice).pk for _ in range(3)]
    rows = Order.objects.filter(customer__subject_id=alice.subject_id).select_related("customer__user").order_by("-pk")
    asked = Question(
        Order.objects.filter(customer__subject_id=Question.NUMBER).select_related("customer__user").order_by("-pk"),
        Question.NUMBER,
    )
    found = asked.records(alice.subject_id)
    assert [columns(one) for one in found] == [columns(one) for one in rows]
    assert [one.pk for one in found] == sorted(placed, reverse=True)
    with CaptureQueriesContext(connection) as queries:
        assert {(one.customer.pk, one.customer.user) for one in found} == {(alice.pk, None)}
    assert len(queries) == 0
    assert found[0].ship_name == rows[0].ship_name  # sealed: opened, or masked, as ever
    assert asked.records(uuid4()) == []


def test_a_change_writes_the_columns_it_names_of_its_row_alone() -> None:
    carol, dan = factories.staff(roles=("service",)), factories.login("dan", "dan@example.com")
    at = factories.NOW
    carol.last_login, carol.is_active = at, False
    assert Change(User, "last_login").write(carol) == 1
    found = {one.pk: (one.last_login, one.is_active) for one in User.objects.filter(pk__in=[carol.pk, dan.pk])}
    assert found == {carol.pk: (at, True), dan.pk: (None, True)}
    assert Change(User, "last_login").write(User(pk=uuid4())) == 0

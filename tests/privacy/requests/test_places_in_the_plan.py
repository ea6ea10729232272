"""A decision is one line of its plan: that of a record which has ended says nothing of another one's."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from accounts import upgrades
from accounts.models import Customer
from privacy import vault
from privacy.gate.system import system
from privacy.requests import contradictions, outcome, planned
from privacy.requests.models import Request
from privacy.retention import decided
from privacy.retention.models import Decision
from privacy.sweep import arming, nightly
from privacy.vault.keystore import once
from privacy.vault.models import Once
from tests import roles
from tests.asked import NOW, OPERATOR, confirmed, run
from tests.beginnings import beginning
from tests.factories import an_order, customer
from tests.people import a_kept_order

pytestmark = pytest.mark.django_db

COLUMNS = "label, record_id, envelope, data, action, code, ground, authority, until, overdue, pinned, done_at, mac"
FIRST_DAY = date(2028, 1, 1)


@beginning
def removed() -> tuple[Customer, Request]:
    """Return a person, and a removal that kept two orders, of which the older has ended since."""
    alice, day = customer(), date(2020, 5, 10)
    an_order(alice, day, invoiced=day, shipped=day, paid=day)
    a_kept_order(alice)
    removal = confirmed(alice)
    run(removal)
    return alice, removal


@pytest.fixture(autouse=True)
def _demo(settings: Any) -> None:
    settings.DEMO = True


def swept_on(day: date) -> None:
    arming.arm(actor=OPERATOR)
    with system("sweep"):
        nightly.sweep(on=day, dry_run=False, actor=OPERATOR)


def gone_and_living(removal: Request) -> tuple[Decision, Decision]:
    gone, living = sorted(
        removal.decisions.filter(label="orders.order", action="keep"), key=lambda one: one.done_at is None
    )
    assert gone.done_at and gone.record_id is None and living.done_at is None
    return gone, living


def lines(removal: Request) -> dict[str, list[dict[str, Any]]]:
    with vault.internal():
        return outcome.lines(Request.objects.get(pk=removal.pk), today=FIRST_DAY)


def test_a_kept_order_is_not_called_removed_by_the_row_of_another_one(removed: tuple[Customer, Request]) -> None:
    _, removal = removed
    swept_on(FIRST_DAY)
    gone, living = gone_and_living(removal)
    assert [one["id"] for one in lines(removal)["kept"]] == [living.pk], "the control"
    for columns in (COLUMNS, f"{COLUMNS}, place"):
        Decision.objects.filter(pk=living.pk).delete()
        living.save(force_insert=True)
        roles.run(
            f"UPDATE privacy_decision SET ({columns}) = "
            f"(SELECT {columns} FROM privacy_decision WHERE id = {gone.pk}) WHERE id = {living.pk}"
        )
        written = Decision.objects.get(pk=living.pk)
        assert decided.is_ours(written) == (columns != COLUMNS), "its place is under the hash"
        with pytest.raises(outcome.NotAsPlanned):
            lines(removal)
        assert any("the key store has its key" in one for one in contradictions.of(removal.pk))
    assert list(planned.unlike(Request.objects.all())) == [removal.pk]
    assert f"a decision about orders.order, {gone.envelope}, is not as its plan in the sealed file has it" in (
        contradictions.of(removal.pk)
    )


def test_the_places_of_decisions_of_before_are_put_under_their_hashes_once_where_the_plan_has_them(
    removed: tuple[Customer, Request],
) -> None:
    _, removal = removed
    swept_on(FIRST_DAY)
    gone, living = gone_and_living(removal)
    other = Request.objects.get(pk=confirmed(customer("Bob", email="bob@example.com")).pk)
    for one in Decision.objects.all():
        Decision.objects.filter(pk=one.pk).update(place=None, mac=vault.mac_of(*decided._said_of_words(one)))
    roles.run(
        f"UPDATE privacy_decision SET ({COLUMNS}) = "
        f"(SELECT {COLUMNS} FROM privacy_decision WHERE id = {gone.pk}) WHERE id = {living.pk}"
    )
    assert all(map(decided.was_ours, Decision.objects.all())) and decided.ours(Decision.objects.all()) == []
    Once.objects.filter(step=once.PLACES).delete()
    upgrades.bind_rows(now=NOW)
    mine, others = (list(one.decisions.order_by("pk")) for one in (removal, other))
    assert [one.pk for one in mine if not decided.is_ours(one)] == [living.pk], "its key lives"
    assert [one.place for one in mine if one.pk != living.pk] == [
        n for n, one in enumerate(mine) if one.pk != living.pk
    ]
    assert decided.ours(others) == others and [one.place for one in others] == list(range(len(others)))


def test_who_seals_decisions_of_before_gives_them_their_places(removed: tuple[Customer, Request]) -> None:
    _, removal = removed
    removal.decisions.update(place=None, mac="")
    decided.seal([removal.pk])
    found = list(removal.decisions.order_by("pk"))
    assert decided.ours(found) == found and [one.place for one in found] == list(range(len(found)))

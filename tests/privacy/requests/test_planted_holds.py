"""A legal hold that somebody wrote, changed, took away or put back in the table: it is told to nobody as a reason, and
nothing of its record ends beside it until an operator has looked (retention/in_force.py)."""

from __future__ import annotations

import json
from datetime import date, timedelta
from io import StringIO
from typing import Any, NamedTuple

import pytest
from django.core.management import call_command
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import Customer
from orders.models import Order
from privacy import audit, vault
from privacy.gate.system import system
from privacy.requests import execute, outcome, services
from privacy.requests.models import Request
from privacy.requests.states import State
from privacy.retention import holds, in_force, restriction
from privacy.retention.models import Hold
from privacy.sweep import arming, nightly
from privacy.work.broken import Findings
from tests import factories, pages, people
from tests.asked import NOW, OPERATOR, TODAY, Clock, confirmed, run
from tests.beginnings import beginning

ORDER = "orders.order"

pytestmark = pytest.mark.django_db(databases="__all__")


class Bought(NamedTuple):
    """alice, who has an order that goes when she asks, and one that stays for tax."""

    alice: Customer
    old: Order
    kept: Order


@beginning
def bought() -> Bought:
    alice = people.an_alice()
    return Bought(alice, people.an_old_order(alice), people.a_kept_order(alice))


def planted(order: Order, *, mac: str = "") -> Hold:
    """Return a hold that was written past the program."""
    return Hold.objects.create(
        label="orders.order", record_id=order.pk, reason="claim", placed_at=NOW, placed_by="pat", mac=mac
    )


def placed(order: Order, **more: Any) -> Hold:
    return holds.place("orders.order", order.pk, reason="claim", actor=OPERATOR, now=more.pop("now", NOW), **more)


def advanced(request: Request) -> Clock:
    """Carry a request out until it is done or parked."""
    clock = Clock()
    for _ in range(40):
        execute.advance(request.pk, now=clock())
        clock.now += timedelta(hours=2)
        request.refresh_from_db()
        if request.state in (State.PARKED, State.CLOSED):
            break
    return clock


@pytest.mark.parametrize("when", ["before it begins", "while it is carried out"])
def test_a_removal_stops_at_a_planted_hold_and_goes_on_when_it_was_lifted(bought: Bought, when: str) -> None:
    alice, old, kept = bought
    mac = placed(kept).mac
    request = confirmed(alice)
    if when == "while it is carried out":
        for _ in range(4):
            execute.advance(request.pk, now=NOW)
    planted(old, mac=mac)
    clock = advanced(request)
    assert (request.state, request.last_error) == (State.PARKED, "NotOurs")
    assert not vault.keys.is_destroyed(old.pk, "order")
    assert not request.decisions.filter(record_id=old.pk, action="keep").exists(), "nobody is told of a legal claim"
    holds.lift("orders.order", old.pk, actor=OPERATOR, now=clock())
    services.resume(request, actor=OPERATOR, now=clock())
    run(request, clock)
    assert request.state == State.CLOSED and vault.keys.is_destroyed(old.pk, "order")


def test_what_an_answer_says_does_not_change_by_a_planted_hold(bought: Bought) -> None:
    request = confirmed(bought.alice)
    run(request)

    def told() -> list[tuple[str, str, date | None]]:
        with system("erasure", subject=request.owner_id):
            lines = outcome.lines(request, today=TODAY)["kept"]
        return [(one["code"], one["ground"], one["until"]) for one in lines if one["label"] == "orders.order"]

    before = told()
    planted(bought.kept)
    assert before and told() == before
    Hold.objects.all().delete()
    placed(bought.kept)
    assert {code for code, _, _ in told()} == {"KEEP_CLAIMS"}, "the control: one that was placed is told of"


def test_one_that_was_lifted_and_put_back_is_in_doubt_and_the_sweep_names_it(bought: Bought) -> None:
    hold = placed(bought.old)
    assert in_force.look([(ORDER, bought.old.pk)]) == ({bought.old.pk}, set())
    holds.lift("orders.order", bought.old.pk, actor=OPERATOR, now=NOW + timedelta(hours=1))
    hold.save()  # the row of before, with its keyed hash
    assert in_force.look([(ORDER, bought.old.pk)]) == (set(), {bought.old.pk})
    findings = Findings()
    restriction.settle_all(actor=OPERATOR, now=NOW, findings=findings)
    assert [(one.step, one.record) for one in findings] == [("hold", str(bought.old.pk))]


def test_one_that_was_taken_away_or_changed_leaves_its_record_restricted(bought: Bought) -> None:
    old = bought.old
    hold = placed(old)
    before = vault.keys.restrictions([old.pk])
    assert before
    for change in (lambda: Hold.objects.update(reference="X-1", reason="audit"), Hold.objects.all().delete):
        change()
        findings = Findings()
        restriction.settle_all(actor=OPERATOR, now=NOW, findings=findings)
        assert vault.keys.restrictions([old.pk]) == before
    assert [(one.step, one.record) for one in findings] == [("hold", str(old.pk))]
    hold.save(force_insert=True)  # the control: put back as it was, it is in force, and can be lifted
    assert in_force.look([(ORDER, old.pk)]) == ({old.pk}, set())
    holds.lift("orders.order", old.pk, actor=OPERATOR, now=NOW)
    assert in_force.look([(ORDER, old.pk)]) == (set(), set())


def test_the_sweep_ends_nothing_beside_a_planted_hold(bought: Bought, settings: Any) -> None:
    settings.DEMO = True  # the test chooses the day
    arming.arm(actor=OPERATOR)
    day = date(2040, 1, 2)
    hold = planted(bought.old)
    for is_planted in (True, False):
        report = nightly.sweep(on=day, dry_run=False, actor=OPERATOR)
        assert vault.keys.is_destroyed(bought.old.pk, "order") is not is_planted
        assert any(one.record == str(bought.old.pk) and one.error == "NotOurs" for one in report.findings) is is_planted
        Hold.objects.filter(pk=hold.pk).delete()


def bound() -> int:
    with transaction.atomic():
        return in_force.bind_all()


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_an_upgrade_signs_what_the_audit_tells_of_and_what_is_older_than_it() -> None:
    now, years = timezone.now(), timedelta(days=365)
    audit.record("countries.settled", actor=OPERATOR, now=now - 4 * years)
    alice = people.an_alice()
    ancient, known, old = people.an_old_order(alice), people.a_kept_order(alice), people.an_old_order(alice)
    every = [ancient.pk, known.pk, old.pk]
    for order, at in ((ancient, now - 5 * years), (old, now)):
        planted(order)
        Hold.objects.filter(record_id=order.pk).update(placed_at=at)
    placed(known, now=now)
    Hold.objects.update(mac="")
    audit.seal(now=now)
    assert audit.goes_back_to(audit.AUDIT) is None, "nothing of it has ended: it tells of every hold there ever was"
    assert bound() == 1
    Hold.objects.update(mac="")
    assert audit.end(before=now - 3 * years - timedelta(days=2), now=now) > 0
    since = audit.goes_back_to(audit.AUDIT)
    assert since is not None and since > now - 4 * years
    assert bound() == 2 and in_force.look((ORDER, pk) for pk in every) == ({ancient.pk, known.pk}, {old.pk})


def test_staff_and_operators_see_which_hold_is_in_doubt(bought: Bought) -> None:
    planted(bought.old)
    placed(bought.kept)
    out = StringIO()
    call_command("hold", list=True, json=True, stdout=out)
    said = {one["record"]: one["in_doubt"] for one in json.loads(out.getvalue())["holds"]}
    assert said == {str(bought.old.pk): True, str(bought.kept.pk): False}
    out = StringIO()
    call_command("hold", list=True, stdout=out)
    assert out.getvalue().count(in_force.IN_DOUBT) == 1
    page = (
        pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
        .get(reverse("admin:privacy_hold_changelist"))
        .content.decode()
    )
    assert page.count(in_force.IN_DOUBT) == 1


def test_one_whose_row_is_gone_is_told_listed_and_lifted_by_the_audit(bought: Bought, settings: Any) -> None:
    settings.DEMO = True  # the test chooses the day
    arming.arm(actor=OPERATOR)
    placed(bought.old, reference="C-1")
    request = confirmed(bought.alice)
    run(request)
    pat = pages.signed_in(factories.staff("pat", "pat@ilt.example", roles=("privacy",)))
    place = [(ORDER, bought.old.pk)]

    def told() -> list[str]:
        with system("erasure", subject=request.owner_id):
            kept = outcome.lines(Request.objects.get(pk=request.pk), today=TODAY)["kept"]
        return [one["sentence"] for one in kept if one["code"] == "KEEP_CLAIMS"]

    def shown(**more: Any) -> str:
        call_command("hold", stdout=(out := StringIO()), **more)
        return out.getvalue()

    def desk(page: str) -> bool:
        return in_force.LOST_HERE in pat.get(page).content.decode()

    at_desk = [reverse("admin:privacy_hold_changelist"), reverse("admin:privacy_request_change", args=[request.pk])]
    before = told()
    assert before and in_force.LOST not in shown(list=True) and not any(map(desk, at_desk))
    for lose in (Hold.objects.filter(lifted_at=None).delete, lambda: Hold.objects.update(lifted_at=NOW, lifted_by="x")):
        lose()
        assert told() == before and in_force.look(place) == ({bought.old.pk}, set())
        name = f"Order {bought.old.number}"
        assert shown(list=True).startswith(f"{name}: a claim is made or expected, case C-1; since ")
        assert shown(list=True).endswith(f"{in_force.LOST}\nHolds in force: 1.\n") and all(map(desk, at_desk))
        (one,) = json.loads(shown(list=True, json=True))["holds"]
        assert (one["case"], one["placed_by"], one["row_is_gone"]) == ("C-1", "operator", True)
        report = nightly.sweep(on=TODAY, dry_run=False, actor=OPERATOR)
        assert [(f.step, f.error) for f in report.findings if f.record == str(bought.old.pk)] == [("hold", "NotOurs")]
        assert not vault.keys.is_destroyed(bought.old.pk, "order")
        placed(bought.old, reference="C-1")  # anew, as the desk is told
        assert in_force.lost() == [] and not any(map(desk, at_desk))
    Hold.objects.filter(lifted_at=None).delete()
    assert "lifted." in shown(record=bought.old.number, lift=True, case="C-1")
    assert (
        in_force.look(place) == (set(), set())
        and shown(list=True) == "Holds in force: 0.\n"
        and set(told()) == {outcome.ENDED}
    )
    assert audit.last([in_force.PLACED, in_force.LIFTED], place)[place[0]] == (in_force.LIFTED, "claim")
    nightly.sweep(on=TODAY, dry_run=False, actor=OPERATOR)
    assert vault.keys.is_destroyed(bought.old.pk, "order")

"""A hold keeps one record, whatever anybody asks, until it is lifted."""

import json
from datetime import UTC, date, datetime
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from orders.models import Order
from privacy import vault
from privacy.audit.models import AuditEvent
from privacy.gate import Actor
from privacy.gate.system import system_actor
from privacy.requests import erasure
from privacy.retention import holds, in_force, rules
from privacy.retention.assess import assess
from privacy.retention.models import Hold
from tests.asked import facts_of
from tests.factories import TASK, a_customer, an_order, an_rma

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def held_order() -> Order:
    return an_order(a_customer("T-ALICE"))


def put(order: Order, **more: str) -> Hold:
    return holds.place("orders.order", order.pk, reason=more.pop("reason", "claim"), actor=TASK, now=NOW, **more)


def test_a_record_is_found_by_what_people_call_it() -> None:
    order = held_order()
    rma = an_rma(order.customer)
    for name, label, pk in (
        (order.number, "orders.order", order.pk),
        (f" {order.number} ", "orders.order", order.pk),
        (rma.number, "rma.rma", rma.pk),
        ("T-ALICE", "accounts.customer", order.customer_id),
        (str(order.pk), "orders.order", order.pk),
    ):
        found = holds.find(name)
        assert (found.declaration.label, found.record_id) == (label, pk)


def test_of_two_records_with_one_number_none_is_taken() -> None:
    order = held_order()
    Order.objects.filter(pk=order.pk).update(number="T-ALICE")
    with pytest.raises(holds.ReferenceNotUnique, match="give the number of the record"):
        holds.find("T-ALICE")
    with pytest.raises(CommandError) as refused:
        call_command("hold", "T-ALICE", "--reason", "claim")
    assert (refused.value.returncode, Hold.objects.count()) == (3, 0)


@pytest.mark.parametrize(
    "name", ["", "  ", "NOBODY", "\0", "x" * 10_000, "ad6a80eb-7a97-4709-9566-d39f97b3cf74", "z" * 36, "%", "'"]
)
def test_what_nobody_has_is_not_found(name: str) -> None:
    held_order()
    with pytest.raises(holds.RecordNotFound):
        holds.find(name)


def test_a_held_record_is_seen_and_others_are_not() -> None:
    order, other = held_order(), an_order(a_customer())
    put(order)
    assert in_force.on_hold([("orders.order", order.pk), ("orders.order", other.pk)]) == {order.pk}


def test_the_same_case_holds_a_record_once_and_another_case_holds_it_too() -> None:
    order = held_order()
    first = put(order, reference="2026-17")
    assert put(order, reference="2026-17") == first
    assert put(order, reference="2026-18") != first
    assert AuditEvent.objects.filter(action="hold.placed").count() == 2


def test_one_case_is_lifted_and_the_other_still_holds() -> None:
    order = held_order()
    put(order, reference="2026-17")
    put(order, reference="2026-18")
    assert holds.lift("orders.order", order.pk, reference="2026-17", actor=TASK, now=NOW) == 1
    assert in_force.on_hold([("orders.order", order.pk)]) == {order.pk}
    assert holds.lift("orders.order", order.pk, actor=TASK, now=NOW) == 1
    assert in_force.on_hold([("orders.order", order.pk)]) == set()
    with pytest.raises(holds.NothingOnHold):
        holds.lift("orders.order", order.pk, actor=TASK, now=NOW)
    assert AuditEvent.objects.filter(action="hold.lifted").count() == 2


def test_what_is_gone_cannot_be_held() -> None:
    for label in ("orders.order", "nobody.nothing"):
        with pytest.raises(holds.RecordNotFound):
            holds.place(label, uuid4(), reason="claim", actor=TASK, now=NOW)


@pytest.mark.parametrize("bad", [{"reason": "because"}, {"reference": "alice@post.example"}, {"reference": "x" * 61}])
def test_a_hold_needs_a_known_reason_and_a_case_number_without_a_name(bad: dict[str, str]) -> None:
    with pytest.raises(holds.BadHold):
        put(held_order(), **bad)
    assert not Hold.objects.exists()


def test_a_hold_cannot_be_lifted_before_it_was_placed() -> None:
    hold = put(held_order())
    hold.lifted_at = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(IntegrityError), transaction.atomic():
        hold.save()


def paid_order() -> Order:
    day = date(2026, 6, 10)
    return an_order(a_customer(), day, invoiced=day, shipped=day, paid=day)


def ended(order: Order) -> erasure.Erased:
    """Erase an order of which nothing but a hold is in the way."""
    facts = facts_of([order])[0]
    verdicts = assess(facts, rules.load(), set(), date(2040, 1, 1), asked=True)
    assert {one.action for one in verdicts} == {"erase"}
    return erasure.erase_records(verdicts, request=None, actor=TASK, now=NOW)


@pytest.mark.parametrize("how", ["lifted", "taken away", "with an event of their own"])
def test_a_hold_that_somebody_lifted_in_the_table_still_keeps_the_record(how: str) -> None:
    order = paid_order()
    put(order)
    if how == "taken away":
        Hold.objects.all().delete()
    else:
        Hold.objects.update(lifted_at=NOW)
    if how == "with an event of their own":
        placed = AuditEvent.objects.get(action="hold.placed")
        copied = ("at", "label", "record", "reason", "reference", "encoding", "mac")
        AuditEvent.objects.create(**{name: getattr(placed, name) for name in copied}, action="hold.lifted")
    assert not Hold.objects.filter(lifted_at=None).exists(), "control: by the table nothing is held"
    done = ended(order)
    assert {pk for pk, _ in done.on_hold} == {order.pk} and not done.envelopes
    assert not vault.keys.is_destroyed(order.pk, "order")


def test_one_that_the_site_lifted_keeps_nothing() -> None:
    order = paid_order()
    put(order)
    put(order, reference="2026-17")
    holds.lift("orders.order", order.pk, reference="2026-17", actor=TASK, now=NOW)
    assert in_force.on_hold([("orders.order", order.pk)]) == {order.pk}
    holds.lift("orders.order", order.pk, reference="", actor=TASK, now=NOW)
    assert in_force.on_hold([("orders.order", order.pk)]) == set()
    assert not ended(order).on_hold and vault.keys.is_destroyed(order.pk, "order")


def test_an_erasure_that_was_decided_before_the_hold_leaves_the_record_whole() -> None:
    day = date(2026, 6, 10)
    order = an_order(a_customer(), day, invoiced=day, shipped=day, paid=day)
    facts = facts_of([order])[0]
    verdicts = assess(facts, rules.load(), set(), date(2040, 1, 1), asked=True)
    assert {one.action for one in verdicts} == {"erase"}
    put(order)
    done = erasure.erase_records(verdicts, request=None, actor=TASK, now=NOW)
    assert sorted(done.on_hold) == [(order.pk, "fulfilment"), (order.pk, "order")]
    order.refresh_from_db()
    assert order.sealed_order is not None
    assert not vault.keys.is_destroyed(order.pk, "order")


def run(*arguments: str) -> dict:  # type: ignore[type-arg]
    out = StringIO()
    call_command("hold", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_command_places_lists_and_lifts() -> None:
    order = held_order()
    placed = run(order.number, "--reason", "audit", "--case", "IRS 2026-4")
    assert [(one["record"], one["label"], one["reason"], one["case"]) for one in placed["holds"]] == [
        (str(order.pk), "orders.order", "audit", "IRS 2026-4")
    ]
    assert run("--list") == placed
    assert run(str(order.pk), "--lift") == {"holds": []}
    assert placed["holds"][0]["placed_by"] == "operator"
    assert Hold.objects.get().lifted_by == "operator"


def test_who_placed_a_hold_is_the_member_of_staff_or_that_it_was_an_operator_or_a_program() -> None:
    order = held_order()
    carol = Actor("staff", "01a1", None, frozenset({"privacy"}), "admin")
    for actor, noted in ((carol, "01a1"), (system_actor("sweep", kind="operator"), "operator"), (TASK, "task")):
        hold = holds.place("orders.order", order.pk, reason="audit", reference=noted, actor=actor, now=NOW)
        assert hold.placed_by == noted


def test_a_hold_without_a_reason_is_none() -> None:
    held_order()
    with pytest.raises(CommandError, match="Say why: --reason with one of claim, authority, audit, incident"):
        call_command("hold", "T-ALICE")
    assert not Hold.objects.exists()


def test_the_list_is_read_by_people_and_names_the_record_by_its_number() -> None:
    held_order()
    call_command("hold", "T-ALICE", "--reason", "audit", "--case", "IRS 2026-4", stdout=StringIO())
    out = StringIO()
    call_command("hold", "--list", stdout=out)
    first, last = out.getvalue().splitlines()
    assert first.startswith("Customer T-ALICE: a tax or export audit is under way, case IRS 2026-4; since ")
    assert last == "Holds in force: 1."
    out = StringIO()
    call_command("hold", "T-ALICE", "--lift", stdout=out)
    assert out.getvalue() == "1 lifted. What waited for it is erased by the next sweep, where it is armed.\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 2),
        (("T-ALICE",), 2),
        (("T-ALICE", "--case", "2026-17"), 2),
        (("T-ALICE", "--lift", "--reason", "claim"), 2),
        (("--list", "--reason", "claim"), 2),
        (("--list", "--lift"), 2),
        (("NOBODY", "--reason", "claim"), 1),
        (("T-ALICE", "--reason", "claim", "--case", "alice@x"), 1),
        (("T-ALICE", "--lift"), 3),
    ],
)
def test_the_command_says_what_is_wrong_by_its_exit_code(arguments: tuple[str, ...], code: int) -> None:
    held_order()
    with pytest.raises(CommandError) as error:
        call_command("hold", *arguments, stdout=StringIO())
    assert error.value.returncode == code
    assert "\n" not in str(error.value)
    assert "alice@x" not in str(error.value)

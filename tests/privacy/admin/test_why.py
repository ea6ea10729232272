"""Why staff open a record: derived from what is open, asked once a day only where nothing is, and told to the
person."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from accounts.models import ClaimReview
from privacy.gate import AccessEntry, matters, told
from privacy.gate.log import detail
from privacy.requests.models import Request
from tests import factories, pages
from tests.asked import filed
from tests.factories import an_order, an_rma

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

_number = count(1)
EVENING = factories.NOW + timedelta(hours=13, minutes=55)  # 23:55 at the company


@pytest.fixture
def alice() -> Any:
    return factories.customer()


def staff(*roles: str) -> Client:
    name = f"dan{next(_number)}"
    return pages.signed_in(factories.staff(name, f"{name}@ilt.example", roles=roles), asked=False)


def page_of(record: Any) -> str:
    return reverse(f"admin:{record._meta.app_label}_{record._meta.model_name}_change", args=[record.pk])


def why(subject: Any) -> list[tuple[str, str]]:
    """Return the reasons of what staff opened of `subject`, oldest first, with what they refer to."""
    entries = AccessEntry.objects.for_subject(subject).filter(actor_kind="staff").order_by("id")
    return [(one.reason, detail(one)[1]) for one in entries]


def is_asked(answer: Any) -> bool:
    return "admin/why.html" in [one.name for one in answer.templates]


# Derived --------------------------------------------------------------------------------------------------------------


def test_an_open_order_connects_sales_and_its_customer(alice: Any) -> None:
    order = an_order(alice)
    for record in (alice, order):
        assert not is_asked(staff("sales").get(page_of(record)))
    assert set(why(alice.subject_id)) == {("open order", order.number)}


def test_an_unpaid_invoice_connects_accounting_and_not_sales(alice: Any) -> None:
    order = an_order(alice)
    type(order).objects.filter(pk=order.pk).update(shipped_on=factories.NOW.date(), invoiced_on=factories.NOW.date())
    assert not is_asked(staff("accounting").get(page_of(alice)))
    assert why(alice.subject_id) == [("unpaid invoice of order", order.number)]
    assert matters.connecting(frozenset({"sales"}), alice.subject_id) is None


def test_an_open_return_connects_service(alice: Any) -> None:
    rma = an_rma(alice)
    assert not is_asked(staff("service").get(page_of(alice)))
    assert why(alice.subject_id) == [("open return", rma.number)]
    assert matters.connecting(frozenset({"accounting"}), alice.subject_id) is None


def test_an_open_request_connects_the_privacy_team(alice: Any) -> None:
    request = filed(alice, "erasure")
    assert not is_asked(staff("privacy").get(page_of(request)))
    assert not is_asked(staff("privacy").get(page_of(alice)))
    assert set(why(alice.subject_id)) == {("open request", request.reference)}
    Request.objects.filter(pk=request.pk).update(state="closed")
    assert matters.connecting(frozenset({"privacy"}), alice.subject_id) is None


def test_an_open_message_connects_who_answers_and_an_open_claim_who_settles_it(alice: Any) -> None:
    message = factories.communication(alice)
    type(message).objects.filter(pk=message.pk).update(closed_on=None)
    assert not is_asked(staff("service").get(page_of(message)))
    assert why(alice.subject_id)[-1][0] == "open message of"
    user = factories.login("mallory", "mallory@example.com")
    ClaimReview.objects.create(user=user, customer=alice, reason="several", opened_at=factories.NOW)
    assert matters.connecting(frozenset({"privacy"}), alice.subject_id).what == "a login has claimed an address on file"


def test_the_record_itself_stands_before_what_else_is_open(alice: Any) -> None:
    first, second = an_order(alice), an_order(alice)
    for order in (first, second):
        staff("sales").get(page_of(order))
    assert set(why(alice.subject_id)) == {("open order", first.number), ("open order", second.number)}


def test_an_order_or_return_is_no_occasion_to_open_another_one(alice: Any) -> None:
    """The person would read that an old invoice was opened because of an order that it has nothing to do with."""
    old, current = an_order(alice), an_order(alice)
    type(old).objects.filter(pk=old.pk).update(state="cancelled", closed_on=factories.NOW.date())
    carol = staff("sales")
    assert not is_asked(carol.post(page_of(current).replace("change", "step/note"), follow=True))
    assert is_asked(carol.get(page_of(old))), "nor because of what was done with another one"
    closed = an_rma(alice)
    type(closed).objects.filter(pk=closed.pk).update(state="closed", closed_on=factories.NOW.date())
    assert is_asked(carol.get(page_of(closed)))
    assert {reference for _, reference in why(alice.subject_id)} == {current.number}

    service, rma = staff("sales"), an_rma(alice, order=old)
    assert not is_asked(service.get(page_of(old))), "a return belongs to its order"
    assert ("open return", rma.number) in why(alice.subject_id)
    filed(alice, "access")
    assert not is_asked(staff("privacy").get(page_of(alice))), "a request covers what there is of the person"
    carol.post(page_of(old).replace("change", "why"), {"reason": "claim"})
    assert not is_asked(carol.get(page_of(closed))), "an answer counts for the person"


def test_what_is_open_of_somebody_else_connects_nobody(alice: Any) -> None:
    an_order(factories.customer("Bob", email="bob@example.com"))
    assert is_asked(staff("sales").get(page_of(alice)))


def test_looking_for_what_is_open_costs_as_many_queries_with_30_orders_as_with_one(
    alice: Any, django_assert_num_queries: Any
) -> None:
    for more in (1, 29):
        for _ in range(more):
            an_order(alice)
        with django_assert_num_queries(5):
            roles = frozenset({"sales", "service", "accounting", "privacy"})
            assert matters.connecting(roles, alice.subject_id) is not None


def test_lists_ask_nothing_and_say_that_they_are_lists(alice: Any) -> None:
    answer = staff("sales").get(reverse("admin:accounts_customer_changelist"))
    assert alice.reference in answer.text
    assert why(alice.subject_id) == [("list of customers", "")]


# Asked ----------------------------------------------------------------------------------------------------------------


def test_where_nothing_is_open_staff_are_asked_before_anything_is_opened(alice: Any) -> None:
    carol = staff("sales")
    answer = carol.get(page_of(alice))
    assert is_asked(answer) and answer.text.count('type="radio"') == 4
    assert "Alice" not in answer.text and "alice@example.com" not in answer.text
    assert not AccessEntry.objects.for_subject(alice.subject_id).exists()

    answer = carol.post(answer.context["action"], {"reason": "claim"}, follow=True)
    assert not is_asked(answer) and "Alice" in answer.text
    assert why(alice.subject_id) == [("checking a complaint, a claim or a payment", "")]


def test_the_page_of_a_company_asks_before_it_opens_its_contacts_and_they_read_why() -> None:
    lumen, dan = factories.company(), staff("service")
    alice = factories.customer(company=lumen)
    bob = factories.customer("Bob", email="bob@example.com", company=factories.company("Other Works"))
    answer = dan.get(page_of(lumen))
    assert is_asked(answer) and "people who work for the company" in answer.text and "this person" not in answer.text
    assert str(lumen.pk)[-12:] not in re.sub("<[^>]+>", "", answer.text), "the way to it is told without a row's number"
    assert not AccessEntry.objects.for_subject(alice.subject_id).exists()

    answer = dan.post(answer.context["action"], {"reason": "contact"}, follow=True)
    assert not is_asked(answer) and "alice@example.com" in answer.text
    assert set(why(alice.subject_id)) == {("the person phoned, wrote or came in", "")}
    assert not is_asked(dan.get(page_of(lumen))), "once a day"
    assert is_asked(dan.get(page_of(bob.company))), "another company"


def test_the_page_of_a_sole_trader_asks_as_that_of_the_person_does() -> None:
    alice = factories.customer()
    lumen = factories.company(is_sole_trader=True, subject=alice.subject)
    dan = staff("sales")
    assert is_asked(dan.get(page_of(lumen)))
    dan.post(page_of(alice).replace("change", "why"), {"reason": "contact"})
    assert not is_asked(dan.get(page_of(lumen)))


def test_staff_are_asked_once_a_day_for_each_person(alice: Any) -> None:
    with time_machine.travel(EVENING, tick=False):
        carol, bob = staff("sales"), factories.customer("Bob", email="bob@example.com")
        message = factories.communication(alice, closed_on=factories.NOW.date())
        carol.post(page_of(alice).replace("change", "why"), {"reason": "contact"})
        assert not is_asked(carol.get(page_of(alice)))
        assert not is_asked(carol.get(page_of(message))), "another record of the same person"
        assert is_asked(carol.get(page_of(bob)))
    with time_machine.travel(EVENING + timedelta(minutes=10), tick=False):
        assert is_asked(carol.get(page_of(alice)))


def test_what_was_begun_before_midnight_is_finished_after_it(alice: Any) -> None:
    with time_machine.travel(EVENING, tick=False):
        carol = staff("sales")
        carol.post(page_of(alice).replace("change", "why"), {"reason": "correction"})
        shown = carol.get(page_of(alice)).context["adminform"].form
    data = {name: shown.initial.get(name) or "" for name in shown.fields} | {"first_name": "Alicia"}
    with time_machine.travel(EVENING + timedelta(minutes=10), tick=False):
        assert carol.post(page_of(alice), data).status_code == 302
    assert ("correcting or completing the record", "") in why(alice.subject_id)


@pytest.mark.parametrize("reason", ["", "curious", "contact' OR 1=1"])
def test_anything_but_the_four_answers_is_asked_again(alice: Any, reason: str) -> None:
    answer = staff("sales").post(page_of(alice).replace("change", "why"), {"reason": reason})
    assert is_asked(answer) and answer.status_code == 400 and "Please choose one of the four." in answer.text


def test_nothing_can_be_changed_before_the_answer(alice: Any) -> None:
    answer = staff("sales").post(page_of(alice), {"first_name": "Mallory"})
    assert is_asked(answer)
    assert not AccessEntry.objects.for_subject(alice.subject_id).exists()


def test_who_may_read_nothing_is_not_asked_and_sees_masks(alice: Any) -> None:
    frank = pages.signed_in(factories.staff(roles=("sales",), acknowledged=False), asked=False)
    answer = frank.get(page_of(alice))
    assert not is_asked(answer) and "Alice" not in answer.text


def test_a_step_is_not_taken_before_the_answer(alice: Any) -> None:
    order = an_order(alice)
    type(order).objects.filter(pk=order.pk).update(state="cancelled", closed_on=factories.NOW.date())
    step = page_of(order).replace("change", "step/cancel")
    assert is_asked(staff("sales").get(step))


def test_another_role_finds_no_question_about_a_record_it_may_not_see(alice: Any) -> None:
    order = an_order(alice)
    assert staff("service").post(page_of(order).replace("change", "why"), {"reason": "contact"}).status_code == 404


def test_the_page_after_the_step_that_ends_a_matter_asks_nothing(alice: Any) -> None:
    order, carol = an_order(alice), staff("sales")
    answer = carol.post(page_of(order).replace("change", "step/cancel"), follow=True)
    assert not is_asked(answer) and "cancelled" in answer.text
    assert matters.connecting(frozenset({"sales"}), alice.subject_id) is None
    assert set(why(alice.subject_id)) == {("open order", order.number)}


# Told -----------------------------------------------------------------------------------------------------------------


def test_the_person_reads_role_day_record_and_reason(alice: Any) -> None:
    order = an_order(alice)
    alice.user = factories.login()
    staff("sales").get(page_of(order))
    entry = AccessEntry.objects.for_subject(alice.subject_id).get(actor_kind="staff")
    line = told.tell([entry], alice.subject_id)[0]
    assert (line.who, line.purpose) == ("sales staff", f"daily work: open order {order.number}")
    assert any(one.startswith(f"Order {order.number}: ") for one in line.opened)
    assert str(order.pk) not in " ".join(line.opened)

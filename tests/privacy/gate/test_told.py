"""Who looked is read by people: by day, role and occasion, with the records and their numbers."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from accounts.models import Customer
from orders.models import Order, Payment
from privacy import actor, datamap, gate
from privacy.gate import log, told
from privacy.gate.log import AccessEntry
from privacy.gate.system import system, system_actor
from privacy.letters.models import Letter
from tests import asked, factories, pages
from tests.factories import CAROL, an_order
from tests.privacy.work.test_broken import BEYOND, spoil

pytestmark = pytest.mark.django_db
PAID = date(2026, 11, 2)


@pytest.fixture
def customer() -> Customer:
    return factories.customer(user=factories.login())


def entries(customer: Customer) -> list[AccessEntry]:
    return list(AccessEntry.objects.for_subject(customer.subject_id).select_related("whose"))


def opened(customer: Customer, order: Order, by: gate.Actor = CAROL, *, minutes: int = 0) -> None:
    log.write(
        [log.Opening(by, ("subject", customer.subject_id), {"orders.order/fulfilment": [order.pk]}, "open order")],
        now=factories.NOW + timedelta(minutes=minutes),
    )


def test_openings_of_one_day_role_and_occasion_are_one_line_with_their_count(customer: Customer) -> None:
    first, second = an_order(customer), an_order(customer)
    for minutes, order in ((0, first), (30, second), (60, first)):
        opened(customer, order, minutes=minutes)
    (one,) = [one for one in told.by_day(entries(customer), customer.subject_id) if one.who == "sales staff"]
    assert (one.day, one.count, one.often) == (factories.TODAY, 3, "3 times, 10:00 to 11:00")
    (line,) = one.opened
    assert line == f"Order {first.number}, {second.number}: name, ways to reach you, address, text"
    assert "open order" in one.purpose


def test_another_day_role_or_occasion_is_another_line(customer: Customer) -> None:
    order = an_order(customer)
    accounting = gate.Actor("staff", "erin", None, frozenset({"accounting"}), "test")
    for by, minutes in ((CAROL, 0), (CAROL, 24 * 60), (accounting, 0)):
        opened(customer, order, by, minutes=minutes)
    lines = [(one.day, one.who) for one in told.by_day(entries(customer), customer.subject_id) if one.count == 1]
    assert {who for _, who in lines} >= {"sales staff", "accounting staff"}
    assert len([who for _, who in lines if who == "sales staff"]) == 2


def test_a_person_at_the_shell_is_not_called_a_program(customer: Customer) -> None:
    with system("demo", kind="operator"):
        assert Customer.objects.get(pk=customer.pk).first_name == "Alice"
    with system("demo"):
        assert Customer.objects.get(pk=customer.pk).first_name == "Alice"
    who = {one.who for one in told.by_day(entries(customer), customer.subject_id)}
    assert who == {actor.WORDS["operator"], actor.WORDS["task"]}


def test_a_record_without_a_number_of_its_own_is_called_by_the_one_it_stands_in(customer: Customer) -> None:
    order = an_order(customer, PAID, invoiced=PAID, shipped=PAID, paid=PAID)
    payment = Payment.objects.get(order=order)
    by = system_actor("demo")
    opening = log.Opening(by, ("subject", customer.subject_id), {"orders.payment/payment": [payment.pk]})
    log.write([opening], now=factories.NOW)
    assert any(
        f"Payment {order.number}" in line
        for one in told.by_day(entries(customer), customer.subject_id)
        for line in one.opened
    )


def test_no_line_tells_a_name_of_the_program(customer: Customer) -> None:
    by, whose = system_actor("demo"), ("subject", customer.subject_id)
    log.write(
        [log.Opening(by, whose, {name: [customer.pk]}) for name in ("privacy.export/export", "gone.kind/data")],
        now=factories.NOW,
    )
    (one,) = told.by_day(entries(customer), customer.subject_id)
    assert sorted(one.opened) == ["Copy that was made", "data of an earlier kind"]


def test_thirty_openings_cost_as_many_queries_as_one(customer: Customer) -> None:
    orders = [an_order(customer) for _ in range(30)]
    browser = pages.signed_in(customer.user)

    def queries() -> int:
        browser.get("/privacy/openings/")
        with CaptureQueriesContext(connections["default"]) as main:
            text = pages.check(browser.get("/privacy/openings/"))
        assert "sales staff" in text
        return len(main)

    opened(customer, orders[0])
    one = queries()
    for minutes, order in enumerate(orders):
        opened(customer, order, minutes=minutes)
    assert queries() == one
    assert "31 times, 10:00 to 10:29" in pages.check(browser.get("/privacy/openings/"))


def test_every_kind_of_actor_and_every_role_of_staff_has_words() -> None:
    assert set(dict(actor.kinds())) | gate.STAFF_ROLES | {gate.MANAGER} == set(actor.WORDS)


def test_what_happened_often_on_one_day_is_counted_once_and_no_day_stands_on_two_pages(customer: Customer) -> None:
    order, browser = an_order(customer), pages.signed_in(customer.user)
    for minutes in range(115):
        opened(customer, order, minutes=minutes)
    opened(customer, order, minutes=-24 * 60)
    first = pages.check(browser.get("/privacy/openings/"))
    assert "115 times, 10:00 to 11:54" in first and "Page 1 of 2" in first and "19 November 2026" not in first
    second = pages.check(browser.get("/privacy/openings/?page=2"))
    assert "19 November 2026" in second and "115 times" not in second and "sales staff" in second


def test_a_day_of_very_many_openings_takes_several_pages_and_loses_none(customer: Customer) -> None:
    order, browser = an_order(customer), pages.signed_in(customer.user)
    opened(customer, order, minutes=-24 * 60)
    for minutes in range(201):
        opened(customer, order, minutes=minutes)

    def page(number: int) -> tuple[str, int]:
        with CaptureQueriesContext(connections["default"]) as main:
            text = pages.check(browser.get(f"/privacy/openings/?page={number}"))
        return text, len(main)

    page(1)
    shown = [page(number) for number in range(1, 5)]
    often = ("100 times, 11:41 to 13:20", "100 times, 10:01 to 11:40", "once, 10:00", "once, 10:00")
    for number, ((text, queries), told_there) in enumerate(zip(shown, often, strict=True), start=1):
        assert f"Page {number} of 4" in text and told_there in text
        assert queries == shown[0][1], "as many queries on each page"
    assert "Of 20 November 2026 there are 201 entries" in shown[1][0]
    assert "This page has the entries 101 to 200 of them" in shown[1][0]
    assert "19 November 2026" in shown[3][0] and "more than one page can show" not in shown[3][0]
    assert "more line" not in shown[3][0]
    for days in range(2, 11):
        opened(customer, order, minutes=-24 * 60 * days)
    folded = page(4)[0].partition("<summary>4 more lines of this page</summary>")[2]
    assert "10 November 2026" in folded and "14 November 2026" not in folded, "the six newest stand above the fold"


def test_ten_thousand_entries_that_the_site_did_not_write_hide_none_that_it_wrote(customer: Customer) -> None:
    order, browser = an_order(customer), pages.signed_in(customer.user)
    opened(customer, order)
    opened(customer, order, minutes=-24 * 60)
    before = pages.check(browser.get("/privacy/openings/"))
    assert "left out" not in before and before.count("sales staff") == 2
    (entry,) = [one for one in entries(customer) if one.role == "sales" and one.at == factories.NOW]
    columns = "whose_id, actor_kind, actor_id, role, purpose, envelopes, count, detail, encoding"
    with connections["default"].cursor() as cursor:
        cursor.execute(
            f"INSERT INTO privacy_accessentry (id, at, reason, mac, {columns})"
            f" SELECT gen_random_uuid(), at + interval '1 minute', 'planted', repeat('0', 64), {columns}"
            " FROM privacy_accessentry, generate_series(1, 10000) WHERE id = %s",
            [entry.pk],
        )
    first = pages.check(browser.get("/privacy/openings/"))
    assert "100 entries are left out here: they were not written by our site" in first and "Page 1 of 102" in first
    assert "planted" not in first and "Nobody else has opened your data" not in first
    assert "Of 20 November 2026 there are 10001 entries" in first
    last_of_the_day = pages.check(browser.get("/privacy/openings/?page=101"))
    assert "once, 10:00" in last_of_the_day and "sales staff" in last_of_the_day and "left out" not in last_of_the_day
    assert "19 November 2026" in pages.check(browser.get("/privacy/openings/?page=102"))


def test_days_with_few_openings_share_a_page_and_a_day_begins_at_the_companys_midnight(customer: Customer) -> None:
    order, browser = an_order(customer), pages.signed_in(customer.user)
    for minutes in (0, 13 * 60 + 59, 14 * 60):  # 10:00, 23:59 and midnight at the company
        opened(customer, order, minutes=minutes)
    page = pages.check(browser.get("/privacy/openings/"))
    assert "2 times, 10:00 to 23:59" in page and "once, 00:00" in page and "Page 1 of" not in page


def test_letters_are_told_apart_by_their_days_and_no_two_lines_say_the_same(customer: Customer) -> None:
    """Three lines "Letter" told nobody which letters were opened, nor that they were the same ones."""
    asked.filed(customer, "access")
    asked.filed(customer, "erasure", now=asked.NOW + timedelta(days=1))
    theirs = Letter.objects.filter(subject=customer.subject_id)
    first = list(theirs.order_by("queued_at").values_list("pk", flat=True))
    assert len(first) > 1
    Letter.objects.filter(pk=first[0]).update(queued_at=factories.NOW - timedelta(days=30))
    Letter.objects.filter(pk__in=first[1:]).update(queued_at=factories.NOW)
    several = f" ({len(first) - 1})" if first[2:] else ""
    order = an_order(customer)
    opening = {
        "privacy.letter/letter": first,
        "privacy.letter/credentials": first[1:],
        "orders.order/order": [order.pk],
        "orders.order/fulfilment": [order.pk],
    }
    log.write([log.Opening(CAROL, ("subject", customer.subject_id), opening)], now=factories.NOW)
    (one,) = [one for one in told.by_day(entries(customer), customer.subject_id) if one.who == "sales staff"]
    letters_ = f"Letter of 21 October 2026, of 20 November 2026{several}"
    of_order = f"Order {order.number}"
    assert one.records == f"{of_order}; {letters_}"
    assert one.opened == [
        f"{of_order}: name, ways to reach you, address, text",
        f"{letters_}: ways to reach you, text of the letter",
    ]
    (line,) = [one for one in told.rows(entries(customer)) if one["Who"] == "sales staff"]
    assert line["What was opened"] == "; ".join(one.opened)
    Letter.objects.filter(pk__in=first).delete()
    (one,) = [one for one in told.by_day(entries(customer), customer.subject_id) if one.who == "sales staff"]
    assert one.records == f"{of_order}; Letter ({len(first)} records)" and len(one.opened) == 2


def test_how_often_names_one_hour_where_all_were_in_one_minute() -> None:
    at = factories.NOW
    day, first, later = at.date(), (3, at, at + timedelta(seconds=1)), (3, at, at + timedelta(hours=1))
    often = [told.Occasion(day, "sales", "daily work", *one, [], "").often for one in (first, later, (1, at, at))]
    hour = often[2].removeprefix("once, ")
    assert often[0] == f"3 times, {hour}" and often[1].startswith(f"3 times, {hour} to ")


def test_what_was_opened_is_folded_under_the_records_it_stands_in(customer: Customer) -> None:
    order = an_order(customer)
    opened(customer, order)
    (one,) = [one for one in told.by_day(entries(customer), customer.subject_id) if one.who == "sales staff"]
    assert one.records == f"Order {order.number}" and "address" in one.lines
    page = pages.check(pages.signed_in(customer.user).get("/privacy/openings/"))
    assert f"<summary>Order {order.number}</summary>" in page


def test_only_what_stands_in_a_record_and_can_be_shown_is_named(customer: Customer) -> None:
    """A password is shown to nobody, and a request without a refusal has no evidence for one."""
    request = asked.filed(customer, "access")
    letter = Letter.objects.filter(subject=customer.subject_id).latest("queued_at")
    opened_of_hers = {
        "accounts.user/account": [customer.user_id],
        "privacy.request/request_file": [request.pk],
        "privacy.letter/letter": [letter.pk],
    }
    opening = log.Opening(system_actor("demo"), ("subject", customer.subject_id), opened_of_hers)
    log.write([opening], now=factories.NOW + timedelta(days=1))
    lines = [line for one in told.by_day(entries(customer), customer.subject_id) for line in one.opened]
    assert "Login: what you sign in with" in lines
    assert "Letter of 20 November 2026: ways to reach you, text of the letter" in lines
    assert f"Privacy request {request.reference}: name, ways to reach you" in lines
    assert not any(word in line for line in lines for word in ("password", "refusal", "evidence", "vat number"))


def test_what_can_be_opened_has_words_for_each_category() -> None:
    for declaration in datamap.declarations():
        for datum_name, datum in declaration.data.items():
            is_sealed = datamap.sealed_in(datamap.field_named(declaration.model, datum_name)) is not None
            if declaration.life is not None and is_sealed and datum.export != "no":
                assert datum.category in told.PARTS, (declaration.label, datum_name)


def test_a_message_whose_day_cannot_be_read_is_told_without_one(customer: Customer) -> None:
    messages = [factories.communication(customer) for _ in range(2)]
    spoil(messages[0], received_on=BEYOND)
    opened = {"accounts.communication/support": [one.pk for one in messages]}
    log.write([log.Opening(CAROL, ("subject", customer.subject_id), opened)], now=factories.NOW)
    (line,) = [one for one in told.by_day(entries(customer), customer.subject_id) if one.who == "sales staff"]
    assert line.opened == ["Message of 20 November 2026 and 1 more: text"]


def test_in_a_copy_openings_are_grouped_as_on_the_page(customer: Customer) -> None:
    order = an_order(customer)
    for minutes in range(30):
        opened(customer, order, minutes=minutes)
    (line,) = [
        one
        for one in told.by_days(AccessEntry.objects.for_subject(customer.subject_id).select_related("whose"))
        if one["Who"] == "sales staff"
    ]
    assert line["How often"] == "30 times, 10:00 to 10:29"
    assert line["What was opened"] == f"Order {order.number}: name, ways to reach you, address, text"

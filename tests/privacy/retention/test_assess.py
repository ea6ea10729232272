"""What happens to a record, by the scenarios of the law and by thousands of records nobody thought of."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.facts import EVENTS, FLAGS, Facts
from privacy.retention import rules
from privacy.retention.assess import assess
from privacy.retention.rules import Schedule
from privacy.retention.verdict import Verdict
from privacy.templatetags.pages import until

PLAIN = rules.load(rules.HERE, overlays=())
RECORD = UUID("00000000-0000-7000-8000-000000000001")
DATA = {"order": ("Name on the invoice",), "fulfilment": ("Delivery address",)}
TODAY = date(2026, 11, 22)


def facts(
    data: Mapping[str, tuple[str, ...]],
    events: Mapping[str, date | None] | None = None,
    flags: set[str] | frozenset[str] = frozenset(),
    **more: object,
) -> Facts:
    return Facts("test.record", RECORD, "Record", None, data, events or {}, frozenset(flags), **more)  # type: ignore[arg-type]


def judge(
    one: Facts,
    today: date = TODAY,
    *,
    asked: bool = True,
    schedule: Schedule = PLAIN,
    held: bool = False,
    **more: object,
) -> dict[str, Verdict]:
    holds = {one.record_id} if held else set()
    return {v.envelope: v for v in assess(one, schedule, holds, today, asked=asked, **more)}  # type: ignore[arg-type]


def order(invoiced: date, **more: object) -> Facts:
    events = {"placed": invoiced, "invoiced": invoiced, "paid": invoiced, "shipped": invoiced}
    return facts(DATA, events, country="DE", **more)  # type: ignore[arg-type]


# Orders --------------------------------------------------------------------------------------------------------------


def test_a_finished_order_keeps_its_invoice_and_loses_its_delivery() -> None:
    found = judge(order(date(2024, 5, 10)))
    invoice, delivery = found["order"], found["fulfilment"]
    assert (invoice.action, invoice.code, invoice.until) == ("keep", "KEEP_LI", date(2031, 12, 31))
    assert (delivery.action, delivery.code, delivery.until) == ("erase", "MINIMISE", None)
    assert delivery.ground == "Art. 17(1)(c) GDPR"
    assert invoice.data == ("Name on the invoice",)


def test_without_a_request_the_delivery_stays_as_long_as_the_invoice() -> None:
    found = judge(order(date(2024, 5, 10)), asked=False)
    assert {one.action for one in found.values()} == {"keep"}
    assert found["fulfilment"].until == date(2031, 12, 31)


def test_the_period_starts_with_the_last_of_invoice_payment_and_shipment() -> None:
    one = facts(
        DATA,
        {
            "placed": date(2019, 12, 20),
            "invoiced": date(2019, 12, 30),
            "paid": date(2020, 2, 1),
            "shipped": date(2019, 12, 31),
        },
    )
    assert judge(one)["order"].until == date(2027, 12, 31)


def test_an_order_placed_in_december_and_shipped_in_january_counts_from_january() -> None:
    shipped = date(2020, 1, 3)
    one = facts(DATA, {"placed": date(2019, 12, 28), "invoiced": shipped, "paid": shipped, "shipped": shipped})
    assert judge(one)["order"].until == date(2027, 12, 31)


def test_on_31_december_nothing_of_the_year_goes_and_on_1_january_all_of_it() -> None:
    for day in (date(2019, 1, 1), date(2019, 12, 31)):
        assert judge(order(day), date(2026, 12, 31), asked=False)["order"].action == "keep"
        assert judge(order(day), date(2027, 1, 1), asked=False)["order"].action == "erase"


def test_an_old_order_goes_as_overdue_and_a_young_one_stays_and_overlays_move_both() -> None:
    day, old, young = date(2026, 6, 15), order(date(2017, 5, 10)), order(date(2024, 5, 10))
    gone = judge(old, day)["order"]
    assert (gone.action, gone.code, gone.overdue) == ("erase", "ERASE", True)
    assert judge(young, day)["order"].until == date(2031, 12, 31)
    with_oss, with_de8 = (rules.load(rules.HERE, overlays=[name]) for name in ("OSS10", "DE8"))
    kept = judge(old, day, schedule=with_oss)["order"]
    assert (kept.action, kept.code, kept.until) == ("keep", "KEEP_LAW", date(2027, 12, 31))
    assert "17(3)(b)" in kept.authority
    assert kept.policy_reason == "legally required"
    assert judge(old, day, schedule=with_de8)["order"].overdue
    assert judge(old, date(2025, 12, 31), schedule=with_de8)["order"].until == date(2025, 12, 31)
    assert judge(old, date(2026, 1, 1), schedule=with_de8)["order"].action == "erase"


def test_what_ended_last_night_is_not_overdue_and_the_night_before_is() -> None:
    assert not judge(order(date(2019, 5, 1)), date(2027, 1, 1))["order"].overdue
    assert judge(order(date(2019, 5, 1)), date(2027, 1, 2))["order"].overdue


def test_an_unpaid_order_is_kept_whole_until_it_is_paid() -> None:
    events = {"placed": date(2026, 1, 10), "invoiced": date(2026, 1, 15), "paid": None, "shipped": date(2026, 1, 16)}
    found = judge(facts(DATA, events, {"unpaid"}), date(2026, 3, 2))
    for one in found.values():
        assert (one.action, one.code, one.until) == ("keep", "KEEP_CONTRACT", date(2033, 12, 31))
        assert one.waits_for == ("unpaid",)
    paid = judge(facts(DATA, {**events, "paid": date(2026, 5, 2)}), date(2026, 5, 3))
    assert paid["fulfilment"].action == "erase"
    assert (paid["order"].code, paid["order"].until) == ("KEEP_LI", date(2033, 12, 31))


def test_an_order_of_which_nothing_came_is_kept_for_twelve_months_and_not_after_a_request() -> None:
    one = facts(DATA, {"placed": date(2026, 1, 5), "closed": date(2026, 1, 9)}, {"never_fulfilled"})
    assert judge(one, date(2027, 1, 9), asked=False)["order"].action == "keep"
    assert judge(one, date(2027, 1, 10), asked=False)["order"].action == "erase"
    assert {v.action for v in judge(one).values()} == {"erase"}


def test_an_open_order_is_kept_even_when_its_outer_limit_has_passed_and_nobody_was_told_one() -> None:
    one = facts(DATA, {"placed": date(2015, 3, 1)}, {"open_order"})
    found = judge(one, asked=False)["order"]
    assert found.action == "keep"
    assert found.until is not None
    assert found.until >= TODAY


@pytest.mark.parametrize(
    ("country", "words", "reason"),
    [
        ("DE", "Art. 17(1)(c) GDPR: overriding grounds", "Article 6"),
        ("GB", "UK GDPR", "Article 6"),
        ("US", "26 CFR 1.6001-1", "legally required"),
        (None, "Art. 17(1)(c) GDPR", "Article 6"),
    ],
)
def test_the_authority_is_that_of_the_persons_own_law(country: str | None, words: str, reason: str) -> None:
    one = Facts("orders.order", RECORD, "Order", None, DATA, {"shipped": date(2024, 5, 1)}, country=country)
    kept = judge(one)["order"]
    assert words in kept.authority
    assert "17(3)(b)" not in kept.authority
    assert (kept.code, kept.policy_reason) == ("KEEP_LI", reason)


def test_german_law_is_a_legal_obligation_in_germany_and_an_overriding_ground_elsewhere() -> None:
    schedule = rules.load(rules.HERE, overlays=["DE8"])
    events = {"shipped": date(2024, 5, 1)}
    german, french, british, american = (
        judge(Facts("o", RECORD, "O", None, DATA, events, country=place), schedule=schedule)["order"]
        for place in ("DE", "FR", "GB", "US")
    )
    assert {one.until for one in (german, french, british, american)} == {date(2032, 12, 31)}, "it follows the books"
    assert [one.code for one in (german, french, british, american)] == ["KEEP_LAW", "KEEP_LAW", "KEEP_LI", "KEEP_LI"]
    assert "17(3)(b)" not in british.authority + american.authority


def test_the_one_stop_shop_reaches_the_unions_vat_area_and_no_contact_of_a_company() -> None:
    schedule = rules.load(rules.HERE, overlays=["OSS10"])
    sold = {"shipped": date(2024, 5, 1)}

    def until(**more: object) -> date | None:
        return judge(facts(DATA, sold, **more), schedule=schedule)["order"].until

    ten, seven = date(2034, 12, 31), date(2031, 12, 31)
    for country in ("DE", "FR", "MC"):
        assert until(country=country) == ten
        assert until(country=country, party="contact") == seven
    for country in ("NO", "IS", "LI", "AX", "GP", "RE", "GB", "US", None):
        assert until(country=country) == seven
    assert until(country="US", sold_to="DE") == ten, "where the goods went"
    assert until(country="DE", sold_to="US") == seven


def test_sanctions_records_are_those_of_sales_that_sanctions_concern() -> None:
    schedule = rules.load(rules.HERE, overlays=["OFAC10"])
    sold = {"shipped": date(2024, 5, 1)}
    for country, last in (("IR", 2034), ("CU", 2034), ("DE", 2031), ("US", 2031), (None, 2031)):
        found = judge(facts(DATA, sold, country="DE", sold_to=country), schedule=schedule)["order"]
        assert found.until == date(last, 12, 31), country


def test_no_sentence_calls_seven_years_a_duty_and_no_fingerprint_an_objection() -> None:
    for name in PLAIN.classes:
        for reason in PLAIN.reasons(name):
            if str(reason.period) == "7 years, to the end of that year" and reason.code in ("KEEP_LI", "KEEP_CLAIMS"):
                assert "make us keep" not in reason.plain, reason.plain
    (token,) = PLAIN.reasons("block_token")
    for text in token.authority.texts.values():
        assert "21(3)" not in text and "17(3)(b)" not in text
    assert "legitimate interest" in token.authority.texts["EU"] and token.authority.law_of == frozenset()


def test_a_contact_of_a_company_is_no_party_to_its_contract() -> None:
    one = {"flags": {"open_order"}, "data": DATA, "events": {"placed": TODAY}}
    assert judge(facts(**one))["order"].ground == "Art. 6(1)(b) GDPR"  # type: ignore[arg-type]
    assert judge(facts(**one, party="contact"))["order"].ground == "Art. 6(1)(f) GDPR"  # type: ignore[arg-type]


# People --------------------------------------------------------------------------------------------------------------

ACCOUNT = {"account": ("Name", "E-mail")}


@pytest.mark.parametrize("flag", ["open_order", "unpaid", "open_rma"])
def test_an_account_is_erased_on_request_but_not_while_something_is_open(flag: str) -> None:
    events = {"last_activity": date(2026, 10, 1)}
    assert judge(facts(ACCOUNT, events))["account"].action == "erase"
    kept = judge(facts(ACCOUNT, events, {flag}))["account"]
    assert (kept.code, kept.waits_for) == ("KEEP_CONTRACT", (flag,))


def test_an_account_ends_by_itself_36_months_after_its_last_use() -> None:
    one = facts(ACCOUNT, {"last_activity": date(2023, 11, 21), "opened": date(2011, 1, 1)})
    assert judge(one, date(2026, 11, 21), asked=False)["account"].until == date(2026, 11, 21)
    assert judge(one, date(2026, 11, 22), asked=False)["account"].action == "erase"


def test_the_login_of_somebody_who_works_here_stays() -> None:
    assert judge(facts(ACCOUNT, {"opened": TODAY}, {"staff"}))["account"].code == "KEEP_CONTRACT"


def test_a_company_stays_and_a_sole_trader_is_a_person() -> None:
    company = {"company": ("Name", "VAT number")}
    events = {"last_activity": date(2026, 1, 1)}
    assert judge(facts(company, events, party="company"))["company"].action == "keep"
    assert judge(facts(company, events, party="person"))["company"].action == "erase"


def test_a_social_security_number_goes_at_once_unless_a_certificate_rests_on_it() -> None:
    ssn, events = {"ssn": ("Social Security number",)}, {"last_use": date(2024, 6, 1)}
    assert judge(facts(ssn, events))["ssn"].action == "erase"
    assert judge(facts(ssn, events, {"unpaid", "open_order"}))["ssn"].action == "erase"
    kept = judge(facts(ssn, events, {"exemption_certificate"}))["ssn"]
    assert (kept.code, kept.until) == ("KEEP_LI", date(2028, 12, 31))
    assert judge(facts(ssn, events, {"exemption_certificate"}), date(2029, 1, 1))["ssn"].action == "erase"
    assert judge(facts(ssn, events), asked=False)["ssn"].until == date(2028, 12, 31)


def test_a_tax_number_goes_with_the_profile() -> None:
    number, events = (
        {"tax_identifier": ("VAT number",)},
        {"last_use": date(2024, 6, 1), "last_activity": date(2026, 1, 1)},
    )
    assert judge(facts(number, events))["tax_identifier"].action == "erase"


def test_a_freight_account_ends_24_months_after_its_last_shipment() -> None:
    number = {"freight_account": ("Account number",)}
    one = facts(number, {"last_shipment": date(2024, 11, 22)})
    assert judge(one, date(2026, 11, 22), asked=False)["freight_account"].action == "keep"
    assert judge(one, date(2026, 11, 23), asked=False)["freight_account"].action == "erase"
    assert judge(one)["freight_account"].action == "erase"
    assert (
        judge(facts(number, {"last_shipment": None, "opened": TODAY}, {"open_order"}))["freight_account"].code
        == "KEEP_CONTRACT"
    )


def test_a_card_token_outlives_a_request_only_while_its_charge_is_open() -> None:
    token, events = {"payment": ("Last four",)}, {"paid": date(2026, 1, 31)}
    assert judge(facts(token, events))["payment"].action == "erase"
    assert judge(facts(token, events, {"open_charge"}))["payment"].code == "KEEP_CONTRACT"
    assert judge(facts(token, events), date(2027, 7, 31), asked=False)["payment"].action == "keep"
    assert judge(facts(token, events), date(2027, 8, 1), asked=False)["payment"].action == "erase"


# Returns, messages, requests -----------------------------------------------------------------------------------------


def test_an_open_return_is_kept_and_goes_on_request_when_it_is_closed() -> None:
    data = {"rma": ("Return address",), "rma_note": ("Fault",)}
    still = judge(facts(data, {"opened": date(2026, 10, 1)}, {"open_rma"}))
    assert {one.code for one in still.values()} == {"KEEP_CONTRACT"}
    closed = judge(facts(data, {"opened": date(2026, 10, 1), "closed": date(2026, 11, 1)}))
    assert {(one.action, one.code) for one in closed.values()} == {("erase", "MINIMISE")}
    unasked = judge(facts(data, {"opened": date(2026, 10, 1), "closed": date(2026, 11, 1)}), asked=False)
    assert (unasked["rma"].code, unasked["rma"].until) == ("KEEP_LI", date(2033, 12, 31))


def test_a_certificate_names_nobody_so_nothing_happens_to_it() -> None:
    assert judge(facts({}, {"issued": TODAY})) == {}


def test_messages_end_by_what_they_were_about() -> None:
    message = {"support": ("Text",)}
    stranger = facts(message, {"last_message": date(2024, 11, 21)})
    customer = facts(message, {"closed": date(2023, 11, 21)}, {"customer"})
    about_order = facts(message, {"closed": date(2019, 5, 1)}, {"customer", "order_related"})
    assert judge(stranger, date(2026, 11, 21), asked=False)["support"].action == "keep"
    assert judge(stranger, date(2026, 11, 22), asked=False)["support"].action == "erase"
    assert judge(customer, date(2026, 11, 21), asked=False)["support"].action == "keep"
    assert judge(customer, date(2026, 11, 22), asked=False)["support"].action == "erase"
    assert judge(about_order, date(2026, 12, 31), asked=False)["support"].until == date(2026, 12, 31)
    assert judge(customer)["support"].code == "ERASE"
    assert judge(facts(message, {"closed": TODAY}, {"customer", "order_related"}))["support"].code == "MINIMISE"


def test_of_what_a_claim_keeps_no_day_is_told() -> None:
    held = facts({"held_value": ("What it said",)}, {"entered": TODAY}, {"active"})
    for asked in (False, True):
        kept = judge(held, asked=asked)["held_value"]
        assert (kept.action, kept.code, kept.until) == ("keep", "KEEP_CLAIMS", None)
    assert until(kept) == "the legal claim is settled"


def test_the_file_of_a_request_proves_that_it_was_answered() -> None:
    kept = judge(facts({"request_file": ("Name",)}, {"closed": date(2026, 2, 1)}))["request_file"]
    assert (kept.code, kept.until) == ("KEEP_CLAIMS", date(2029, 12, 31))


# Holds, pins, doubts -------------------------------------------------------------------------------------------------


def test_a_hold_beats_the_end_of_every_period_and_every_promise() -> None:
    old = order(date(2011, 1, 1))
    for asked in (True, False):
        for one in judge(old, asked=asked, held=True, pins={(RECORD, "order"): date(2018, 12, 31)}).values():
            assert (one.action, one.code, one.until, one.restricted) == ("keep", "KEEP_CLAIMS", None, True)
            assert "17(3)(e)" in one.authority


def test_a_longer_rule_cannot_move_a_day_that_a_person_was_told() -> None:
    longer = rules.load(rules.HERE, overlays=["OSS10"])
    pins = {(RECORD, "order"): date(2031, 12, 31)}
    one = order(date(2024, 5, 10))
    assert judge(one, schedule=longer)["order"].until == date(2034, 12, 31)
    assert judge(one, schedule=longer, pins=pins)["order"].until == date(2031, 12, 31)
    assert judge(one, date(2032, 1, 1), schedule=longer, pins=pins)["order"].action == "erase"
    assert judge(one, date(2032, 1, 3), schedule=longer, pins=pins)["order"].overdue


def test_a_day_that_was_told_ends_nothing_that_is_still_open() -> None:
    one = facts(DATA, {"placed": date(2026, 1, 1)}, {"open_order"})
    pins = {(RECORD, "fulfilment"): date(2033, 12, 31)}
    before, after = judge(one, date(2033, 12, 31), pins=pins), judge(one, date(2034, 1, 1), pins=pins)
    assert (before["fulfilment"].until, before["fulfilment"].told) == (date(2033, 12, 31), None)
    kept = after["fulfilment"]
    assert (kept.action, kept.code, kept.until, kept.told) == ("keep", "KEEP_CONTRACT", None, date(2033, 12, 31))
    assert kept.sentence.startswith("This order is not finished") and kept.waits_for == ("open_order",)
    assert after["order"].told is None
    finished = judge(replace(one, flags=frozenset()), date(2034, 1, 1), pins=pins)["fulfilment"]
    assert (finished.action, finished.overdue) == ("erase", False)
    assert judge(one, date(2034, 1, 1), held=True, pins=pins)["fulfilment"].code == "KEEP_CLAIMS"


def test_a_day_that_was_told_ends_what_only_a_rule_would_keep() -> None:
    """An open matter of a kind that gives way to a request keeps nothing either."""
    cancelled = facts(DATA, {"placed": date(2026, 1, 1), "closed": date(2026, 2, 1)}, {"never_fulfilled"})
    pins = {(RECORD, name): date(2026, 3, 1) for name in DATA}
    assert {one.action for one in judge(cancelled, date(2026, 4, 1), pins=pins).values()} == {"erase"}


def test_what_cannot_be_read_on_the_day_that_was_told_stays_until_somebody_can_tell() -> None:
    pins = {(RECORD, name): date(2026, 3, 1) for name in DATA}
    unread = facts(DATA, {}, {"broken"})
    assert {(one.action, one.until) for one in judge(unread, date(2026, 4, 1), pins=pins).values()} == {("keep", None)}


def test_what_has_no_known_start_is_kept_without_a_date() -> None:
    kept = judge(facts({"order": ("Name",)}))["order"]
    assert (kept.action, kept.until) == ("keep", None)


def test_an_envelope_without_a_class_is_refused() -> None:
    with pytest.raises(rules.ScheduleError, match="no class 'diary'"):
        judge(facts({"diary": ("Secrets",)}))


def test_a_moment_is_no_day() -> None:
    with pytest.raises(ValueError, match="a day, not a moment"):
        facts(DATA, {"placed": datetime(2026, 1, 1)})


# Whatever the record -------------------------------------------------------------------------------------------------

DAYS = st.dates(min_value=date(2005, 1, 1), max_value=date(2040, 12, 31))
OVERLAYS = ([], ["DE8"], ["OSS10"], ["OFAC10"], ["DE8", "OSS10", "OFAC10"])
SCHEDULES = st.sampled_from([rules.load(rules.HERE, overlays=names) for names in OVERLAYS])
RECORDS = st.builds(
    Facts,
    label=st.just("test.record"),
    record_id=st.just(RECORD),
    title=st.just("Record"),
    subject_id=st.none(),
    data=st.sets(st.sampled_from(sorted(PLAIN.classes)), min_size=1, max_size=4).map(
        lambda names: dict.fromkeys(names, ("x",))
    ),
    events=st.dictionaries(st.sampled_from(sorted(EVENTS)), st.none() | DAYS, max_size=6),
    flags=st.frozensets(st.sampled_from(sorted(FLAGS)), max_size=4),
    party=st.sampled_from(["person", "contact", "company"]),
    country=st.sampled_from([None, "DE", "FR", "GB", "US", "CA"]),
)


@settings(max_examples=300, deadline=None)
@given(RECORDS, SCHEDULES, DAYS, st.booleans())
def test_nothing_under_a_duty_is_erased(one: Facts, schedule: Schedule, today: date, asked: bool) -> None:
    for verdict in assess(one, schedule, set(), today, asked=asked):
        for reason in schedule.reasons(verdict.envelope):
            if not reason.applies_to(one) or (asked and reason.on_request != "KEEP"):
                continue
            started = reason.started_on(one)
            over = reason.period is not None and started is not None and reason.period.after(started) < today
            assert over or not verdict.is_erased


@settings(max_examples=100, deadline=None)
@given(RECORDS, SCHEDULES, DAYS, st.booleans(), st.none() | DAYS)
def test_nothing_under_a_hold_is_erased(
    one: Facts, schedule: Schedule, today: date, asked: bool, pinned: date | None
) -> None:
    pins = {(one.record_id, envelope): pinned for envelope in one.data}
    for verdict in assess(one, schedule, {one.record_id}, today, asked=asked, pins=pins):
        assert (verdict.action, verdict.code) == ("keep", "KEEP_CLAIMS")


@settings(max_examples=100, deadline=None)
@given(RECORDS, SCHEDULES, DAYS, st.integers(0, 5000), st.booleans())
def test_what_is_erased_one_day_is_erased_every_later_day(
    one: Facts, schedule: Schedule, today: date, later: int, asked: bool
) -> None:
    before = assess(one, schedule, set(), today, asked=asked)
    after = assess(one, schedule, set(), today + timedelta(days=later), asked=asked)
    for was, now in zip(before, after, strict=True):
        assert not was.is_erased or now.is_erased


@settings(max_examples=100, deadline=None)
@given(RECORDS, SCHEDULES, DAYS, st.booleans())
def test_every_verdict_says_why_and_what_is_kept_says_until_when(
    one: Facts, schedule: Schedule, today: date, asked: bool
) -> None:
    verdicts = assess(one, schedule, set(), today, asked=asked)
    assert verdicts == assess(one, schedule, set(), today, asked=asked)
    assert [verdict.envelope for verdict in verdicts] == sorted(one.data)
    for verdict in verdicts:
        assert verdict.ground
        assert verdict.authority
        assert verdict.data == ("x",)
        if verdict.is_erased:
            assert verdict.code in ("ERASE", "MINIMISE")
            assert verdict.until is None
        else:
            assert verdict.code in rules.CODES
            assert verdict.sentence
            assert verdict.policy_reason in ("Article 6", "legally required")
            assert verdict.until is None or verdict.until >= today
            assert verdict.code != "KEEP_LAW" or one.country not in ("US", "CA")


@settings(max_examples=100, deadline=None)
@given(RECORDS, DAYS, st.booleans())
def test_an_overlay_only_ever_keeps_longer(one: Facts, today: date, asked: bool) -> None:
    longer = rules.load(rules.HERE, overlays=OVERLAYS[-1])
    for was, now in zip(
        assess(one, PLAIN, set(), today, asked=asked), assess(one, longer, set(), today, asked=asked), strict=True
    ):
        assert was.is_erased or not now.is_erased
        if not was.is_erased and was.until and now.until:
            assert now.until >= was.until


@settings(max_examples=100, deadline=None)
@given(RECORDS, SCHEDULES, DAYS, DAYS, st.booleans())
def test_a_told_day_is_never_passed(one: Facts, schedule: Schedule, today: date, pinned: date, asked: bool) -> None:
    pins = {(one.record_id, envelope): pinned for envelope in one.data}
    for verdict in assess(one, schedule, set(), today, asked=asked, pins=pins):
        if verdict.is_erased or (verdict.until is not None and today <= verdict.until <= pinned):
            continue
        if "broken" in one.flags and not one.events:
            continue
        reasons = [reason for reason in schedule.reasons(verdict.envelope) if reason.applies_to(one)]
        assert verdict.told == pinned < today and verdict.until is None
        assert any(reason.is_open_ended and reason.on_request == "KEEP" for reason in reasons)


@settings(max_examples=100, deadline=None)
@given(RECORDS, SCHEDULES, DAYS)
def test_the_cutoff_misses_nothing_that_is_due(one: Facts, schedule: Schedule, today: date) -> None:
    for verdict in assess(one, schedule, set(), today, asked=False):
        applying = [reason for reason in schedule.reasons(verdict.envelope) if reason.applies_to(one)]
        if verdict.is_erased and applying:
            starts = [day for reason in applying if (day := reason.started_on(one))]
            assert min(starts) <= schedule.cutoff(verdict.envelope, today)


def test_what_a_request_left_until_its_day_is_judged_as_asked_for_by_whoever_looks() -> None:
    one = facts(DATA, {"placed": TODAY}, {"open_order"}, country="DE")
    pins = {(one.record_id, "fulfilment"): date(2033, 12, 31)}
    found, asked = judge(one, asked=False, pins=pins), judge(one, asked=True, pins=pins)
    assert found["fulfilment"] == asked["fulfilment"] and "Afterwards" not in found["fulfilment"].sentence
    assert found["order"] == judge(one, asked=False)["order"], "of the invoice nothing was asked"
    shipped = replace(one, flags=frozenset(), events={"placed": TODAY, "shipped": TODAY, "paid": TODAY})
    assert judge(shipped, asked=False)["fulfilment"].action == "keep", "the control"
    assert judge(shipped, asked=False, pins=pins)["fulfilment"].action == "erase"

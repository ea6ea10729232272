"""A plan: the same facts give the same hash, and any change a person should know of gives another."""

from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.datamap import Warned
from privacy.facts import Facts
from privacy.requests import plan
from privacy.retention import rules

SCHEDULE = rules.load(rules.HERE, overlays=())
TODAY = date(2026, 11, 22)
ACCOUNT = Facts(
    "accounts.customer",
    UUID(int=1),
    "Customer",
    None,
    {"account": ("Name", "E-mail")},
    {"last_activity": TODAY},
    country="DE",
)
ORDER = Facts(
    "orders.order", UUID(int=2), "Order A-2", None, {"order": ("Name",), "fulfilment": ("Address",)},
    {"placed": date(2024, 5, 1), "invoiced": date(2024, 5, 2), "paid": date(2024, 5, 3), "shipped": date(2024, 5, 2)},
    country="DE",
)  # fmt: skip
OLD = replace(ORDER, record_id=UUID(int=3), title="Order A-3", events={"shipped": date(2017, 5, 10)})
RECORDS = [ACCOUNT, ORDER, OLD]


def make(*records: Facts, holds: frozenset[UUID] = frozenset(), today: date = TODAY, **more: object) -> plan.Plan:
    return plan.make(records, SCHEDULE, holds, {}, today, **more)  # type: ignore[arg-type]


def test_a_plan_says_what_goes_what_stays_and_what_is_left() -> None:
    found = make(*RECORDS)
    assert [(one.title, one.envelope) for one in found.kept] == [("Order A-2", "order")]
    assert [(one.title, one.envelope, one.code) for one in found.erased] == [
        ("Customer", "account", "ERASE"),
        ("Order A-3", "fulfilment", "ERASE"),
        ("Order A-3", "order", "ERASE"),
        ("Order A-2", "fulfilment", "MINIMISE"),
    ]
    assert [(one.name, one.code, one.until) for one in found.leftovers] == [
        ("request_file", "KEEP_CLAIMS", date(2029, 12, 31)),
        ("block_token", "TOKEN", date(2033, 12, 31)),
    ]
    assert found.summary() == [
        "2 records are removed completely.",
        "1 record is removed in part: only what must stay is kept.",
        "1 record has to stay until 31 December 2031; then it is due to go.",
        "What is still open on its day stays until it is finished.",
        "Your request and our answer: kept until 31 December 2029. It proves that your request was answered; of our staff "
        "only the privacy team can read it: three years, to the end of the year.",
        "Keyed block token: kept until 31 December 2033. It stops an old file from bringing your data back: as long as "
        "such files may exist.",
    ]


def test_a_plan_about_nobody_says_that_nothing_is_held() -> None:
    assert make().summary()[0] == "We hold no records about you."
    lines = make(unjoined="1 message carries your address.").summary()
    assert (lines[0], lines[-1]) == ("No record is joined to you yet.", "1 message carries your address.")
    assert make(are_named=True).summary()[0] == "No record is left that carries your address and that it alone opens."


def test_a_plan_that_asks_for_nothing_leaves_nothing() -> None:
    found = make(*RECORDS, asked=False)
    assert found.leftovers == ()
    assert {one.action for one in found.verdicts if one.title == "Customer"} == {"keep"}
    assert found.warnings == (), "nothing goes with a request that removes nothing, what is overdue neither"


def test_warnings_tell_of_holds_and_of_what_is_overdue_and_come_once() -> None:
    here = Warned("Your instrument is here.")
    found = make(*RECORDS, holds=frozenset({ORDER.record_id}), warnings=[here, here])
    assert tuple(map(str, found.warnings)) == (
        "Your instrument is here.",
        "Order A-2 is under a legal hold: it stays, locked, until the claim is settled.",
        "Order A-3 should have been removed before; it goes with this removal.",
    )
    assert "1 record stays until a legal claim is settled; then it is due to go." in found.summary()


def test_twelve_records_of_which_the_same_is_to_be_known_make_one_warning() -> None:
    orders = [replace(ORDER, record_id=UUID(int=100 + n), title=f"Order B-{n:02}") for n in range(12)]
    (held,) = make(*orders, holds=frozenset(one.record_id for one in orders)).warnings
    assert held.sentence == "12 records are under a legal hold: each stays, locked, until its claim is settled."
    assert held.about == tuple(one.title for one in orders)
    assert plan.for_file(make(*orders, holds={one.record_id for one in orders}))["warnings"] == [str(held)]


def test_a_latest_day_is_not_told_as_the_day() -> None:
    """What only waits for something open goes when that is finished; what another reason keeps then does not."""
    open_one = replace(ORDER, record_id=UUID(int=4), title="Order A-4", flags=frozenset({"unpaid"}))
    account = replace(ACCOUNT, flags=frozenset({"open_order"}))
    lines = make(account, ORDER, open_one).summary()
    day = max(one.until for one in make(account).verdicts if one.until)
    earlier = (
        f"1 record has to stay until {day:%-d %B %Y}, or earlier when what keeps it is finished; then it is due to go."
    )
    assert earlier in lines
    assert sum("or earlier" in one for one in lines) == 1, "an invoice's day is no latest day"


def test_the_records_that_stay_whole_and_those_that_stay_in_part_are_added_up() -> None:
    open_one = replace(ORDER, record_id=UUID(int=4), title="Order A-4", flags=frozenset({"unpaid"}))
    lines = make(*RECORDS, open_one).summary()
    assert lines[1:3] == ["1 record is removed in part: only what must stay is kept.", "1 record is kept."]
    assert lines[3] == "So something of 2 records stays:"


@given(st.permutations(RECORDS))
def test_the_order_of_the_records_does_not_change_the_plan(records: list[Facts]) -> None:
    assert make(*records) == make(*RECORDS)


@given(st.permutations(["account", "support", "ssn"]))
def test_the_order_of_the_envelopes_does_not_change_the_hash(names: list[str]) -> None:
    one = replace(ACCOUNT, data=dict.fromkeys(names, ("x",)))
    assert make(one).hash == make(replace(ACCOUNT, data=dict.fromkeys(sorted(names), ("x",)))).hash


@pytest.mark.parametrize(
    "changed",
    [
        [ACCOUNT, ORDER],
        [ACCOUNT, replace(ORDER, flags=frozenset({"unpaid"})), OLD],
        [ACCOUNT, replace(ORDER, events={**ORDER.events, "paid": date(2025, 1, 1)}), OLD],
        [ACCOUNT, replace(ORDER, data={**ORDER.data, "order": ("Name", "VAT number")}), OLD],
        [ACCOUNT, replace(ORDER, country="US"), OLD],
        [ACCOUNT, replace(ORDER, record_id=UUID(int=9)), OLD],
    ],
)
def test_whatever_the_person_should_know_changes_the_hash(changed: list[Facts]) -> None:
    assert make(*changed).hash != make(*RECORDS).hash


def test_another_day_of_the_same_year_does_not_make_the_person_confirm_again() -> None:
    assert make(*RECORDS).hash == make(*RECORDS, today=date(2026, 12, 31)).hash
    assert make(*RECORDS).hash != make(*RECORDS, today=date(2027, 1, 1)).hash


def test_a_plan_as_data_has_all_that_the_answer_needs() -> None:
    found = plan.as_dict(make(ORDER))
    assert found["hash"] == make(ORDER).hash
    assert set(found["verdicts"][1]) == {
        "record", "label", "title", "envelope", "data", "action", "code", "ground", "authority", "until", "overdue",
        "policy_reason", "sentence", "waits_for",
    }  # fmt: skip
    assert found["verdicts"][1]["until"] == "2031-12-31"
    assert [one["name"] for one in found["leftovers"]] == ["request_file", "block_token"]

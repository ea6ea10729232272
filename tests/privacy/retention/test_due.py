"""What is said of data that are kept is true: of what is open and kept on afterwards no day is known yet (P11)."""

from __future__ import annotations

from datetime import date

import pytest

from privacy.requests import copypage
from privacy.retention import due
from privacy.retention.verdict import Verdict
from privacy.templatetags import pages
from tests.privacy.retention.test_assess import DATA, facts, judge, order

DAY = date(2026, 11, 20)
FINISHED = "When it is finished this is due to go."


def open_order(*, asked: bool) -> dict[str, Verdict]:
    return judge(facts(DATA, {"placed": DAY}, {"open_order"}, country="DE"), asked=asked)


def said(verdict: Verdict) -> str:
    return f"{due.becomes(verdict, is_armed=True)}. {verdict.sentence}"


def test_what_goes_as_soon_as_it_is_finished_has_an_outer_day_and_says_so() -> None:
    delivery = open_order(asked=True)["fulfilment"]
    assert said(delivery).startswith(
        "Kept until 31 December 2033, or earlier once what is open is finished. This order is not"
    )
    assert said(delivery).endswith(FINISHED)
    assert pages.until(delivery) == "31 December 2033, or earlier once what is open is finished"


@pytest.mark.parametrize("envelope", ["order", "fulfilment"])
def test_what_another_reason_keeps_afterwards_does_not_go_when_it_is_finished(envelope: str) -> None:
    kept = open_order(asked=False)[envelope]
    assert said(kept).startswith("Kept while something is open, and for a set time after that. This order is")
    assert " Afterwards: We keep " in said(kept)
    assert "due to go" not in said(kept) and "or earlier" not in said(kept) and "2033" not in said(kept)


def test_what_we_hold_says_the_day_that_the_answer_to_a_removal_told() -> None:
    of_answer, one = open_order(asked=True)["order"], facts(DATA, {"placed": DAY}, {"open_order"}, country="DE")
    pins = {(one.record_id, envelope): of_answer.until for envelope in DATA}
    kept = judge(one, asked=False, pins=pins)
    assert said(kept["order"]).startswith("Kept until 31 December 2033. This order is not")
    assert said(kept["fulfilment"]).startswith("Kept until 31 December 2033, or earlier once what is open is finished.")


def test_the_day_of_a_letter_is_the_latest_and_no_earlier_one_is_promised_where_another_reason_follows() -> None:
    invoice = open_order(asked=True)["order"]
    assert invoice.code == "KEEP_CONTRACT" and invoice.until == date(2033, 12, 31)
    assert pages.until(invoice) == "31 December 2033"


def test_the_copy_tells_no_day_of_what_is_open_beside_the_last_day_of_what_is_finished() -> None:
    first, second, _ = copypage.periods({number: [verdict] for number, verdict in enumerate((
        judge(order(date(2024, 5, 10)), asked=False)["order"], open_order(asked=False)["order"],
        judge(order(date(2022, 5, 10)), asked=False)["order"],
    ))})  # fmt: skip
    (still_open,) = (one for one in (first, second) if "Afterwards: We keep " in one["why"])
    (finished,) = (one for one in (first, second) if one is not still_open)
    assert (still_open["records"], still_open["until"]) == (1, None)
    assert (finished["records"], finished["until"]) == (2, date(2031, 12, 31))


@pytest.mark.parametrize(
    ("is_armed", "words"),
    [
        (True, "Goes with one of the next nightly runs"),
        (False, "Due to go; the nightly removal is not switched on here yet"),
        (None, "Due to go"),
    ],
)
def test_a_copy_that_is_kept_does_not_say_whether_the_nightly_removal_is_switched_on(
    is_armed: bool | None, words: str
) -> None:
    gone = judge(order(date(2016, 5, 10)), asked=False)["order"]
    assert gone.is_erased
    assert due.becomes(gone, is_armed=is_armed) == words

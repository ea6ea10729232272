"""All orders of `tests/data/` against an oracle that knows one sentence: 31 December of the ship year + 7."""

from collections import Counter
from datetime import date, timedelta
from uuid import NAMESPACE_URL, uuid5

import pytest

from privacy.facts import Facts
from privacy.requests import plan
from privacy.retention import rules
from privacy.retention.assess import assess
from tests import files

SCHEDULE = rules.load(rules.HERE, overlays=())
TODAY = date(2026, 11, 22)


def orders() -> list[Facts]:
    """An imported order counts as invoiced and paid on its ship date."""
    found = []
    for row in files.rows(files.ORDERS):
        shipped = date.fromisoformat(row["shipped_on"])
        found.append(
            Facts(
                "orders.order",
                uuid5(NAMESPACE_URL, row["order_number"]),
                f"Order {row['order_number']}",
                None,
                {"order": ("Name on the invoice",), "fulfilment": ("Delivery address",)},
                {
                    "placed": date.fromisoformat(row["placed_on"]),
                    "invoiced": shipped,
                    "paid": shipped,
                    "shipped": shipped,
                },
                country=row["ship_country"],
            )
        )
    assert len(found) == 59
    return found


def ship_year(one: Facts) -> int:
    shipped = one.events["shipped"]
    assert shipped is not None
    return shipped.year


@pytest.mark.parametrize("asked", [True, False])
def test_every_order_is_gone_or_kept_as_the_year_of_its_shipment_says(asked: bool) -> None:
    for one in orders():
        invoice = {v.envelope: v for v in assess(one, SCHEDULE, set(), TODAY, asked=asked)}["order"]
        if ship_year(one) <= 2018:
            assert (invoice.action, invoice.code, invoice.overdue) == ("erase", "ERASE", True)
        else:
            assert (invoice.action, invoice.code) == ("keep", "KEEP_LI")
            assert invoice.until == date(ship_year(one) + 7, 12, 31)


def test_after_a_request_only_invoices_are_left() -> None:
    for one in orders():
        delivery = {v.envelope: v for v in assess(one, SCHEDULE, set(), TODAY, asked=True)}["fulfilment"]
        assert delivery.action == "erase"
        assert delivery.code == ("ERASE" if ship_year(one) <= 2018 else "MINIMISE")


def test_nothing_of_2019_goes_on_31_december_2026_and_all_of_it_on_1_january_2027() -> None:
    last, first = date(2026, 12, 31), date(2027, 1, 1)
    of_2019 = [one for one in orders() if ship_year(one) == 2019]
    assert of_2019
    for day, action in ((last, "keep"), (first, "erase")):
        assert {v.action for one in of_2019 for v in assess(one, SCHEDULE, set(), day, asked=False)} == {action}
    gone = Counter(ship_year(one) for one in orders() if assess(one, SCHEDULE, set(), first, asked=False)[0].is_erased)
    assert gone == Counter(year for one in orders() if (year := ship_year(one)) <= 2019)


def test_an_order_that_crosses_the_year_counts_from_january() -> None:
    one = orders()[0]
    january = date(2020, 1, 4)
    crossing = Facts(
        one.label, one.record_id, one.title, None, one.data,
        {"placed": january - timedelta(days=9), "invoiced": january, "paid": january, "shipped": january},
    )  # fmt: skip
    assert assess(crossing, SCHEDULE, set(), TODAY, asked=True)[1].until == date(2027, 12, 31)


def test_a_plan_over_all_orders_counts_them_once_and_is_the_same_in_any_order() -> None:
    found = orders()
    one_way = plan.make(found, SCHEDULE, set(), {}, TODAY)
    other_way = plan.make(reversed(found), SCHEDULE, set(), {}, TODAY)
    assert one_way == other_way
    assert len(one_way.verdicts) == 2 * 59
    old = sum(ship_year(one) <= 2018 for one in found)
    assert len(one_way.erased) == 59 + old
    assert len(one_way.kept) == 59 - old

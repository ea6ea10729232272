"""Nothing under a duty or a hold is erased, by a clock however wrong: thousands of records against the model of the law
(R4).

The model (tests/privacy/requests/life_model.py) reads law.md, not the schedule. Each case is a night: the true time,
what the clock of the database shows, when the sweep last ran, and a record with anything open, held or asked for.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from privacy.calendar import company_day
from privacy.facts import Facts
from privacy.retention import rules
from privacy.retention.assess import assess
from privacy.sweep import arming
from tests.figures import report, tries
from tests.privacy.requests.life_model import Model, Sold

SCHEDULE = rules.load(rules.HERE, overlays=())
CASES = tries(1_000, 10_000)
DAYS = st.dates(date(2012, 1, 1), date(2034, 12, 31))
# The guard lets a clock go ahead by less than this since the last run; more it refuses.
LET_THROUGH = timedelta(days=2)

maybe_later = st.none() | st.integers(0, 500)
seen: Counter[str] = Counter()


@st.composite
def orders(draw: st.DrawFn) -> Sold:
    placed = draw(DAYS)
    days = [draw(maybe_later) for _ in range(4)]
    invoiced, shipped, paid, cancelled = (None if one is None else placed + timedelta(days=one) for one in days)
    return Sold("alice", placed, invoiced, shipped, paid, None if shipped else cancelled)


def facts_of(record: UUID, sold: Sold) -> Facts:
    """Return what the product would know of such an order, stated independently of it."""
    flags = set()
    if sold.cancelled and not sold.has_events:
        flags.add("never_fulfilled")
    elif not sold.cancelled and not (sold.invoiced and sold.shipped):
        flags.add("open_order")
    if not sold.cancelled and sold.invoiced and not sold.paid:
        flags.add("unpaid")
    return Facts(
        "orders.order", record, "Order", None, {"order": ("Name",), "fulfilment": ("Street",)},
        {"placed": sold.placed, "invoiced": sold.invoiced, "shipped": sold.shipped, "paid": sold.paid, "closed": sold.cancelled},
        frozenset(flags), country="DE",
    )  # fmt: skip


@settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    sold=orders(),
    years=st.floats(-0.2, 14),
    error=st.sampled_from([0, 0, 0, 0, 1, 40, 47, 49, 24 * 31, 24 * 366, 24 * 3660, -1, -30, -24 * 400]),
    since=st.integers(1, 72),
    held=st.booleans(),
    asked=st.booleans(),
    told=st.none() | st.floats(0, 12),
)
def nights(sold: Sold, years: float, error: int, since: int, held: bool, asked: bool, told: float | None) -> None:
    record = uuid4()
    asked = asked or told is not None  # a day is told where a removal was carried out
    facts = facts_of(record, sold)
    true = datetime.combine(sold.placed, datetime.min.time(), UTC) + timedelta(
        days=365.25 * years + 500 * (years > 0.5), hours=7
    )
    last, shown = true - timedelta(hours=since), true + timedelta(hours=error)
    if arming.is_jump(last, shown):
        seen["refused"] += 1
        return  # the sweep refuses such a clock: nothing is judged
    pins = {}
    if told is not None:  # a day that the person was told earlier: what the rules said then
        then = assess(facts, SCHEDULE, set(), company_day(true - timedelta(days=30 * told)), asked=asked)
        pins = {one.key: one.until for one in then if not one.is_erased}
    model = Model(sold={record: sold}, active={"alice": sold.placed})
    model.held[record] = int(held)
    if asked:
        model.asked = {uuid4(): {record}}
    verdicts = assess(facts, SCHEDULE, {record} if held else set(), company_day(shown), asked=asked, pins=pins)
    for verdict in verdicts:
        seen["erased" if verdict.is_erased else "kept"] += 1
        if verdict.is_erased:
            latest = (max(true, min(shown, last + LET_THROUGH))).date()
            assert model.may_end("alice", record, verdict.envelope, latest), verdict
    event(f"error {error}")


@pytest.mark.figure
def test_no_night_erases_what_is_under_a_duty_or_a_hold() -> None:
    seen.clear()
    nights()
    assert min(seen["erased"], seen["kept"], seen["refused"]) > CASES / 50, seen
    report("R4", "wrongly erased, with wrong clocks (decisions without a database)", 0, n=CASES, goal="0")
    print(dict(seen))


@pytest.mark.parametrize(
    ("hours", "jumped"), [(-1, True), (0, False), (47, False), (48, False), (49, True), (9600, True)]
)
def test_a_clock_before_the_last_run_or_48_hours_after_it_has_jumped(hours: int, jumped: bool) -> None:
    last = datetime(2026, 12, 31, 7, tzinfo=UTC)
    assert arming.is_jump(last, last + timedelta(hours=hours)) is jumped

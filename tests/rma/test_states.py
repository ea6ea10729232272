"""The table of an RMA's states, without a database."""

from datetime import date

import pytest
from django.contrib.admin import site

from rma import states
from rma.admin import RMAAdmin
from rma.models import RMA

State = RMA.State


def test_every_state_stands_in_the_table_once() -> None:
    assert set(states.TABLE) == set(State.values)


def test_every_state_can_be_reached_from_requested() -> None:
    reached, todo = set(), [State.REQUESTED]
    while todo:
        state = todo.pop()
        if state not in reached:
            reached.add(state)
            todo.extend(states.TABLE[state])
    assert reached == set(State.values)


def test_every_state_leads_to_an_end() -> None:
    ends = {State.CLOSED, State.REJECTED, State.CANCELLED}
    leads = set(ends)
    while True:
        more = {state for state, to in states.TABLE.items() if set(to) & leads} - leads
        if not more:
            break
        leads |= more
    assert leads == set(State.values)


@pytest.mark.parametrize(
    ("state", "allowed"),
    [
        (State.REQUESTED, [State.CANCELLED]),
        (State.AUTHORISED, [State.IN_TRANSIT, State.CANCELLED]),
        (State.IN_TRANSIT, []),
        (State.RECEIVED, [State.CANCELLED]),
        (State.QUOTED, [State.APPROVED, State.DECLINED, State.CANCELLED]),
        (State.APPROVED, [State.CANCELLED]),
        (State.DECLINED, []),
        (State.IN_SERVICE, []),
        (State.VERIFIED, []),
        (State.SHIPPED_BACK, []),
        (State.ON_HOLD, [State.CANCELLED]),
        (State.BEYOND_REPAIR, []),
    ],
)
def test_a_customer_takes_the_own_steps_only(state: str, allowed: list[str]) -> None:
    assert states.next_states(RMA(state=state), states.CUSTOMER) == allowed


def test_a_finished_case_goes_nowhere() -> None:
    for state in (State.CLOSED, State.REJECTED, State.CANCELLED):
        assert states.next_states(RMA(state=state, closed_on=date(2026, 1, 2)), states.STAFF) == []


def test_cancelling_ends_the_case_only_before_the_instrument_is_here() -> None:
    assert states.ends(RMA(state=State.AUTHORISED), State.CANCELLED)
    assert not states.ends(RMA(state=State.RECEIVED, received_on=date(2026, 1, 2)), State.CANCELLED)
    cancelled = RMA(state=State.CANCELLED, received_on=date(2026, 1, 2))
    assert states.next_states(cancelled, states.STAFF) == [State.SHIPPED_BACK]


def test_the_list_of_returns_is_narrowed_by_state_and_by_nothing_that_asks_about_people() -> None:
    returns = RMAAdmin(RMA, site)
    assert returns.lookup_allowed("state__exact", "quoted") and returns.lookup_allowed("service__exact", "repair")
    assert not returns.lookup_allowed("state__exact", "nowhere")
    assert not returns.lookup_allowed("contact_name__startswith", "A")

"""The life of an RMA in one table: from which state, to which, by whom. Pure; `services.transition` carries it out."""

from __future__ import annotations

from rma.models import RMA, RMAEvent

State = RMA.State

CUSTOMER, STAFF = "customer", "staff"
BOTH = frozenset({CUSTOMER, STAFF})
LAB = frozenset({STAFF})

#: state -> next state -> who may take the step. Cancelling before the instrument is here ends the case; afterwards
#: the instrument has to go back first ("cancel and return").
TABLE: dict[str, dict[str, frozenset[str]]] = {
    State.REQUESTED: {State.AUTHORISED: LAB, State.REJECTED: LAB, State.CANCELLED: BOTH},
    State.AUTHORISED: {State.IN_TRANSIT: BOTH, State.RECEIVED: LAB, State.CANCELLED: BOTH},
    State.IN_TRANSIT: {State.RECEIVED: LAB},
    State.RECEIVED: {
        State.QUOTED: LAB,
        State.IN_SERVICE: LAB,
        State.ON_HOLD: LAB,
        State.BEYOND_REPAIR: LAB,
        State.CANCELLED: BOTH,
    },
    State.QUOTED: {State.APPROVED: BOTH, State.DECLINED: BOTH, State.ON_HOLD: LAB, State.CANCELLED: BOTH},
    State.APPROVED: {State.IN_SERVICE: LAB, State.ON_HOLD: LAB, State.CANCELLED: BOTH},
    State.DECLINED: {State.SHIPPED_BACK: LAB},
    State.IN_SERVICE: {
        State.VERIFIED: LAB,
        State.QUOTED: LAB,
        State.ON_HOLD: LAB,
        State.BEYOND_REPAIR: LAB,
        State.CANCELLED: LAB,
    },
    State.VERIFIED: {State.SHIPPED_BACK: LAB, State.IN_SERVICE: LAB},
    State.ON_HOLD: {
        State.RECEIVED: LAB,
        State.QUOTED: LAB,
        State.APPROVED: LAB,
        State.IN_SERVICE: LAB,
        State.CANCELLED: BOTH,
    },
    State.BEYOND_REPAIR: {State.SHIPPED_BACK: LAB, State.CLOSED: LAB},
    State.CANCELLED: {State.SHIPPED_BACK: LAB},
    State.SHIPPED_BACK: {State.CLOSED: LAB},
    State.CLOSED: {},
    State.REJECTED: {},
}


Reason = RMAEvent.Reason

#: Into which state -> what may be said as its reason; for a way back, from which state to which. A quote within the
#: limit is approved by the program, which says so itself.
REASONS: dict[str | tuple[str, str], tuple[str, ...]] = {
    State.REJECTED: (Reason.NOT_OURS, Reason.NO_SERVICE, Reason.BY_REQUEST),
    State.CANCELLED: (Reason.BY_REQUEST, Reason.NOT_OURS, Reason.NO_SERVICE),
    State.ON_HOLD: (Reason.WAITING_CUSTOMER, Reason.WAITING_PART, Reason.BY_REQUEST),
    State.BEYOND_REPAIR: (Reason.NO_SERVICE,),
    State.DECLINED: (Reason.BY_REQUEST,),
    (State.VERIFIED, State.IN_SERVICE): (Reason.FAILED_VERIFICATION, Reason.BY_REQUEST),
}


def reasons(state: str, to: str) -> tuple[str, ...]:
    """Return what may be said as the reason of a step from one state to another; () where a step needs none."""
    return REASONS.get(to, ()) or REASONS.get((state, to), ())


def next_states(rma: RMA, who: str) -> list[str]:
    """Return the states to which `who` ("customer" or "staff") may take the RMA now, in the order of the table."""
    if not rma.is_open:
        return []
    return [state for state, allowed in TABLE.get(rma.state, {}).items() if who in allowed]


def ends(rma: RMA, to: str) -> bool:
    """Say whether the case is finished once it is in state `to`."""
    return to in (State.CLOSED, State.REJECTED) or (to == State.CANCELLED and rma.received_on is None)

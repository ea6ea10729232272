"""The states of a request and the one table of what may follow what; how a request reached the
company, and how identity is proved.

What must never happen: a state that is reached past this table (`history.move` holds it).
"""

from __future__ import annotations

from django.db import models


class State(models.TextChoices):
    """The states, each with its words: the same for its person, the desk, commands and the copy (`stands`)."""

    RECEIVED = "received", "received"
    IDENTITY = "identity", "identity proved"
    PLANNED = "planned", "plan made"
    CONFIRMED = "confirmed", "about to be carried out"
    EXECUTING = "executing", "being carried out"
    EXECUTED = "executed", "carried out"
    REPLIED = "replied", "answered"
    CLOSED = "closed", "closed"
    REFUSED = "refused", "refused"
    WITHDRAWN = "withdrawn", "taken back"
    EXPIRED = "expired", "ended because identity was not proved or the plan not confirmed in time"
    PARKED = "parked", "parked until our staff have looked at it"


#: What a state does not say by itself.
BEING_PROVED = "identity being proved"
WAITS_FOR_YOU = "plan made, waits for your confirmation"
WAITS_FOR_ITS_PERSON = "plan made, waits for the person's confirmation"
WAITS_FOR_SECOND = "a second member of our staff has to look at it"
FOR_OUR_STAFF = "our staff have to look at it"  # of a kind that is not known here, or not as the site wrote it


# The state machine, whole: from -> to. Whatever is not here cannot happen (design 5).
TRANSITIONS: dict[str, frozenset[State]] = {
    # Closed at once: nobody is known by what was given, and that is the answer.
    State.RECEIVED: frozenset(
        {State.IDENTITY, State.CLOSED, State.REFUSED, State.WITHDRAWN, State.EXPIRED, State.PARKED}
    ),
    State.IDENTITY: frozenset({State.PLANNED, State.REFUSED, State.WITHDRAWN, State.EXPIRED, State.PARKED}),
    State.PLANNED: frozenset(
        {State.PLANNED, State.CONFIRMED, State.REFUSED, State.WITHDRAWN, State.EXPIRED, State.PARKED}
    ),
    State.CONFIRMED: frozenset({State.PLANNED, State.EXECUTING, State.REFUSED, State.WITHDRAWN, State.PARKED}),
    State.EXECUTING: frozenset({State.EXECUTED, State.PARKED}),
    State.EXECUTED: frozenset({State.REPLIED, State.PARKED}),
    State.REPLIED: frozenset({State.CLOSED, State.PARKED}),
    # A parked request goes on where it stopped, by a person's decision only.
    State.PARKED: frozenset(
        {
            State.RECEIVED,
            State.IDENTITY,
            State.PLANNED,
            State.CONFIRMED,
            State.EXECUTING,
            State.EXECUTED,
            State.REPLIED,
        }
    ),
    State.CLOSED: frozenset(),
    State.REFUSED: frozenset(),
    State.WITHDRAWN: frozenset(),
    State.EXPIRED: frozenset(),
}


def after(state: str, parked_from: str = "") -> frozenset[State]:
    """Return what a request in this state may become: nothing where it is one of which this version knows nothing.

    One that is parked may be taken back and refused where it could be before.
    """
    found = TRANSITIONS.get(state, frozenset())
    if state == State.PARKED:
        found |= TRANSITIONS.get(parked_from, frozenset()) & {State.WITHDRAWN, State.REFUSED}
    return found


#: From where a request is parked, and where it goes on.
RESUMED_STATES = TRANSITIONS[State.PARKED]

OPEN_STATES = tuple(s.value for s in State if s not in (State.CLOSED, State.REFUSED, State.WITHDRAWN, State.EXPIRED))
# What a day by which we answer still counts for: a copy that nobody has fetched yet is answered and open.
UNANSWERED_STATES = tuple(one for one in OPEN_STATES if one != State.REPLIED)
# Up to here the person can take the request back: nothing has been done yet.
WITHDRAWABLE_STATES = tuple(s.value for s in State if State.WITHDRAWN in TRANSITIONS[s])
# What was asked for is done: what is left is to tell it.
DONE_STATES = (State.EXECUTED, State.REPLIED)
# What was asked for has been begun, is done, or was answered.
BEGUN_STATES = (State.EXECUTING, State.EXECUTED, State.REPLIED, State.CLOSED)
# Ended without having been carried out: nothing of its plan comes any more.
UNDONE_STATES = (State.REFUSED, State.WITHDRAWN, State.EXPIRED)


def stage(state: str, parked_from: str) -> str:
    """Return how far a request is: "" nothing planned yet, "would" a plan, "begun", "done", or "ended" without having
    been done. One that is parked is as far as it was."""
    reached = parked_from if state == State.PARKED else state
    for name, states in (
        ("would", (State.PLANNED, State.CONFIRMED)),
        ("begun", (State.EXECUTING,)),
        ("done", (State.EXECUTED, State.REPLIED, State.CLOSED)),
        ("ended", UNDONE_STATES),
    ):
        if reached in states:
            return name
    return ""


class Channel(models.TextChoices):
    WEB = "web", "website"
    PHONE = "phone", "phone"
    FAX = "fax", "fax"
    EMAIL = "email", "e-mail"
    MAIL = "mail", "mail"
    IN_PERSON = "in_person", "in person"


class Proof(models.TextChoices):
    """How it was shown who is asking (design 9)."""

    PENDING = "pending", "not proved yet"
    LOGIN = "login", "signed in, and password or sign-in code entered again"
    LINK = "link", "one-time link to the address on file"
    CALLBACK = "callback", "called back on a number on file for 14 days, two facts confirmed"
    POST = "post", "code sent by post to an address on file for 14 days"
    IN_PERSON = "in_person", "known in person, or document seen and not copied"
    STAFF = "staff", "written evidence"

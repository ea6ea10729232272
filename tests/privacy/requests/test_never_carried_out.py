"""A removal that never ran is called carried out nowhere, and no operator seals it as that: its steps, the audit, the
key store and its decisions are asked."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Customer
from privacy import vault
from privacy.requests import bound, contradictions, execute, login_stays, outcome
from privacy.requests.models import Request
from privacy.requests.states import State
from privacy.retention import decided
from tests import roles
from tests.asked import NOW, TODAY, Clock, confirmed, filed, run
from tests.privacy.requests.test_written_past_the_site import event_planted, stands, written

pytestmark = pytest.mark.django_db(databases="__all__")

STATES = ("executing", "executed", "replied", "closed")
ENDED = "data that it was to end is there: the key store has its key"


def moved_on(removal: Request, state: str, step: str = "") -> None:
    """Say of a confirmed removal, past the program, that it is in this state, with all states between."""
    for kind in STATES[: STATES.index(state) + 1]:
        event_planted(removal, kind)
    written(removal, f"state = '{state}', step = '{step}', next_action_at = null, closed_at = now()")


def test_a_removal_that_never_ran_is_not_sealed_as_one_that_is_closed(
    alice: Customer, capsys: pytest.CaptureFixture[str]
) -> None:
    removal = confirmed(alice)
    moved_on(removal, "closed")
    with pytest.raises(CommandError):
        call_command("seal_requests", request=removal.reference)
    said = capsys.readouterr().out
    assert "Sealed as they stand: 0." in said and not bound.is_ours(removal) and stands(alice)
    assert "  it is closed, and what comes before that was not done: Keys destroyed and data removed\n" in said
    assert "  its history says more often than the audit that it was carried out\n" in said and f"  {ENDED}\n" in said
    day = f"{TODAY:%-d %B %Y}"
    for kind in ("executing", "replied", "closed"):
        assert f"  beside the row: in its history, and in no line of the audit: {kind}, {day}\n" in said
    for step in removal.steps:  # the steps are planted with it
        if step != "plan":
            event_planted(removal, "step", step)
    assert contradictions.of(removal.pk) == [
        "its history says more often than the audit that it was carried out",
        ENDED,
    ]
    bound.seal([removal.pk])  # as an operator does who does not see it
    removal.refresh_from_db()
    with vault.internal(), pytest.raises(outcome.NotAsPlanned):
        outcome.lines(removal, today=TODAY)


def test_a_state_past_the_beginning_needs_the_steps_that_lead_to_it(alice: Customer) -> None:
    removal = confirmed(alice)
    missing = "it is carried out, and what comes before that was not done: "
    moved_on(removal, "executed", "wait_for_access")
    found = contradictions.of(removal.pk)
    assert sum(one.startswith(missing) for one in found) == 8 and f"{missing}Answer written" not in found
    copy = filed(alice, "access")
    moved_on(copy, "closed")
    assert "it is closed, and what comes before that was not done: Copy made" in contradictions.of(copy.pk)


def test_one_that_is_restored_or_closed_at_once_has_no_steps_only_where_the_audit_tells_of_it(alice: Customer) -> None:
    removal = confirmed(alice)
    moved_on(removal, "closed")
    event_planted(removal, "restored")
    assert ENDED in contradictions.of(removal.pk)
    assert any(one.startswith("it is closed, and what comes before") for one in contradictions.of(removal.pk))


def test_one_that_was_carried_out_is_contradicted_by_nothing(alice: Customer) -> None:
    copy = filed(alice, "access")
    run(copy)
    assert contradictions.of(copy.pk) == [], "the control"
    removal, clock = confirmed(alice), Clock(NOW)
    while removal.step != "close":
        assert contradictions.of(removal.pk) == [], removal.step
        execute.advance(removal.pk, now=clock())
        removal.refresh_from_db()
    assert contradictions.of(removal.pk) == []
    run(removal, clock)
    assert removal.state == State.CLOSED and contradictions.of(removal.pk) == []


def test_a_planted_decision_tells_of_no_removal(alice: Customer) -> None:
    copy, removal = filed(alice, "access"), confirmed(alice)
    run(copy)
    user = alice.subject.users.get()
    planted = (
        "INSERT INTO privacy_decision (request_id, label, record_id, envelope, data, action, code, ground, authority,"
        " overdue, pinned, mac) VALUES ('{0}', 'accounts.user', '{1}', 'planted', '[]', 'keep', 'KEEP_CONTRACT', '', '',"
        " false, true, '')"
    )
    roles.run(planted.format(copy.pk, user.pk), planted.format(removal.pk, user.pk))
    written(removal, "state = 'executing'")
    removal.refresh_from_db()
    for signed in (False, True):
        found = removal if signed else None
        assert login_stays.until_finished(alice.subject_id) == found
        assert login_stays.removal_of("accounts.user", user.pk) == found
        assert login_stays.after(removal) == signed and not login_stays.after(copy)
        decided.seal([copy.pk, removal.pk])  # the control: only the removal's counts

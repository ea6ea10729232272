"""Rows of the outbox that another program wrote, hung on somebody else or took away: no removal burns a letter of
another person, and no request closes whose answer the site did not write and send."""

from __future__ import annotations

import pytest

from accounts.models import Customer
from privacy import vault
from privacy.letters.models import Letter
from privacy.requests import answer, bound, execute
from privacy.requests.models import Request
from privacy.requests.states import State
from tests import factories, roles
from tests.asked import Clock, confirmed, filed, run, with_letters
from tests.journeys.everybody import undone

pytestmark = pytest.mark.django_db(databases="__all__")

PLANTED = (
    "INSERT INTO privacy_letter (id, kind, key, by, request_id, queued_at, sent_at, attempts, last_error, is_apart)"
    " VALUES (gen_random_uuid(), 'erasure_done', '{key}', 'email', '{pk}', now(), now(), 1, '', true)"
)


def until(request: Request, step: str, clock: Clock) -> None:
    """Carry a request out until before this step, without its letters."""
    while request.step != step:
        assert execute.advance(request.pk, now=clock()) in (request.step, "ended")
        request.refresh_from_db()


def answer_of(request: Request) -> Letter:
    return Letter.objects.get(key=answer.key(request))


def test_an_answer_that_was_planted_before_parks_the_request(alice: Customer) -> None:
    removal, clock = confirmed(alice), Clock()
    roles.run(PLANTED.format(key=answer.key(removal), pk=removal.pk))
    assert bound.is_ours(removal) and run(removal, clock) == "retry"
    assert (removal.state, removal.step, removal.last_error) == (State.EXECUTED, "letter", "NotOurs")


def test_an_answer_that_was_taken_away_exchanged_or_called_sent_is_none(alice: Customer) -> None:
    removal, clock = confirmed(alice), Clock()
    until(removal, "close", clock)
    its = f"WHERE key = '{answer.key(removal)}'"
    for statements in (
        [f"DELETE FROM privacy_letter {its}"],
        [f"DELETE FROM privacy_letter {its}", PLANTED.format(key=answer.key(removal), pk=removal.pk)],
        [f"UPDATE privacy_letter SET request_id = NULL {its}"],
        [f"UPDATE privacy_letter SET sent_at = now() {its}"],
        [f"UPDATE privacy_letter SET stopped_at = now() {its}"],
    ):
        with undone():
            roles.run(*statements)
            assert execute.advance(removal.pk, now=clock()) == "retry", statements
            removal.refresh_from_db()
            assert (removal.state, removal.last_error) == (State.EXECUTED, "NotOurs"), statements
        removal.refresh_from_db()
    run(removal, clock)
    assert removal.state == State.CLOSED, "the control"


def test_somebody_elses_removal_burns_no_letter_and_each_removal_its_own(alice: Customer, bob: Customer) -> None:
    his, hers, clock = filed(bob, "access"), confirmed(alice), Clock()
    letters = list(Letter.objects.filter(request=his))
    mine = Letter.objects.filter(subject_id=alice.subject_id).exclude(request=hers)
    assert letters
    also = filed(alice, "access")
    run(also)
    hung = Letter.objects.filter(request=also).values_list("pk", flat=True)
    roles.run(
        f"UPDATE privacy_letter SET subject_id = '{alice.subject_id}' WHERE request_id = '{his.pk}'",
        f"UPDATE privacy_letter SET subject_id = '{bob.subject_id}' WHERE request_id = '{also.pk}'",
    )
    numbers = list(hung)
    until(hers, "block_tokens", clock)
    assert mine.count() == len(letters), "only those that were hung on her"
    for one in Letter.objects.filter(pk__in=[one.pk for one in letters]):
        assert one.stopped_at is None and not vault.keys.is_destroyed(one.pk, "letter")
    assert numbers and all(vault.keys.is_destroyed(one, "letter") for one in numbers)


def test_the_answer_of_another_removal_is_not_burned_by_the_one_it_was_hung_on(alice: Customer, bob: Customer) -> None:
    his, hers, clock = confirmed(bob), confirmed(alice), Clock()
    copy = filed(factories.customer("Dora", "Dahl", email="dora@example.com"), "access")
    until(his, "close", clock)
    until(hers, "close", clock)
    letter = answer_of(his)
    with_letters(clock())
    receipt = Letter.objects.get(request=copy)
    hung = f"UPDATE privacy_letter SET request_id = '{hers.pk}', sent_at = NULL WHERE id = "
    roles.run(f"{hung}'{letter.pk}'", f"{hung}'{receipt.pk}'")
    run(hers, clock)
    assert hers.state == State.CLOSED and not vault.keys.is_destroyed(letter.pk, "letter")
    assert not vault.keys.is_destroyed(receipt.pk, "letter"), "nor what is anybody else's"
    assert vault.keys.is_destroyed(answer_of(hers).pk, "letter")

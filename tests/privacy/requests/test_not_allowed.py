"""What is not the person's to do, what a request is past, and what says nothing is refused by each service itself,
whatever page or command asks it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import Customer
from privacy.actor import Actor
from privacy.requests import (
    addresses,
    assessment,
    bound,
    clock,
    contents,
    deadline,
    excess,
    history,
    links,
    paper,
    proof,
    proving,
    second,
    services,
    sight,
    steps,
    went_to,
)
from privacy.requests.models import OneTimeLink, Request
from privacy.requests.result import Done, Wait
from privacy.requests.states import State
from privacy.retention.models import Decision
from tests.asked import ANYBODY, NOW, OPERATOR, PRIVACY, TODAY, filed, taken_in
from tests.factories import as_customer

pytestmark = pytest.mark.django_db


def of_the_team(request: Request, who: Actor) -> dict[str, Callable[[], Any]]:
    """What the privacy team alone does with a request, done by `who`."""
    at: dict[str, Any] = {"actor": who, "now": NOW}
    subject = request.owner_id
    assert subject is not None
    return {
        "refuse": lambda: services.refuse(request, ground="No.", authority="", **at),
        "resume": lambda: services.resume(request, **at),
        "say that nothing is held": lambda: services.say_nothing_held(request, **at),
        "post a code": lambda: proving.post_code(request, subject=subject, **at),
        "state who asks": lambda: proving.identify(request, "in_person", subject=subject, **at),
        "propose a refusal": lambda: excess.propose(request, ground="No.", evidence="Nine letters.", **at),
        "decide a refusal": lambda: excess.decide(request, "refuse", **at),
        "extend": lambda: deadline.extend(request, reason="complex", words="Much.", **at),
        "pause": lambda: deadline.pause(request, **at),
        "post a copy": lambda: paper.post(request, **at),
        "decide who asks": lambda: second.decide(request, "go_on", **at),
        "assess a breach": lambda: second.assess_breach(request, is_breach=True, **at),
    }


def test_what_the_privacy_team_does_nobody_does_of_a_request_of_their_own(alice: Customer) -> None:
    request = filed(alice)
    for who in (as_customer(alice), ANYBODY):
        for what, act in of_the_team(request, who).items():
            with pytest.raises(sight.NotYours):
                act()
                pytest.fail(what)
    request.refresh_from_db()
    assert request.state == State.IDENTITY and not request.second_looks.exists()


def test_a_request_that_has_ended_is_past_all_of_it(alice: Customer) -> None:
    request, me = filed(alice), as_customer(alice)
    services.withdraw(request, actor=me, now=NOW)
    acts = of_the_team(request, PRIVACY) | {
        "plan": lambda: services.make_plan(request, actor=me, now=NOW),
        "confirm": lambda: services.confirm(request, "0" * 64, actor=me, now=NOW),
        "take back": lambda: services.withdraw(request, actor=me, now=NOW),
    }
    events = request.events.count()
    for what, act in acts.items():
        with pytest.raises(history.NotAllowed):
            act()
            pytest.fail(what)
    request.refresh_from_db()
    assert (request.state, request.events.count()) == (State.WITHDRAWN, events)


def test_words_that_say_nothing_and_rules_that_are_none_are_refused(alice: Customer) -> None:
    request, at = filed(alice), {"actor": PRIVACY, "now": NOW}
    acts: dict[str, Callable[[], Any]] = {
        "no rule": lambda: services.refuse(request, ground="No.", authority="Art. 99 GDPR", **at),
        "a rule about copies": lambda: services.refuse(request, ground="No.", authority="Art. 15(4) GDPR", **at),
        "one person alone": lambda: services.refuse(request, ground="No.", authority="Art. 12(5) GDPR", **at),
        "no evidence": lambda: excess.propose(request, ground="No.", evidence=" ", **at),
        "no decision": lambda: second.decide(request, "refuse", **at),
        "no decision about a refusal": lambda: excess.decide(request, "go_on", **at),
        "no reason of the law": lambda: deadline.extend(request, reason="holiday", words="Much.", **at),
        "no words": lambda: deadline.extend(request, reason="complex", words=" ", **at),
        "a call-back of which nothing is said": lambda: taken_in(
            "access", alice.subject_id, channel="phone", identity="callback", actor=PRIVACY
        ),
        "a login, stated": lambda: proving.identify(request, "login", subject=alice.subject_id, **at),
    }
    for what, act in acts.items():
        with pytest.raises(proof.BadRequest):
            act()
            pytest.fail(what)
    excess.propose(request, ground="No.", evidence="Nine letters.", **at)
    with pytest.raises(history.NotAllowed, match="waits for a second person already"):
        excess.propose(request, ground="No.", evidence="Ten letters.", **at)
    request.country = "US"
    request.save(update_fields=["country"])
    with pytest.raises(proof.BadRequest, match="No GDPR"):
        excess.propose(request, ground="No.", evidence="Nine letters.", **at)
    with pytest.raises(history.NotAllowed, match="its rule is none for this request"):
        excess.decide(request, "refuse", actor=OPERATOR, now=NOW)
    excess.decide(request, "answer", actor=OPERATOR, now=NOW, is_dry=True)
    assert excess.open_look(request) is not None and request.is_open
    Request.objects.filter(pk=request.pk).update(state=State.EXECUTED)
    with pytest.raises(history.NotAllowed, match="cannot be refused"):
        excess.decide(request, "refuse", actor=OPERATOR, now=NOW)
    Request.objects.filter(pk=request.pk).update(state=State.IDENTITY)
    before = request.next_action_at
    excess.decide(request, "answer", actor=OPERATOR, now=NOW + timedelta(days=1))
    assert excess.open_look(request) is None and request.is_open and request.next_action_at == before


def test_for_nobody_and_nothing_nothing_is_done(alice: Customer) -> None:
    assert addresses.records_of(Request()) == [] and addresses.standing_of(" ", now=NOW) == addresses.Standing()
    for record in (alice.pk, uuid4()):
        assert addresses.spelled_on_file("accounts.customer", record, "bob@example.com") == ""
    assert addresses.spelled_on_file("accounts.customer", alice.pk, "ALICE@example.com") == "alice@example.com"
    assert not went_to.counts_still(OneTimeLink(request=Request(), expires_at=NOW), "key", now=NOW)
    for of in ("", str(uuid4())):  # a link, or the request of a code, that is there no more
        assert not proving.stands(Request(pk=filed(alice).pk), went_to.Stands(0, "key", of), now=NOW)
    assert contents.kinds_of([("accounts.communication", uuid4())]) == []
    with pytest.raises(links.LinkRefused):
        went_to.stands_on("no token of ours")
    with pytest.raises(steps.NotConfirmed):
        steps.subject_of(Request())
    assert steps.unlink(Request(), NOW) == Done({"subject_gone": True}), "the sweep was there before"
    assert steps.identity_step(Request(due_on=TODAY), NOW - timedelta(days=1)) == Wait(clock.answer_from(TODAY))
    with pytest.raises(RuntimeError):
        steps.acting()
    with pytest.raises(LookupError):
        assessment.verdict_of(Decision())
    with pytest.raises(Request.DoesNotExist):
        bound.sign(uuid4())
    request = filed(alice)
    with pytest.raises(history.NotAllowed, match="Nothing is written"):
        deadline.extend_by_itself(request, "erase", actor=PRIVACY, now=NOW)
    for state in (State.EXECUTED, State.REPLIED):
        Request.objects.filter(pk=request.pk).update(state=state)
        bound.sign(request.pk)
        request.refresh_from_db()
        with pytest.raises(history.NotAllowed, match="is done"):
            deadline.extend(request, reason="complex", words="Much.", actor=PRIVACY, now=NOW)
        assert not deadline.may_extend(request, now=NOW) and not deadline.is_too_late_to_extend(request, now=NOW)

"""A second person decides what the page has shown: what came after it, by whatever reason, waits
for the next look (design 9)."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts import corrections
from accounts.models import Communication, Customer
from privacy.gate import Actor, fingerprint
from privacy.requests import addresses, filing, second, waits
from privacy.requests.models import Request, SecondLook
from tests import factories, pages
from tests.asked import ANYBODY, NOW, filed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]
NORA = "nora@mail.example"
SERVICE = Actor("staff", "dan", None, frozenset({"service"}), "admin", "phone call")
COLLEAGUE = Actor("staff", "pat", None, frozenset({"privacy"}), "admin")
NEW, NOTHING = "Something has come or changed since you looked.", "Your answer did not say what the page had shown you."


@pytest.fixture
def own(db: None) -> list[Communication]:
    return [factories.communication(email=NORA, contact_name="Nora Nest") for _ in range(3)]


@pytest.fixture
def mona(db: None) -> Client:
    return pages.signed_in(factories.staff("mona", "mona@ilt.example", roles=(), is_superuser=True))


def moved(message: Communication) -> None:
    corrections.correct(message, {"email": "nora@changed.example"}, actor=SERVICE, now=NOW, reason="phone call")


def asked(own: list[Communication]) -> tuple[Request, str]:
    """A request about records on one of which the address was changed; and the page of its second person."""
    filing.ask(kind="erasure", email=NORA, actor=ANYBODY, now=NOW)
    request = Request.objects.get()
    moved(own[0])
    look = SecondLook.objects.get(request=request)
    return request, f"/admin/privacy/secondlook/{look.pk}/step/decide/"


def go_on(seen: dict[str, str]) -> dict[str, str]:
    return {"outcome": "go_on", "words": "", **seen}


def test_a_further_change_of_the_same_kind_between_page_and_answer_is_decided_by_nobody(
    own: list[Communication], mona: Client
) -> None:
    request, step = asked(own)
    seen = pages.seen(mona, step)
    moved(own[1])
    answer = mona.post(step, go_on(seen))
    assert answer.status_code == 400 and NEW in answer.text and "; again on " in answer.text
    assert waits.is_undecided(request) and not request.events.filter(kind="second_decided").exists()
    assert len(addresses.records_of(request)) == 1, "nothing of it is covered again"
    assert pages.decide(mona, step, go_on({})).status_code == 302, "control: who has read both decides both"
    assert not waits.is_undecided(request) and len(addresses.records_of(Request.objects.get())) == 3


def test_an_answer_that_does_not_say_what_was_shown_decides_nothing(own: list[Communication], mona: Client) -> None:
    request, step = asked(own)
    for missing in ({}, {"seen": ""}, {"seen": "moved"}, {"seen": "x" * 5000}):
        answer = mona.post(step, go_on(missing))
        assert answer.status_code == 400 and (NEW if missing.get("seen") else NOTHING) in answer.text
        assert "an address or name was changed on a record" in answer.text and waits.is_undecided(request)
    assert mona.post(step, go_on(pages.seen(mona, step))).status_code == 302


def test_so_is_a_second_objection_of_another_mailbox_and_a_second_dispute(alice: Customer, mona: Client) -> None:
    request = filed(alice)
    for why in (SecondLook.Why.NOT_ME, SecondLook.Why.DISPUTED, SecondLook.Why.JOINED):
        look = waits.ask(request, why, actor=ANYBODY, now=NOW)
        step = f"/admin/privacy/secondlook/{look.pk}/step/decide/"
        seen = pages.seen(mona, step)
        waits.ask(request, why, actor=ANYBODY, now=NOW)
        assert SecondLook.objects.filter(request=request, why=why).count() == 1, "one question"
        assert mona.post(step, go_on(seen)).status_code == 400
    assert SecondLook.objects.filter(request=request, decided_at=None).count() == 3


def test_what_was_decided_before_is_no_news(own: list[Communication], mona: Client) -> None:
    """The positive control: an earlier question that was answered keeps nobody from answering the next one."""
    request, step = asked(own)
    assert pages.decide(mona, step, go_on({})).status_code == 302
    moved(own[1])
    look = SecondLook.objects.get(request=request, decided_at=None)
    text = mona.get(f"/admin/privacy/secondlook/{look.pk}/step/decide/").text
    assert "What you decide about:" in text and "again on" not in text
    assert pages.decide(mona, f"/admin/privacy/secondlook/{look.pk}/step/decide/", go_on({})).status_code == 302
    assert not waits.is_undecided(request)


def test_the_service_holds_it_against_what_is_there_under_the_lock(own: list[Communication]) -> None:
    request, _ = asked(own)
    seen = second.shown(request)
    moved(own[1])
    with pytest.raises(fingerprint.NotSeen):
        second.decide(request, "go_on", seen=seen, actor=COLLEAGUE, now=NOW)
    second.decide(request, "go_on", seen=second.shown(request), actor=COLLEAGUE, now=NOW)
    assert not waits.is_undecided(request)


@pytest.mark.parametrize("facts", [[], [(1, NOW)], [(2, NOW), (1, None)]])
def test_a_fingerprint_tells_ids_and_times_apart_and_no_order(facts: list[Any]) -> None:
    assert fingerprint.of(facts) == fingerprint.of(reversed(facts))
    assert fingerprint.of(facts) != fingerprint.of([*facts, (3, NOW)])

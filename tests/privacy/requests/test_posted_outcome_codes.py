"""An outcome code that goes by post works once its letter is ticked off, and what it opens is said to be opened by
it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.http import HttpResponse
from django.test import Client

from accounts.models import Customer
from privacy import audit, letters, vault
from privacy.gate import Actor, log
from privacy.letters import earlier
from privacy.letters.models import Letter
from privacy.requests import posting, proof, reading, second
from privacy.requests.models import Request
from tests import factories, pages
from tests.asked import NOW, PRIVACY, Clock, filed, run, taken_in
from tests.privacy.requests.test_by_post import COLLEAGUE, MANAGER, READER, dora

__all__ = ["dora"]
pytestmark = pytest.mark.django_db
SAYS = "a code from a letter that members of our staff had in hand"


@pytest.fixture
def request_of(dora: Customer) -> Request:
    """Dora's copy, asked for in person, let go on by a second person and not built yet."""
    request = taken_in("access", dora.subject_id, channel="in_person", identity="in_person", actor=PRIVACY)
    second.decide(request, "go_on", actor=MANAGER, now=NOW)
    return request


def receipt(request: Request) -> Letter:
    return Letter.objects.get(request=request, kind="acknowledgement")


def on_the_screen(request: Request, actor: Actor = COLLEAGUE) -> str:
    """What one of the privacy team reads who opens the letter to print it."""
    with vault.internal():
        posting.opened(receipt(request), actor=actor, now=NOW)
        text = letters.given(receipt(request))[0]
    return earlier.OLD_CODE.findall(text)[0]


def typed(browser: Client, request: Request, code: str) -> HttpResponse:
    return browser.post("/privacy/outcome/", {"reference": request.reference, "code": code})


def fetched(browser: Client, request: Request) -> bytes:
    answer = browser.post(f"/privacy/requests/{request.pk}/export/")
    return b"".join(answer.streaming_content) if answer.streaming else b""


@pytest.mark.parametrize("is_built", [False, True], ids=["waiting for the post", "stopped by the answer"])
def test_who_has_the_letter_on_the_screen_reads_and_fetches_nothing_by_its_code(
    request_of: Request, is_built: bool
) -> None:
    code = on_the_screen(request_of)
    if is_built:
        run(request_of, Clock())
    with time_machine.travel(NOW + timedelta(minutes=5), tick=False):
        browser = Client()
        refused = typed(browser, request_of, code)
        assert refused.status_code == 401
        assert "A code that came by post works from the day" in " ".join(refused.text.split())
        assert fetched(browser, request_of) == b""
    assert not audit.history(reference=request_of.reference).filter(action="copy.fetched").exists()


def test_once_it_is_posted_the_person_fetches_the_copy_and_both_logs_say_that_staff_had_the_code_in_hand(
    request_of: Request, dora: Customer
) -> None:
    code = on_the_screen(request_of)
    posting.mark_posted(receipt(request_of), actor=READER, now=NOW)
    run(request_of, Clock())
    with time_machine.travel(NOW + timedelta(minutes=5), tick=False):
        browser = Client()
        pages.check(typed(browser, request_of, code))
        assert fetched(browser, request_of).startswith(b"PK")
    fetch = audit.history(reference=request_of.reference).get(action="copy.fetched")
    assert (fetch.actor_kind, fetch.purpose, fetch.reason) == ("customer", "outcome by code", f"portal: {SAYS}")
    rows = log.AccessEntry.objects.filter(actor_kind="customer")
    assert rows.exists() and set(rows.values_list("purpose", "reason")) == {("outcome by code", SAYS)}


def test_who_had_the_letter_in_hand_and_is_signed_in_reads_nothing_by_its_code(request_of: Request) -> None:
    pat = factories.staff("pat", "pat@example.com", roles=("privacy",))
    eve = factories.staff("eve", "eve@example.com", roles=("sales",))
    code = on_the_screen(request_of, pat.as_actor())
    posting.mark_posted(receipt(request_of), actor=READER, now=NOW)
    later = NOW + timedelta(minutes=5)
    with pytest.raises(proof.HadTheLetter):
        reading.by_code(request_of.reference, code, visitor=pat.as_actor(), now=later)
    with time_machine.travel(later, tick=False):
        assert typed(pages.signed_in(pat, again=True), request_of, code).status_code == 403
        assert typed(pages.signed_in(eve, again=True), request_of, code).status_code == 200, "control"


def test_a_code_that_the_person_was_shown_works_before_its_receipt_is_posted(alice: Customer) -> None:
    request = filed(alice, "access")
    Letter.objects.filter(request=request).update(by="post")
    assert reading.by_code(request.reference, factories.code_of(request), now=NOW)["request"] == request
    Request.objects.filter(pk=request.pk).update(identity="in_person")
    with pytest.raises(reading.WrongCode):
        reading.by_code(request.reference, factories.code_of(request), now=NOW)

"""The command `outbox` of a demo without a mail server: printing is its sending, and nothing ends before it was
printed."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings as site
from django.core.management import call_command
from django.test import override_settings

from accounts.models import Customer
from privacy import letters
from privacy.letters.models import Letter
from privacy.requests.models import Request
from privacy.requests.states import State
from tests import factories, pages, people
from tests.asked import NOW, confirmed, run, with_letters
from tests.beginnings import beginning
from tests.shapes import shaped

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(hours=1)
PROOF = "its row stays as proof that it was written."
PRINTED = f"What this letter said was burned after it was printed, which is its sending here; {PROOF}"
OVER = f"What this letter said was burned when its time was over, printed or not; {PROOF}"
ENDED = (
    "What this letter said was burned before its time, printed or not, with what it belonged to: a removal came, or a "
    f"sign-up was not confirmed; {PROOF}"
)


NO_MAIL, MAIL = (f"django.core.mail.backends.{name}.EmailBackend" for name in ("dummy", "locmem"))


@pytest.fixture(autouse=True)
def _demo(settings: Any) -> None:
    settings.DEMO = True
    settings.EMAIL_BACKEND = NO_MAIL


@beginning
def removal() -> Request:
    """Carried out in a demo without a mail server."""
    with override_settings(DEMO=True, EMAIL_BACKEND=NO_MAIL):
        request = confirmed(people.an_alice())
        run(request)
        return request


@beginning
def mailed_removal() -> Request:
    with override_settings(DEMO=True, EMAIL_BACKEND=MAIL):
        request = confirmed(people.an_alice())
        run(request)
        return request


def outbox(*words: str) -> str:
    out = io.StringIO()
    with time_machine.travel(LATER, tick=False):
        call_command("outbox", *words, stdout=out)
    return out.getvalue()


def test_the_answer_to_a_removal_is_printed_once_and_then_erased(removal: Request) -> None:
    request = removal
    assert request.state == State.CLOSED
    text = outbox("--last", "20")
    assert "[erasure_done] to alice@example.com: Your data was removed" in text
    assert "[acknowledgement] to alice@example.com: " in text
    assert "removed from our records once it is printed, or a week old, as this demo sends no mail" in text
    assert not Letter.objects.filter(request=request).exclude(sealed_letter=None).exists()
    again = outbox("--last", "20")
    assert f"[erasure_done] {PRINTED}" in again and "alice@example.com" not in again and "the post" not in again


def test_what_was_not_printed_ends_after_a_week_and_bobs_letters_stay(alice: Customer, bob: Customer) -> None:
    request = confirmed(alice)
    bobs = confirmed(bob, "access")
    run(request)
    with_letters(NOW + timedelta(days=6, hours=23))
    assert Letter.objects.filter(request=request).exclude(sealed_letter=None).count() == 2
    with_letters(NOW + timedelta(days=7, minutes=5))
    assert not Letter.objects.filter(request=request).exclude(sealed_letter=None).exists()
    assert Letter.objects.filter(request=bobs).exclude(sealed_letter=None).exists()
    assert f"[erasure_done] {OVER}" in outbox("--last", "20")


def test_a_letter_that_a_removal_burned_before_it_was_printed_is_not_called_printed(alice: Customer) -> None:
    """Nobody printed it, its time was not over, and nothing was sent (a demo sends no mail)."""
    run(confirmed(alice, "access"))
    request = confirmed(alice)
    run(request)
    earlier = Letter.objects.filter(kind="copy_ready").get()
    assert earlier.request != request and earlier.sealed_letter is None
    assert f"[copy_ready] {ENDED}" in outbox("--last", "20")


def test_with_a_mail_server_the_text_goes_when_the_removal_closes(mailed_removal: Request, settings: Any) -> None:
    settings.EMAIL_BACKEND = MAIL
    request = mailed_removal
    assert not letters.is_read_by_outbox()
    assert not Letter.objects.filter(request=request).exclude(sealed_letter=None).exists()


def test_with_a_mail_server_it_says_that_a_letter_was_burned_after_it_was_sent(
    mailed_removal: Request, settings: Any
) -> None:
    settings.EMAIL_BACKEND = MAIL
    said = "What this letter said was burned after it was sent; its row stays as proof that it was written."
    assert f"[erasure_done] {said}" in outbox("--last", "20")


def test_for_programs_it_prints_the_same_and_that_is_the_sending_as_well(removal: Request) -> None:
    first, second = (shaped("outbox", json.loads(outbox("--last", "20", "--json")))["letters"] for _ in range(2))
    was, now = (next(one for one in of if one["kind"] == "erasure_done") for of in (first, second))
    assert (was["to"], was["readable"], was["burned"]) == ("alice@example.com", True, False)
    assert (now["to"], now["text"], now["readable"], now["burned"]) == ("", "", False, True)


def test_without_letters_it_says_so(db: None) -> None:
    assert outbox() == "There is no letter.\n"


def test_a_reader_who_has_read_enough_gets_no_traceback() -> None:
    code = "import sys; sys.argv = ['manage.py', 'help']; import manage; manage.main()"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=site.BASE_DIR, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("has_server", [False, True], ids=["no mail server", "a mail server"])
def test_no_page_calls_a_letter_sent_that_only_waits_to_be_printed(
    alice: Customer, settings: Any, has_server: bool
) -> None:
    if has_server:
        settings.EMAIL_BACKEND = MAIL
    with time_machine.travel(NOW, tick=False):
        request = confirmed(alice, "access")
        run(request)
        carol = pages.signed_in(factories.staff("carol", roles=("privacy",)))
        page = f"/admin/privacy/request/{request.pk}/"
        carol.post(f"{page}why/", {"reason": "called"})
        shown = carol.get(f"{page}change/").text
        alices = pages.signed_in(alice.user, again=True)
        own, held = (alices.get(url).text for url in (f"/privacy/requests/{request.pk}/", "/privacy/held/"))
    assert ("<td>sent</td>" in shown) is has_server
    row = next(
        one for one in re.findall(r"<tr>.*?</tr>", shown, re.DOTALL) if "outbox; no mail" in one or "<td>sent" in one
    )
    assert row.count("2026") == (2 if has_server else 1), "when it was written, and when it was sent where it was"
    assert ("posted, or kept for the command outbox; this demo sends no mail" in held) is not has_server
    assert ("kept for the demo&#x27;s outbox; no mail was sent" in shown) is not has_server
    assert ("The answer has gone out." in own) is has_server
    # What is answered has no step "Answer sent – Not yet": what it waits for is said, on both pages.
    steps = re.sub(r"<[^>]+>|\s+", " ", own.partition('<ol class="steps">')[2].partition("</ol>")[0])
    assert "Copy fetched or destroyed, or its week over" in shown and "Answer sent" not in own
    assert re.search(r"Answer written[^A-Z]*20 Nov.*Copy fetched or destroyed, or its week over\s+Not yet", steps), (
        steps
    )
    assert own.count("this demo sends no mail") == (0 if has_server else 1)
    assert ("this demo sends no mail" in own) is not has_server

"""The sealed outbox: each letter exists once, goes out at most once, and tells no log to whom."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from smtplib import SMTPRecipientsRefused
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.db import connections

from privacy import audit, letters, vault
from privacy.gate.system import system
from privacy.letters import sending
from privacy.letters.models import Letter
from privacy.requests import posting, writing
from tests.asked import NOW, OPERATOR, filed, with_letters


def message(
    to: str = "alice@example.com", subject: str = "Confirm", text: str = "Your code is 123456."
) -> EmailMultiAlternatives:
    found = EmailMultiAlternatives(subject, text, to=[to], bcc=["spy@example.com"], headers={"X-Other": "1"})
    found.attach_alternative("<p>Your code is 123456.</p>", "text/html")
    found.attach_alternative("BEGIN:VCALENDAR", "text/calendar")
    return found


class Broken:
    """A mail server that refuses an address, as smtplib tells it."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def send_messages(self, messages: list[Any]) -> int:
        raise SMTPRecipientsRefused({messages[0].to[0]: (550, b"no such user")})


def test_a_letter_is_sealed_until_it_goes_out_once(db, outbox) -> None:
    letters.queue_message(message(), "login:1", now=NOW)
    row = Letter.objects.values().get()
    assert b"alice" not in bytes(row["sealed_letter"]) and "alice" not in str(
        {k: v for k, v in row.items() if k != "sealed_letter"}
    )
    assert with_letters(NOW) == 1 and with_letters(NOW + timedelta(days=1)) == 0
    (sent,) = outbox
    assert (sent.to, sent.subject, sent.bcc) == (["alice@example.com"], "Confirm", [])
    assert "X-Other" not in sent.extra_headers and str(row["id"]) in sent.extra_headers["Message-ID"]
    assert [mimetype for _, mimetype in sent.alternatives] == ["text/html"]


def test_the_same_key_is_the_same_letter(db) -> None:
    first = letters.queue_message(message(), "login:1", now=NOW)
    second = letters.queue_message(message(text="Another text"), "login:1", now=NOW)
    assert first.pk == second.pk and Letter.objects.count() == 1
    assert str(first) == "letter message", "and names nobody"


@pytest.mark.parametrize("subject", ["Hello\nBcc: spy@example.com", "Hello\r\n\r\nbody", "A\x0bB\x0cC"])
def test_a_subject_line_adds_no_header(db, outbox, subject) -> None:
    letters.queue_message(message(subject="x"), "login:0", now=NOW)
    mail = message(subject="x")
    mail.subject = subject
    letters.queue_message(mail, "login:1", now=NOW)
    with_letters(NOW)
    sent = outbox[1].message()
    assert sent["Bcc"] is None and "\n" not in sent["Subject"]


@pytest.mark.parametrize("to", ["alice@example.com\nBcc: spy@example.com", "nobody", "a@b@c"])
def test_what_is_no_address_gets_no_letter(db, to) -> None:
    with pytest.raises(ValidationError):
        letters.queue_message(message(to=to), "login:1", now=NOW)
    assert not Letter.objects.exists()


def test_a_refused_address_is_tried_later_and_stands_in_no_log(db, settings, caplog) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Broken"
    letter = letters.queue_message(message(), "login:1", now=NOW)
    with caplog.at_level(logging.DEBUG):
        assert with_letters(NOW) == 0
    letter.refresh_from_db()
    assert (letter.attempts, letter.last_error, letter.sent_at) == (1, "SMTPRecipientsRefused", None)
    assert letter.next_attempt_at == NOW + timedelta(minutes=1)
    assert "alice" not in caplog.text and "no such user" not in caplog.text


def test_after_twenty_refusals_a_person_must_look_and_can_send_it_again(db, settings, outbox) -> None:
    working = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = f"{__name__}.Broken"
    letter = letters.queue_message(message(), "login:1", now=NOW)
    now = NOW
    for _ in range(25):
        with_letters(now)
        now += timedelta(hours=7)
    letter.refresh_from_db()
    assert letter.attempts == sending.MOST_ATTEMPTS and letter.next_attempt_at is None
    assert audit.history(record=("privacy.letter", letter.pk)).filter(action="letter.given_up").count() == 1
    settings.EMAIL_BACKEND = working
    letters.resend(letter, actor=OPERATOR, now=now)
    assert with_letters(now) == 1 and len(outbox) == 1
    with pytest.raises(letters.CannotSendAgain):
        letters.resend(letter, actor=OPERATOR, now=now)


def test_a_letter_whose_sender_died_is_not_repeated_by_itself(db, outbox) -> None:
    letter = letters.queue_message(message(), "login:1", now=NOW)
    Letter.objects.filter(pk=letter.pk).update(sending_at=NOW, attempts=1)
    assert with_letters(NOW + timedelta(hours=1)) == 0 and outbox == []
    with_letters(NOW + timedelta(hours=2))
    letter.refresh_from_db()
    assert letter.last_error == "interrupted"
    assert audit.history(record=("privacy.letter", letter.pk)).filter(action="letter.interrupted").count() == 1
    letters.resend(letter, actor=OPERATOR, now=NOW + timedelta(hours=3))
    assert with_letters(NOW + timedelta(hours=3)) == 1


def test_without_a_mail_server_letters_wait_and_only_a_demo_counts_them_as_sent(db, settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    settings.DEMO = False
    letter = letters.queue_message(message(), "login:1", now=NOW)
    assert with_letters(NOW) == 0
    letter.refresh_from_db()
    assert (letter.sent_at, letter.attempts) == (None, 0)
    settings.DEMO = True
    assert with_letters(NOW) == 1


def test_without_an_address_it_waits_for_the_post(db, outbox) -> None:
    letter = letters.queue("withdrawn", to="", context={}, key="x:1", now=NOW)
    assert letter.by == "post" and with_letters(NOW) == 0
    posting.mark_posted(letter, actor=OPERATOR, now=NOW)
    letter.refresh_from_db()
    assert letter.sent_at == NOW
    with pytest.raises(letters.CannotSendAgain):
        posting.mark_posted(letter, actor=OPERATOR, now=NOW)


def test_stopped_and_burnt_letters_say_nothing_any_more(alice) -> None:
    letter = letters.queue_message(message(), "login:1", now=NOW, subject=alice.subject_id)
    sealed = bytes(Letter.objects.values_list("sealed_letter", flat=True).get())
    assert letters.stop(alice.subject_id, now=NOW) == 1
    assert with_letters(NOW) == 0
    assert letters.burn(Letter.objects.filter(pk=letter.pk), now=NOW) == 1
    assert letters.burn(Letter.objects.filter(pk=letter.pk), now=NOW) == 1, "safe to repeat"
    Letter.objects.filter(pk=letter.pk).update(sealed_letter=sealed)  # as a restored backup would have it
    with system("letter"):
        burnt = Letter.objects.get(pk=letter.pk)
        assert isinstance(burnt.to, vault.Erased)
        letters.opened(burnt, actor=OPERATOR, now=NOW)
    assert not audit.history(record=("privacy.letter", letter.pk)).filter(action="letter.opened").exists()


class Away(Broken):
    """A mail server that does not answer."""

    def send_messages(self, messages: list[Any]) -> int:
        raise ConnectionRefusedError


def test_while_the_mail_server_does_not_answer_the_others_wait_untried(db, settings, outbox) -> None:
    working, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, f"{__name__}.Away"
    for number in (1, 2):
        letters.queue_message(message(), f"login:{number}", now=NOW)
    assert with_letters(NOW) == 0
    assert sorted(Letter.objects.values_list("attempts", "last_error")) == [(0, ""), (1, "ConnectionRefusedError")]
    settings.EMAIL_BACKEND = working
    assert with_letters(NOW + timedelta(seconds=29)) == 0 and outbox == []
    assert with_letters(NOW + timedelta(seconds=31)) == 1, "the other one has its minute"


@pytest.mark.parametrize("kind", ["access", "erasure"])
def test_every_letter_of_a_request_is_complete(alice, kind) -> None:
    request = filed(alice, kind)
    everything = {
        "received_on": NOW.date(), "merged": True, "expires_at": NOW, "several": True,
        "ground": "A ground.", "authority": "An authority.", "records": 1, "erased": [], "kept": [],
        "done_on": NOW, "file_until": NOW, "token_until": NOW, "backups_until": NOW, "recipients": ["carrier"],
        "reason": "A reason.", "words": "Some words.", "due_on": NOW.date(), "what": "fetched", "times": 2,
    }  # fmt: skip
    kinds = (
        "acknowledgement", "link_identity", "link_result", "not_identified", "plan_changed", "copy_ready", "copy_posted", "erasure_done",
        "refused", "withdrawn", "expired", "extended", "late", "not_you", "plan_ready", "plan_confirmed",
    )  # fmt: skip
    for one in kinds:
        gives = {"link": "https://portal.example/privacy/link/x/", "code": "CODE-CODE-CODE"}
        writing.queue(
            one, to="alice@example.com", context=everything, key=f"t:{one}", request=request, now=NOW, credentials=gives
        )  # fmt: skip
    with system("letter"):
        for letter in Letter.objects.filter(key__startswith="t:"):
            assert request.reference in letter.text and request.reference in letter.html
            assert "alice" not in letter.headline.lower() and letter.headline
            assert "{{" not in letter.text + letter.html and "{%" not in letter.text + letter.html
            assert "&amp;" not in letter.text and "&#x27;" not in letter.text


@pytest.mark.django_db(transaction=True)
def test_four_senders_send_it_once(outbox) -> None:
    letters.queue_message(message(), "login:1", now=NOW)
    barrier, sent = threading.Barrier(4), []

    def work() -> None:
        try:
            barrier.wait()
            sent.append(with_letters(NOW))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(sent) == 1 and len(outbox) == 1

"""The sealed outbox: every mail the product sends is written here first, and sent from here.

What must never happen: a letter that goes out twice, an address in a log, a mail to somebody who was erased
meanwhile. `key` makes a letter exist once. Sending marks the row before the attempt and after it: a process
killed in between leaves a letter of which nobody knows whether it went out; such a letter is never repeated
by itself, `interrupted` reports it and a person decides (`resend`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import formataddr
from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPSenderRefused
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.core.cache import cache
from django.core.mail import EmailMultiAlternatives
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.template.loader import render_to_string

from privacy import audit, mailbox, vault
from privacy.broken import Findings, is_everybodys
from privacy.gate.actor import Actor
from privacy.requests.models import Letter, Request

log = structlog.get_logger(__name__)

FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=6)
MOST_ATTEMPTS = 20
# Longer than any attempt can take (EMAIL_TIMEOUT, task_time_limit): a mark older than this belongs to a dead process.
INTERRUPTED_AFTER = timedelta(minutes=15)
# While the mail server does not answer nobody tries it: each try would hold a worker up for EMAIL_TIMEOUT.
AWAY, AWAY_FOR = "mail-server-away", timedelta(seconds=30)
ABOUT_ONE_LETTER = (SMTPRecipientsRefused, SMTPSenderRefused, SMTPDataError)


class CannotSendAgain(Exception):
    """The letter was sent, stopped or erased: there is nothing to repeat."""


def queue(
    kind: str,
    *,
    to: str,
    context: Mapping[str, Any],
    key: str,
    now: datetime,
    request: Request | None = None,
    subject: UUID | None = None,
) -> Letter:
    """Compose the letter `kind` from its templates, seal it, and leave it in the outbox; return it.

    A second call with the same `key` returns the first letter unchanged. Without an address the letter waits to be
    printed and posted. Raises ValidationError for something that is no address.
    """
    earlier = Letter.objects.filter(key=key).first()
    if earlier is not None:
        return earlier
    about = request.subject_id if request is not None and subject is None else subject
    everything = {"company": settings.COMPANY, "portal_url": settings.PORTAL_URL, "request": request, **context}
    headline, _, text = render_to_string(f"privacy/email/{kind}.txt", everything).strip().partition("\n")
    html = render_to_string(f"privacy/email/{kind}.html", {**everything, "headline": headline.strip()})
    return _put(
        kind,
        key,
        to=to,
        headline=headline,
        text=text.strip() + "\n",
        html=html,
        request=request,
        subject=about,
        now=now,
    )


def queue_message(
    message: EmailMultiAlternatives, key: str, *, now: datetime, kind: str = "message", subject: UUID | None = None
) -> Letter:
    """Put a mail that another program composed (allauth's) into the outbox, once per `key`; return the letter.

    Only the first recipient, the subject line, the text and an HTML alternative are taken: no other header
    of the message can leave. Raises ValidationError for something that is no address.
    """
    earlier = Letter.objects.filter(key=key).first()
    if earlier is not None:
        return earlier
    html = ""
    for alternative in getattr(message, "alternatives", None) or ():
        content, mimetype = alternative[0], alternative[1]
        if mimetype == "text/html":
            html = str(content)
    to = message.to[0] if message.to else ""
    return _put(
        kind,
        key,
        to=to,
        headline=str(message.subject),
        text=str(message.body),
        html=html,
        request=None,
        subject=subject,
        now=now,
    )


def _put(
    kind: str,
    key: str,
    *,
    to: str,
    headline: str,
    text: str,
    html: str,
    request: Request | None,
    subject: UUID | None,
    now: datetime,
) -> Letter:
    if to:
        mailbox.validate(to)
    letter = Letter(
        kind=kind,
        key=key,
        by=Letter.By.EMAIL if to else Letter.By.POST,
        request=request,
        subject_id=subject,
        queued_at=now,
        next_attempt_at=now if to else None,
        to=to,
        headline=" ".join(headline.split()),  # one line: nothing typed by anybody can add a header
        text=text,
        html=html,
    )
    try:
        with transaction.atomic():
            letter.save(force_insert=True)
    except IntegrityError:
        # Somebody queued the same letter at the same moment; theirs counts, our key is collected as an orphan.
        return Letter.objects.get(key=key)
    return letter


def due(*, now: datetime) -> QuerySet[Letter]:
    """Return the letters that wait to be sent by mail."""
    return Letter.objects.filter(
        by=Letter.By.EMAIL, sent_at=None, sending_at=None, stopped_at=None, next_attempt_at__lte=now
    ).order_by("next_attempt_at", "id")


def send_due(*, now: datetime, limit: int = 50) -> int:
    """Send what is due, report what was interrupted, and return how many letters went out.

    An installation without a mail server sends nothing: its letters wait, sealed. Only a demo counts them as sent.
    Once the server did not answer, the others wait for half a minute, untried.
    """
    report_interrupted(now=now)
    if settings.EMAIL_BACKEND.endswith("dummy.EmailBackend") and not settings.DEMO:
        return 0
    sent = 0
    for letter_id in list(due(now=now).values_list("pk", flat=True)[:limit]):
        if cache.get(AWAY, 0.0) > now.timestamp():
            break
        try:
            sent += send(letter_id, now=now)
        except Exception as error:  # this letter's row cannot be read or marked: the others go out all the same
            if is_everybodys(error):
                raise
            Findings().note("send", Letter.vault_label, letter_id, error)
            _put_off(letter_id, type(error).__name__, now)
    return sent


def _put_off(letter_id: UUID, error: str, now: datetime) -> None:
    """Let a letter whose row cannot be read wait for the longest time, so that it does not stand before the others."""
    Letter.objects.filter(pk=letter_id, sent_at=None).update(
        attempts=F("attempts") + 1, next_attempt_at=now + LONGEST_RETRY, last_error=error[:100]
    )


def send(letter_id: UUID, *, now: datetime) -> bool:
    """Send one letter if it is due and nobody else is sending it; return whether it went out."""
    with transaction.atomic():
        letter = due(now=now).select_for_update(skip_locked=True).filter(pk=letter_id).first()
        if letter is None:
            return False
        letter.sending_at = now
        letter.attempts += 1
        letter.save(update_fields=["sending_at", "attempts"])
    try:
        _message(letter).send()
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, ABOUT_ONE_LETTER):
            cache.set(AWAY, (now + AWAY_FOR).timestamp(), timeout=2 * AWAY_FOR.total_seconds())
        _failed(letter, type(error).__name__, now)
        return False
    Letter.objects.filter(pk=letter.pk).update(sent_at=now, sending_at=None, next_attempt_at=None, last_error="")
    # A request that only waits for its answer to go out need not wait longer.
    Request.objects.filter(letters=letter, step="close", attempts=0).update(next_action_at=now)
    log.info("letter.sent", letter=str(letter.pk), kind=letter.kind, attempts=letter.attempts)
    return True


class Unopened(Exception):
    """The letter cannot be opened: its key is gone or out of reach."""


def _message(letter: Letter) -> EmailMultiAlternatives:
    """Open the letter and build the mail. Raises Unopened."""
    to, headline, text, html = letter.to, letter.headline, letter.text, letter.html
    if any(isinstance(part, vault.Unreadable) for part in (to, headline, text, html)):
        raise Unopened
    host = settings.PORTAL_HOST
    message = EmailMultiAlternatives(
        subject=headline,
        body=text,
        from_email=formataddr((settings.COMPANY["name"], settings.DEFAULT_FROM_EMAIL)),
        to=[to],
        # The same for every attempt, so that the receiving side can recognise a repetition.
        headers={"Message-ID": f"<{letter.pk}@{host}>", "Auto-Submitted": "auto-generated"},
    )
    if html:
        message.attach_alternative(html, "text/html")
    return message


def _failed(letter: Letter, error: str, now: datetime) -> None:
    """Put a letter back for a later attempt, twice as late each time; after MOST_ATTEMPTS a person must look."""
    wait = min(FIRST_RETRY * 2 ** (letter.attempts - 1), LONGEST_RETRY)
    again = now + wait if letter.attempts < MOST_ATTEMPTS else None
    Letter.objects.filter(pk=letter.pk).update(sending_at=None, next_attempt_at=again, last_error=error[:100])
    log.warning("letter.failed", letter=str(letter.pk), kind=letter.kind, attempts=letter.attempts, error=error)
    if again is None:
        audit.record(
            "letter.given_up",
            actor=None,
            now=now,
            subject=letter.subject_id,
            record=(Letter.vault_label, letter.pk),
            reason=error,
        )


def report_interrupted(*, now: datetime) -> int:
    """Mark letters whose sender died in the middle, with an audit event each; return how many. They are not repeated."""
    dead = Letter.objects.filter(sent_at=None, stopped_at=None, sending_at__lt=now - INTERRUPTED_AFTER).exclude(
        last_error="interrupted"
    )
    count = 0
    for letter in dead.only("pk", "subject_id")[:100]:
        with transaction.atomic():
            count += (
                Letter.objects.filter(pk=letter.pk)
                .exclude(last_error="interrupted")
                .update(last_error="interrupted", next_attempt_at=None)
            )
            audit.record(
                "letter.interrupted",
                actor=None,
                now=now,
                subject=letter.subject_id,
                record=(Letter.vault_label, letter.pk),
            )
    return count


def resend(letter: Letter, *, actor: Actor, now: datetime) -> None:
    """Send a letter again that was interrupted or given up, by a person's decision. Raises CannotSendAgain."""
    with transaction.atomic():
        again = Letter.objects.filter(pk=letter.pk, sent_at=None, stopped_at=None, by=Letter.By.EMAIL).update(
            sending_at=None, next_attempt_at=now, attempts=0, last_error=""
        )
        if not again:
            raise CannotSendAgain
        audit.record(
            "letter.resend", actor=actor, now=now, subject=letter.subject_id, record=(Letter.vault_label, letter.pk)
        )


def mark_posted(letter: Letter, *, actor: Actor, now: datetime) -> None:
    """Record that staff printed and posted a letter. Raises CannotSendAgain when it was not waiting for that."""
    with transaction.atomic():
        posted = Letter.objects.filter(pk=letter.pk, sent_at=None, stopped_at=None, by=Letter.By.POST).update(
            sent_at=now
        )
        if not posted:
            raise CannotSendAgain
        audit.record(
            "letter.posted", actor=actor, now=now, subject=letter.subject_id, record=(Letter.vault_label, letter.pk)
        )


def stop(subject: UUID, *, now: datetime, but: Request | None = None) -> int:
    """Stop every unsent letter to `subject` except those about the request `but`; return how many (Art. 17, 21)."""
    unsent = Letter.objects.filter(subject_id=subject, sent_at=None, stopped_at=None, sending_at=None)
    if but is not None:
        unsent = unsent.exclude(request=but)
    return unsent.update(stopped_at=now, next_attempt_at=None)


def burn(letters: QuerySet[Letter], *, now: datetime) -> int:
    """Destroy what letters say and to whom they went; their rows stay as proof that something was sent. Return how many.

    Safe to repeat. The keys go first: they are what makes the text unreadable, in backups too.
    """
    ids = list(letters.values_list("pk", flat=True))
    if not ids:
        return 0
    vault.keys.destroy([(one, "letter") for one in ids], now=now)
    Letter.objects.filter(pk__in=ids).update(sealed_letter=None, subject=None)
    Letter.objects.filter(pk__in=ids, sent_at=None, stopped_at=None).update(stopped_at=now, next_attempt_at=None)
    return len(ids)

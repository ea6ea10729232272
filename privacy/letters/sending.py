"""Send by mail what waits in the outbox.

What must never happen: a letter that goes out twice, an address in a log, a mail to somebody who was erased
meanwhile. Sending marks the row before the attempt and after it: a process killed in between leaves a letter of
which nobody knows whether it went out; such a letter is never repeated by itself, `report_interrupted` reports it
and a person decides (`resend`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from email.utils import formataddr
from smtplib import SMTPDataError, SMTPRecipientsRefused, SMTPSenderRefused
from uuid import UUID

import structlog
from django.conf import settings
from django.core.cache import cache
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Least

from privacy import audit, vault
from privacy.actor import Actor, require_another
from privacy.calendar import undated
from privacy.letters import credentials, earlier
from privacy.letters.credentials import INTERRUPTED_AFTER, given
from privacy.letters.models import Letter
from privacy.work import apart
from privacy.work.broken import Findings, require_own, spared

log = structlog.get_logger(__name__)

FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=6)
MOST_ATTEMPTS = 20
# While the mail server does not answer nobody tries it: each try would hold a worker up for EMAIL_TIMEOUT.
AWAY, AWAY_FOR = "mail-server-away", timedelta(seconds=30)
# What the audit tells of a letter that went out; and of one that can go out no more, which is no sending.
SENT, POSTED, LAPSED = "letter.sent", "letter.posted", "letter.lapsed"
ABOUT_ONE_LETTER = (SMTPRecipientsRefused, SMTPSenderRefused, SMTPDataError)


class CannotSendAgain(Exception):
    """The letter was sent, stopped or erased: there is nothing to repeat."""


class Unopened(Exception):
    """The letter cannot be opened: its key is gone or out of reach."""


class CredentialsGone(Exception):
    """What the letter gives was destroyed: it went out, was stopped or lapsed, whatever a restored row says."""


def due(*, now: datetime) -> QuerySet[Letter]:
    """Return the letters that wait to be sent by mail."""
    return Letter.objects.filter(
        by=Letter.By.EMAIL, sent_at=None, sending_at=None, stopped_at=None, next_attempt_at__lte=now, is_apart=True
    ).order_by("next_attempt_at", "id")


def send_due(*, now: datetime, limit: int = 50) -> list[UUID]:
    """Send what is due, report what was interrupted, and return the letters that went out.

    An installation without a mail server sends nothing: its letters wait, sealed. Only a demo counts them as sent.
    Once the server did not answer, the others wait for half a minute, untried.
    """
    done = apart.each(
        interrupted=lambda: report_interrupted(now=now),
        set_apart=earlier.set_apart,
        lapsed=lambda: credentials.end_lapsed(now=now),
        outbox=lambda: _send_waiting(now, limit),
    )
    return list(done["outbox"])


def _send_waiting(now: datetime, limit: int) -> list[UUID]:
    if has_no_mail_server() and not settings.DEMO:
        return []
    sent: list[UUID] = []
    for letter_id in due(now=now).values_list("pk", flat=True).iterator():
        if limit <= 0 or cache.get(AWAY, 0.0) > now.timestamp():
            break
        limit -= 1
        try:
            if send(letter_id, now=now):
                sent.append(letter_id)
        except Exception as error:  # this letter's row cannot be read or marked: the others go out all the same
            require_own(error)
            Findings().note("send", Letter.vault_label, letter_id, error)
            try:
                _put_off(letter_id, type(error).__name__, now)
            except Exception as other:  # nor written: it stands first each time, and takes nobody's turn
                require_own(other)
                limit += 1
    return sent


def _put_off(letter_id: UUID, error: str, now: datetime) -> None:
    """Let a letter whose row cannot be read wait for the longest time, so that it does not stand before the others."""
    with transaction.atomic():
        Letter.objects.filter(pk=letter_id, sent_at=None).update(
            attempts=Least(F("attempts"), MOST_ATTEMPTS) + 1,
            next_attempt_at=now + LONGEST_RETRY,
            last_error=error[:100],
        )


def has_no_mail_server() -> bool:
    """Say whether mail leaves this machine nowhere; a demo without a server shows it by its command `outbox`."""
    return bool(settings.EMAIL_BACKEND.endswith("dummy.EmailBackend"))


def is_read_by_outbox() -> bool:
    """Say whether letters reach nobody but through the command `outbox`: in a demo without a mail server."""
    return bool(settings.DEMO) and has_no_mail_server()


def word_for_gone(letter: Letter) -> str:
    """Return how a letter that counts as sent went out: a demo without a mail server only keeps it for `outbox` to
    print."""
    if letter.by == Letter.By.POST:
        return "posted"
    return "kept for the demo's outbox; no mail was sent" if is_read_by_outbox() else "sent"


def went_at(letters: Collection[UUID]) -> dict[UUID, datetime]:
    """Return of these letters, where the audit tells that they were sent or posted, when that was first: a day to wait
    for is never taken from the rows, which anybody may write who can write to the table. One query."""
    records = {pk: (Letter.vault_label, pk) for pk in letters}
    told = audit.first_at([SENT, POSTED], list(records.values()))
    return {pk: told[record] for pk, record in records.items() if record in told}


def sent_at(letter: Letter) -> datetime | None:
    """Return when a letter was sent or posted, None for one that a demo without a mail server keeps for `outbox`."""
    return None if letter.by == Letter.By.EMAIL and is_read_by_outbox() else letter.sent_at


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
    except CredentialsGone:
        with transaction.atomic():
            credentials.stop_unsendable([letter.pk], now)
        return False
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, ABOUT_ONE_LETTER):
            cache.set(AWAY, (now + AWAY_FOR).timestamp(), timeout=2 * AWAY_FOR.total_seconds())
        _failed(letter, type(error).__name__, now)
        return False
    with transaction.atomic():
        Letter.objects.filter(pk=letter.pk).update(sent_at=now, sending_at=None, next_attempt_at=None, last_error="")
        if not is_read_by_outbox():  # there they wait to be printed (`printed`)
            credentials.end_only([letter.pk], now)
        _note_sent(letter, now)
    log.info("letter.sent", letter=str(letter.pk), kind=letter.kind, attempts=letter.attempts)
    return True


def _note_sent(letter: Letter, now: datetime) -> None:
    """Let the audit tell that a letter went out, in the caller's transaction: the column is anybody's who can write to
    the table."""
    audit.record(SENT, actor=None, now=now, subject=letter.subject_id, record=(Letter.vault_label, letter.pk))


def note_gone_before(letters: QuerySet[Letter], *, now: datetime) -> int:
    """Let the audit tell of those of these letters that went out by their rows, and of which it does not tell: the
    version before wrote no such line about mail. Return how many.

    In the caller's transaction, once in the life of an installation (privacy.vault.keystore.once).
    """
    sent = [one for one in undated.each(letters.filter(sent_at__isnull=False)) if not undated.is_none(one.sent_at)]
    told = went_at([one.pk for one in sent])
    untold = [one for one in sent if one.pk not in told]
    for one in untold:
        _note_sent(one, min(one.sent_at or now, now))
    return len(untold)


def _message(letter: Letter) -> EmailMultiAlternatives:
    """Open the letter and build the mail. Raises Unopened, CredentialsGone."""
    to, headline, (text, html), gives = letter.to, letter.headline, given(letter), letter.credentials
    if any(isinstance(part, vault.Unreadable) for part in (to, headline, text, html)):
        raise Unopened
    if not isinstance(gives, dict):
        if vault.keys.is_destroyed(letter.pk, credentials.CREDENTIALS):
            raise CredentialsGone
        # It cannot be read just now, its key is not in the key store, or it was taken out of its row.
        if isinstance(gives, vault.Unreadable) or vault.keys.living([(letter.pk, credentials.CREDENTIALS)]):
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
    wait = min(FIRST_RETRY * 2 ** min(letter.attempts - 1, MOST_ATTEMPTS), LONGEST_RETRY)
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
    """Mark letters whose sender died in the middle, with an audit event each; return how many. They are not
    repeated."""
    dead = Letter.objects.filter(sent_at=None, stopped_at=None, sending_at__lt=now - INTERRUPTED_AFTER).exclude(
        last_error="interrupted"
    )

    def report(letters: Sequence[Letter]) -> int:
        with transaction.atomic():
            numbers = [one.pk for one in letters]
            Letter.objects.filter(pk__in=numbers).update(last_error="interrupted", next_attempt_at=None)
            for letter in letters:
                audit.record(
                    "letter.interrupted",
                    actor=None,
                    now=now,
                    subject=letter.subject_id,
                    record=(Letter.vault_label, letter.pk),
                )
        return len(letters)

    if not dead.exists():  # almost always: no transaction for it
        return 0
    with transaction.atomic():
        # One that another worker reports now, or whose sender is ending after all, is left to that one.
        found = list(dead.order_by("pk").select_for_update(skip_locked=True).only("pk", "subject_id")[:100])
        step, label, findings = "interrupted", Letter.vault_label, Findings()
        return sum(spared(found, report, step=step, label=label, findings=findings, number=lambda one: one.pk))


def resend(letter: Letter, *, actor: Actor, now: datetime) -> None:
    """Send a letter again that was interrupted or given up, by a person's decision. Raises CannotSendAgain,
    AboutYourself for the person whom it is for."""
    require_another(actor, about=letter.people)
    with transaction.atomic():
        again = Letter.objects.filter(pk=letter.pk, sent_at=None, stopped_at=None, by=Letter.By.EMAIL).update(
            sending_at=None, next_attempt_at=now, attempts=0, last_error=""
        )
        if not again:
            raise CannotSendAgain
        audit.record(
            "letter.resend", actor=actor, now=now, subject=letter.subject_id, record=(Letter.vault_label, letter.pk)
        )


def printed(letter: Letter, *, now: datetime) -> None:
    """Record that a demo's `outbox` has shown a mail: nothing else sends it there, so that is its only showing."""
    with transaction.atomic():
        went = Letter.objects.filter(pk=letter.pk, by=Letter.By.EMAIL, sent_at=None, stopped_at=None).update(
            sent_at=now, sending_at=None, next_attempt_at=None, last_error=""
        )
        if went:
            _note_sent(letter, now)
        credentials.end_only([letter.pk], now)

"""The sealed outbox: every mail the product sends is written here first, and sent from here.

What must never happen: a letter that goes out twice, an address in a log, a mail to somebody who was erased
meanwhile. `key` makes a letter exist once. Sending marks the row before the attempt and after it: a process
killed in between leaves a letter of which nobody knows whether it went out; such a letter is never repeated
by itself, `interrupted` reports it and a person decides (`resend`).

Nor may a stored letter open anything: whoever reads it (What we hold, a copy, a colleague, a backup) must not be able
to act as the person. So links, codes and keys never stand in the text, which holds words in their place (`placeholder`);
they wait in the envelope `credentials`, which only the sender, the view that prints and a demo's `outbox` open, and
whose key is destroyed together with the mark that the letter is sent, posted, stopped, or lapsed (design 9).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
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
from django.utils.html import escape

from privacy import audit, people, vault
from privacy.actor import Actor
from privacy.calendar import company_day
from privacy.requests import authorities, history
from privacy.requests.models import Letter, Request, State
from privacy.typed import mailbox
from privacy.work.broken import Findings, is_everybodys

log = structlog.get_logger(__name__)

FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=6)
MOST_ATTEMPTS = 20
# Longer than any attempt can take (EMAIL_TIMEOUT, task_time_limit): a mark older than this belongs to a dead process.
INTERRUPTED_AFTER = timedelta(minutes=15)
# While the mail server does not answer nobody tries it: each try would hold a worker up for EMAIL_TIMEOUT.
AWAY, AWAY_FOR = "mail-server-away", timedelta(seconds=30)
ABOUT_ONE_LETTER = (SMTPRecipientsRefused, SMTPSenderRefused, SMTPDataError)
# How long a link or code waits for its letter to go out when the caller names no earlier end (schedule.toml, credentials).
CREDENTIALS = "credentials"  # the envelope
CREDENTIALS_WAIT = timedelta(days=90)
# How long a letter that a demo's `outbox` has not printed stays readable after its request is closed.
UNPRINTED = timedelta(days=7)
SHORTEST_LOOKED_FOR = 12  # a code of six digits may stand in a text by chance
POSTED_CODE = "posted_code"  # the kind of letter that gives a code to prove who is asking
# Letters of one kind that one address gets in a day because somebody not signed in asked for them.
MOST_A_DAY = 5
NOT_YOU = "not_you"  # the kind of letter that says: it was not shown to be you, and this had gone out
# What asks the person to show who is asking.
ASKING = ("link_identity", "not_identified", "acknowledgement", POSTED_CODE)
SORTS = {"link": "a one-time link", "code": "a code", "key": "a key"}


class CannotSendAgain(Exception):
    """The letter was sent, stopped or erased: there is nothing to repeat."""


class CredentialInText(ValueError):
    """A link, code or key stands in the text to be stored. The message never repeats it."""


# Credentials ----------------------------------------------------------------------------------------------------------


def placeholder(name: str) -> str:
    """Return the words that stand in a stored letter for the credential `name`: "link", "code", "key", or "stop_link".

    What follows the last underscore says what it is. Raises KeyError for anything else.
    """
    which, _, sort = name.rpartition("_")
    detail = f" ({which.replace('_', ' ')})" if which else ""
    return f"[Here the letter gives {SORTS[sort]}{detail}; it is shown nowhere else and not kept.]"


def given(letter: Letter) -> tuple[Any, Any]:
    """Return text and html as they are given to the person: with the links and codes where the actor may open them.

    Without that right, or when they have ended, the words in their place stay; what cannot be opened stays Unreadable.
    """
    text, html = letter.text, letter.html
    values = letter.credentials
    if not isinstance(values, dict) or isinstance(text, vault.Unreadable) or isinstance(html, vault.Unreadable):
        return text, html
    for name, value in values.items():
        text = text.replace(placeholder(name), value)
        html = html.replace(placeholder(name), escape(value))
    return text, html


def on_paper(text: str) -> tuple[str, str]:
    """Return the address block with which the text of a posted letter begins, "" when none does, and the rest of the text.

    A block of an address ends with a place or a country; a paragraph ends with a sign.
    """
    first, _, rest = text.partition("\n\n")
    return (first, rest.strip()) if rest and "\n" in first and first[-1].isalnum() else ("", text)


def end_lapsed(*, now: datetime) -> int:
    """Destroy links and codes whose time is over, and stop the letters that never went out with them; return how many."""
    with transaction.atomic():
        lapsed = Letter.objects.select_for_update(skip_locked=True).filter(
            credentials_until__lte=now, sealed_credentials__isnull=False
        )
        # One that is just being sent is looked at again when its sender has ended.
        ids = list(lapsed.exclude(sending_at__gt=now - INTERRUPTED_AFTER).values_list("pk", flat=True)[:500])
        end_credentials(ids, now=now)
    return len(ids)


def end_credentials(ids: Sequence[UUID], *, now: datetime) -> None:
    """Destroy what these letters give, in the caller's transaction, and stop those that have not gone out with it."""
    _stop_unsendable(ids, now)
    _end_credentials(ids, now)


def _end_credentials(ids: Iterable[UUID], now: datetime) -> None:
    """Destroy what these letters give, in the caller's transaction: the key first, as in every erasure."""
    sealed = list(
        Letter.objects.filter(pk__in=list(ids), sealed_credentials__isnull=False).values_list("pk", flat=True)
    )
    if sealed:
        vault.keys.destroy([(one, CREDENTIALS) for one in sealed], now=now)
        Letter.objects.filter(pk__in=sealed).update(sealed_credentials=None)


def _stop_unsendable(ids: Iterable[UUID], now: datetime) -> None:
    """Stop letters that can no longer give what they promise; each with an audit event."""
    waiting = Letter.objects.filter(sent_at=None, stopped_at=None)
    for letter in waiting.filter(pk__in=list(ids)).only("pk", "subject_id"):
        # Another worker may have sent or stopped it since it was read.
        if waiting.filter(pk=letter.pk).update(
            stopped_at=now, sending_at=None, next_attempt_at=None, last_error="lapsed"
        ):
            audit.record(
                "letter.lapsed", actor=None, now=now, subject=letter.subject_id, record=(Letter.vault_label, letter.pk)
            )


def within_cap(kind: str, to: str, *, now: datetime) -> bool:
    """Count one more letter of `kind` that somebody not signed in can cause, and say whether the address may get it today.

    Counted by a keyed name, so that the cache names nobody. Who asked is told nothing of it: the page is the same.
    """
    name = vault.index.token("letter.to", "cap", vault.index.normalise("email", to)).hex()
    key = f"letters:{kind}:{now:%Y%m%d}:{name}"
    cache.add(key, 0, timeout=2 * 24 * 3600)
    try:
        return bool(cache.incr(key) <= MOST_A_DAY)
    except ValueError:  # the entry went between the two calls: the cache is being emptied
        return True


# Writing --------------------------------------------------------------------------------------------------------------


def queue(
    kind: str,
    *,
    to: str,
    context: Mapping[str, Any],
    key: str,
    now: datetime,
    request: Request | None = None,
    subject: UUID | None = None,
    credentials: Mapping[str, str] | None = None,
    until: datetime | None = None,
) -> Letter:
    """Compose the letter `kind` from its templates, seal it, and leave it in the outbox; return it.

    `credentials` are the links (whole addresses), codes and keys it gives, by the name that the templates use for each
    (`{{ link }}`, `{{ code }}`, `{{ stop_link }}`): they get words in their place, and are filled in when the letter is
    sent or printed. `until` is when the last of them works no longer. A second call with the same `key` returns the first
    letter unchanged. Without an address the letter waits to be printed and posted. Raises ValidationError for something
    that is no address, CredentialInText.
    """
    earlier = Letter.objects.filter(key=key).first()
    if earlier is not None:
        return earlier
    about = request.subject_id if request is not None and subject is None else subject
    gives = {name: value for name, value in (credentials or {}).items() if value}
    everything = {
        "company": settings.COMPANY,
        "portal_url": settings.PORTAL_URL,
        "request": request,
        "complaint_to_us": authorities.to_us(request.country if request else ""),
        "where_to_complain": authorities.where_to(*((request.country, request.region) if request else ("",))),
        "is_overdue": request is not None and company_day(now) > request.due_on,
        **context,
        **{name: placeholder(name) for name in gives},
    }
    headline, _, text = render_to_string(f"privacy/email/{kind}.txt", everything).strip().partition("\n")
    html = render_to_string(f"privacy/email/{kind}.html", {**everything, "headline": headline.strip()})
    lines = [] if to else context.get("postal") or _postal(request, about, now)
    return _put(
        kind,
        key,
        to=to,
        headline=headline,
        text="\n".join([*lines, "", ""] if lines else []) + text.strip() + "\n",
        html=html,
        request=request,
        subject=about,
        now=now,
        credentials=gives,
        until=until,
    )


def _postal(request: Request | None, subject: UUID | None, now: datetime) -> list[str]:
    """Return the lines of the address block of a letter to be posted, [] when there is none; sealed into it at once."""
    with vault.internal():
        kept = request.outcome if request is not None else None
        lines = kept.get("postal") if isinstance(kept, dict) else None
        if not lines and subject is not None:
            lines = people.ask().postal(subject, now)
        elif not lines and request is not None and isinstance(request.requester_postal, str):
            lines = [one.strip() for one in request.requester_postal.splitlines() if one.strip()]
    if lines and request is not None and undelivered(request, lines):
        return []
    return list(lines or [])


def returned(request: Request, by: str) -> list[Letter]:
    """Return the letters about a request that came back from there: a mail that bounced, a letter that the post did not deliver."""
    noted = request.events.filter(kind=history.LETTER_RETURNED, detail__by=by).values_list("detail", flat=True)
    numbers = [one["letter"] for one in noted]
    return list(request.letters.filter(pk__in=numbers)) if numbers else []


def is_returned(letter: Letter) -> bool:
    """Say whether it was written down that a letter came back."""
    if letter.request is None:
        return False
    noted = letter.request.events.filter(kind=history.LETTER_RETURNED, detail__letter=str(letter.pk))
    return bool(noted.exists())


def bounced(request: Request, to: str) -> bool:
    """Say whether a mail of this request came back from this address; one that says no more where it went counts as such."""
    with vault.internal():  # compared only
        gone = [one.to for one in returned(request, Letter.By.EMAIL)]
    wanted = vault.index.normalise("email", to)
    return any(not isinstance(one, str) or vault.index.normalise("email", one) == wanted for one in gone)


def undelivered(request: Request, lines: Sequence[str]) -> bool:
    """Say whether a letter of this request came back from this postal address; one that says no more where it went counts as such."""
    with vault.internal():  # compared only
        gone = [one.text for one in returned(request, Letter.By.POST)]
    return any(not isinstance(one, str) or on_paper(one)[0] in ("", "\n".join(lines)) for one in gone)


def has_postal(request: Request, *, now: datetime) -> bool:
    """Say whether there is an address to which letters about a request can be posted."""
    return bool(_postal(request, request.subject_id, now))


def keep_postal(request: Request, *, now: datetime) -> None:
    """Keep in the file of the request where its answer is posted to: once the erasure has begun it is read nowhere else."""
    with vault.internal():
        kept = request.outcome
        lines = _postal(None, request.subject_id, now)
    if lines and isinstance(kept, dict) and kept.get("postal") != lines:
        request.outcome = {**kept, "postal": lines}
        request.save(update_fields=["outcome"])  # type: ignore[misc]  # a sealed field is no column


def queue_message(
    message: EmailMultiAlternatives,
    key: str,
    *,
    now: datetime,
    kind: str = "message",
    subject: UUID | None = None,
    credentials: Mapping[str, str] | None = None,
    until: datetime | None = None,
) -> Letter:
    """Put a mail that another program composed (allauth's) into the outbox, once per `key`; return the letter.

    Only the first recipient, the subject line, the text and an HTML alternative are taken: no other header
    of the message can leave. The text holds `placeholder(name)` for each of `credentials`. Raises ValidationError for
    something that is no address, CredentialInText.
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
        credentials=credentials or {},
        until=until,
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
    credentials: Mapping[str, str],
    until: datetime | None,
) -> Letter:
    if to:
        mailbox.validate(to)
    whole = f"{headline}\n{text}\n{html}"
    credentials = {name: value for name, value in credentials.items() if placeholder(name) in whole}
    if any(len(value) >= SHORTEST_LOOKED_FOR and value in whole for value in credentials.values()):
        raise CredentialInText(f"The letter {kind} would be stored with a link or code in its text.")
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
        credentials=dict(credentials) or None,
        credentials_until=min(until or now + CREDENTIALS_WAIT, now + CREDENTIALS_WAIT) if credentials else None,
    )
    try:
        with transaction.atomic():
            letter.save(force_insert=True)
    except IntegrityError:
        # Somebody queued the same letter at the same moment; theirs counts, our key is collected as an orphan.
        return Letter.objects.get(key=key)
    return letter


# Sending --------------------------------------------------------------------------------------------------------------


def due(*, now: datetime) -> QuerySet[Letter]:
    """Return the letters that wait to be sent by mail."""
    return Letter.objects.filter(
        by=Letter.By.EMAIL, sent_at=None, sending_at=None, stopped_at=None, next_attempt_at__lte=now, is_apart=True
    ).order_by("next_attempt_at", "id")


def send_due(*, now: datetime, limit: int = 50) -> int:
    """Send what is due, report what was interrupted, and return how many letters went out.

    An installation without a mail server sends nothing: its letters wait, sealed. Only a demo counts them as sent.
    Once the server did not answer, the others wait for half a minute, untried.
    """
    report_interrupted(now=now)
    set_apart()
    end_lapsed(now=now)
    if has_no_mail_server() and not settings.DEMO:
        return 0
    if is_read_by_outbox():
        end_unprinted(now=now)
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


def has_no_mail_server() -> bool:
    """Say whether mail leaves this machine nowhere; a demo without a server shows it by its command `outbox`."""
    return bool(settings.EMAIL_BACKEND.endswith("dummy.EmailBackend"))


def is_read_by_outbox() -> bool:
    """Say whether letters reach nobody but through the command `outbox`: in a demo without a mail server."""
    return bool(settings.DEMO) and has_no_mail_server()


def word_for_gone(letter: Letter) -> str:
    """Return how a letter that counts as sent went out: a demo without a mail server only keeps it for `outbox` to print."""
    if letter.by == Letter.By.POST:
        return "posted"
    return "kept for the demo's outbox; no mail was sent" if is_read_by_outbox() else "sent"


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
            _stop_unsendable([letter.pk], now)
        return False
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, ABOUT_ONE_LETTER):
            cache.set(AWAY, (now + AWAY_FOR).timestamp(), timeout=2 * AWAY_FOR.total_seconds())
        _failed(letter, type(error).__name__, now)
        return False
    with transaction.atomic():
        Letter.objects.filter(pk=letter.pk).update(sent_at=now, sending_at=None, next_attempt_at=None, last_error="")
        if not is_read_by_outbox():  # there they wait to be printed (`printed`)
            _end_credentials([letter.pk], now)
    # A request that only waits for its answer to go out need not wait longer.
    Request.objects.filter(letters=letter, step="close", attempts=0).update(next_action_at=now)
    log.info("letter.sent", letter=str(letter.pk), kind=letter.kind, attempts=letter.attempts)
    return True


class Unopened(Exception):
    """The letter cannot be opened: its key is gone or out of reach."""


class CredentialsGone(Exception):
    """What the letter gives was destroyed: it went out, was stopped or lapsed, whatever a restored row says."""


def _message(letter: Letter) -> EmailMultiAlternatives:
    """Open the letter and build the mail. Raises Unopened, CredentialsGone."""
    to, headline, (text, html), gives = letter.to, letter.headline, given(letter), letter.credentials
    if any(isinstance(part, vault.Unreadable) for part in (to, headline, text, html)):
        raise Unopened
    if letter.credentials_until is not None and not isinstance(gives, dict):
        if isinstance(gives, vault.Unreadable) and not isinstance(gives, vault.Erased):
            raise Unopened
        raise CredentialsGone
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
            # Another worker may have reported it since it was read, or its sender has ended after all.
            if not dead.filter(pk=letter.pk).update(last_error="interrupted", next_attempt_at=None):
                continue
            count += 1
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


def opened(letter: Letter, *, actor: Actor, now: datetime) -> None:
    """Record that somebody opens a letter to print it, each time; and with whom a link or code in it is known from then on.

    Who has had a link or code in hand decides about the request of it no more (`second.may_decide`). Whoever sees only what
    covers the text has seen nothing.
    """
    if isinstance(letter.text, vault.Unreadable):
        return
    with transaction.atomic():
        if letter.request is not None and isinstance(letter.credentials, dict):
            known = letter.request.events.filter(
                kind=history.CODE_SHOWN, actor_kind=actor.kind, actor_id=actor.id or ""
            )
            if not known.exists():
                history.event(letter.request, history.CODE_SHOWN, actor=actor, now=now)
        audit.record(
            "letter.opened", actor=actor, now=now, subject=letter.subject_id, record=(Letter.vault_label, letter.pk),
            reason=letter.kind, reference=letter.request.reference if letter.request is not None else "",
        )  # fmt: skip


def in_hand(numbers: Iterable[Any]) -> set[tuple[str, str]]:
    """Return which members of staff, (kind, id), opened one of these letters or marked it as posted; by the audit."""
    found = audit.doers(["letter.opened", "letter.posted"], [(Letter.vault_label, pk) for pk in numbers], kind="staff")
    return {("staff", who) for _, _, who in found}


def mark_posted(letter: Letter, *, actor: Actor, now: datetime) -> None:
    """Record that staff printed and posted a letter. Raises CannotSendAgain when it was not waiting for that.

    What follows for the request of it, `posting.mark_posted` does.
    """
    with transaction.atomic():
        posted = Letter.objects.filter(pk=letter.pk, sent_at=None, stopped_at=None, by=Letter.By.POST).update(
            sent_at=now
        )
        if not posted:
            raise CannotSendAgain
        _end_credentials([letter.pk], now)
        if letter.kind == POSTED_CODE and letter.request is not None:
            history.event(letter.request, history.CODE_POSTED, actor=actor, now=now)
        audit.record(
            "letter.posted", actor=actor, now=now, subject=letter.subject_id, record=(Letter.vault_label, letter.pk)
        )


def stop(subject: UUID, *, now: datetime, but: Request | None = None) -> int:
    """Stop every unsent letter to `subject` except those about the request `but`; return how many (Art. 17, 21)."""
    unsent = Letter.objects.filter(subject_id=subject, sent_at=None, stopped_at=None, sending_at=None)
    if but is not None:
        unsent = unsent.exclude(request=but)
    with transaction.atomic():
        ids = list(unsent.values_list("pk", flat=True))
        stopped = unsent.filter(pk__in=ids).update(stopped_at=now, next_attempt_at=None)
        _end_credentials(Letter.objects.filter(pk__in=ids, stopped_at=now).values_list("pk", flat=True), now)
    return stopped


def withhold(keys: Collection[str], *, now: datetime) -> None:
    """Stop those of these letters that have not gone out, with what they give, in the caller's transaction; audited."""
    waiting = Letter.objects.filter(key__in=keys, sent_at=None, stopped_at=None, sending_at=None)
    end_credentials(list(waiting.values_list("pk", flat=True)), now=now)


def end_unposted(request: Request, *, now: datetime, kinds: Collection[str] | None = None) -> None:
    """Stop what still waits to be posted about a request (of these kinds), with what it gives, in the caller's transaction.

    What comes next tells the person more than it does, or everything that it tells of is over. Not that something had gone out
    to somebody else: that is told in any case.
    """
    waiting = request.letters.filter(by=Letter.By.POST, sent_at=None, stopped_at=None).exclude(kind=NOT_YOU)
    if kinds is not None:
        waiting = waiting.filter(kind__in=kinds)
    end_credentials(list(waiting.values_list("pk", flat=True)), now=now)


def printed(letter: Letter, *, now: datetime) -> None:
    """Record that a demo's `outbox` has shown a mail: nothing else sends it there, so that is its only showing."""
    with transaction.atomic():
        Letter.objects.filter(pk=letter.pk, by=Letter.By.EMAIL, sent_at=None, stopped_at=None).update(
            sent_at=now, sending_at=None, next_attempt_at=None, last_error=""
        )
        _end_credentials([letter.pk], now)
        burn(_of_the_erased().filter(pk=letter.pk), now=now)


def burn_given(letters: QuerySet[Letter], *, now: datetime) -> int:
    """Burn letters that have gone out, and return how many; in a demo only those that waited long enough to be printed."""
    return burn(letters.filter(queued_at__lte=now - UNPRINTED) if is_read_by_outbox() else letters, now=now)


def end_unprinted(*, now: datetime) -> int:
    """Burn what a demo's `outbox` did not print in time of removals that are closed; return how many letters."""
    ids = list(_of_the_erased().filter(queued_at__lte=now - UNPRINTED).values_list("pk", flat=True)[:500])
    return burn(Letter.objects.filter(pk__in=ids), now=now)


def _of_the_erased() -> QuerySet[Letter]:
    # Elsewhere the last step of the removal has burned them already.
    return Letter.objects.filter(
        request__kind=Request.Kind.ERASURE,
        request__state=State.CLOSED,
        sent_at__isnull=False,
        sealed_letter__isnull=False,
    )


def burn(letters: QuerySet[Letter], *, now: datetime) -> int:
    """Destroy what letters say and to whom they went; their rows stay as proof that something was sent. Return how many.

    Safe to repeat. The keys go first: they are what makes the text unreadable, in backups too.
    """
    ids = list(letters.values_list("pk", flat=True))
    if not ids:
        return 0
    _end_credentials(ids, now)
    vault.keys.destroy([(one, "letter") for one in ids], now=now)
    Letter.objects.filter(pk__in=ids).update(sealed_letter=None, subject=None)
    Letter.objects.filter(pk__in=ids, sent_at=None, stopped_at=None).update(stopped_at=now, next_attempt_at=None)
    return len(ids)


# Letters of earlier versions ------------------------------------------------------------------------------------------

OLD_LINK = re.compile(
    r"https?://[^\s\"'<>]+/(?:privacy/link|account/contact/(?:confirm|not-me)|accounts/confirm-email|accounts/password/reset/key)/[^\s\"'<>]+"
)
OLD_CODE = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){2}\b")


def set_apart(*, limit: int = 100) -> int:
    """Take links and codes out of the text of letters that an earlier version wrote; return how many were done.

    In those sent or stopped they end; for those that wait they go into their own envelope. Each letter gets a new key, so
    that the old text opens in no backup. Done by `prepare` at an upgrade and before every sending; safe to repeat.
    """
    ids = list(Letter.objects.filter(is_apart=False).order_by("queued_at").values_list("pk", flat=True)[:limit])
    done = 0
    for letter_id in ids:
        try:
            with transaction.atomic():
                letter = Letter.objects.select_for_update(skip_locked=True).filter(pk=letter_id, is_apart=False).first()
                if letter is not None:
                    done += _take_out(letter)
        except Exception as error:  # this letter cannot be sealed again: the others are taken apart all the same
            if is_everybodys(error):
                raise
            Findings().note("set_apart", Letter.vault_label, letter_id, error)
    return done


def _take_out(letter: Letter) -> bool:
    gives: dict[str, str] = {}
    with vault.internal():  # shown to nobody
        text, html = letter.text, letter.html
        if isinstance(text, vault.KeyUnavailable) or isinstance(html, vault.KeyUnavailable):
            return False  # the key store is away: later
        if not isinstance(text, vault.Unreadable) and not isinstance(html, vault.Unreadable):
            for sort, pattern in (("link", OLD_LINK), ("code", OLD_CODE)):
                if sort == "code" and letter.kind != "acknowledgement":
                    continue
                for number, value in enumerate(dict.fromkeys(pattern.findall(text))):
                    name = sort if number == 0 else f"other_{sort}"
                    gives[name] = value
                    text = text.replace(value, placeholder(name))
                    html = html.replace(escape(value), placeholder(name)).replace(value, placeholder(name))
            letter.text, letter.html = text, html
        letter.is_apart = True
        fields = ["is_apart"]
        if gives:
            fields += ["text", "html"]
            if letter.sent_at is None and letter.stopped_at is None:
                letter.credentials, letter.credentials_until = gives, letter.queued_at + CREDENTIALS_WAIT
                fields += ["credentials", "credentials_until"]
        letter.save(update_fields=fields)
    return True

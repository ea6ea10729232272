"""Write a letter of any app into the sealed outbox, once.

What must never happen: the same letter twice, or a link or code in the text that is stored. `key` makes a letter exist
once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.core.mail import EmailMultiAlternatives
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string

from privacy import people, vault
from privacy.letters import plain, spellings
from privacy.letters.credentials import CREDENTIALS_WAIT, placeholder
from privacy.letters.models import Letter
from privacy.typed import mailbox

# Letters of one kind that one address gets in a day because somebody not signed in asked for them.
MOST_A_DAY = 5


class CredentialInText(ValueError):
    """A link, code or key stands in the text to be stored. The message never repeats it."""


def within_cap(kind: str, to: str, *, now: datetime) -> bool:
    """Count one more letter of `kind` that somebody not signed in can cause, and say whether the address may get it
    today.

    Counted by a keyed name, so that the cache names nobody. Who asked is told nothing of it: the page is the same.
    """
    name = vault.index.token("letter.to", "cap", vault.index.normalise("email", to)).hex()
    key = f"letters:{kind}:{now:%Y%m%d}:{name}"
    cache.add(key, 0, timeout=2 * 24 * 3600)
    try:
        return bool(cache.incr(key) <= MOST_A_DAY)
    except ValueError:  # the entry went between the two calls: the cache is being emptied
        return True


def queue(
    kind: str,
    *,
    to: str,
    context: Mapping[str, Any],
    key: str,
    now: datetime,
    subject: UUID | None = None,
    request: Any = None,
    postal: Sequence[str] | None = None,
    folder: str = "privacy/email",
    credentials: Mapping[str, str] | None = None,
    until: datetime | None = None,
) -> Letter:
    """Compose the letter `kind` from its template, seal it, and leave it in the outbox; return it.

    `credentials` are the links (whole addresses), codes and keys it gives, by the name that the templates use for each
    (`{{ link }}`, `{{ code }}`, `{{ stop_link }}`): they get words in their place, and are filled in when the letter is
    sent or printed. `until` is when the last of them works no longer. A second call with the same `key` returns the
    first letter unchanged. Without an address the letter waits to be printed and posted: to `postal`, the lines of an
    address, else to the one of the `subject` that counts. `folder` is where the app keeps its templates, `kind`.html:
    its headline is the subject line, and the text part is made from it; `request` the request that the letter is about,
    if there is one. Raises ValidationError for something that is no address, CredentialInText.
    """
    earlier = Letter.objects.filter(key=key).first()
    if earlier is not None:
        return earlier
    gives = {name: value for name, value in (credentials or {}).items() if value}
    everything = {
        "company": settings.COMPANY,
        "portal_url": settings.PORTAL_URL,
        **context,
        **{name: placeholder(name) for name in gives},
    }
    html = render_to_string(f"{folder}/{kind}.html", everything)
    headline, text = plain.read(html)
    lines = [] if to else _postal(subject, now) if postal is None else postal
    return _put(
        kind,
        key,
        to=to,
        headline=headline,
        text="\n".join([*lines, "", text] if lines else [text]),
        html=html,
        request=request,
        subject=subject,
        now=now,
        credentials=gives,
        until=until,
    )


def _postal(subject: UUID | None, now: datetime) -> list[str]:
    """Return the lines of the postal address of a person that counts, [] when there is none;
    sealed into the letter at once."""
    with vault.internal():
        return people.ask().postal(subject, now) if subject is not None else []


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
    request: Any,
    subject: UUID | None,
    now: datetime,
    credentials: Mapping[str, str],
    until: datetime | None,
) -> Letter:
    if to:
        mailbox.validate(to)
    # Looked for before those are dropped that the text has no place for: one of them may stand there as it is.
    if any(spellings.stands_in(value, headline, text, html) for value in credentials.values()):
        raise CredentialInText(f"The letter {kind} would be stored with a link or code in its text.")
    headline, text, html = (spellings.without_addresses(part) for part in (headline, text, html))
    whole = f"{headline}\n{text}\n{html}"
    credentials = {name: value for name, value in credentials.items() if placeholder(name) in whole}
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

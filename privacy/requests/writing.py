"""What we write to a person about a request: with the clock, the places to complain at, and the address that counts.

What must never happen: a letter about a request that goes where one of it came back from, or one that waits to be
posted beside another that says more. The outbox itself is `privacy.letters`, which knows no requests.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from privacy import letters, people, vault
from privacy.calendar import company_day
from privacy.letters.models import Letter
from privacy.letters.stopping import UNPRINTED
from privacy.requests import authorities, doubt, history, procedures
from privacy.requests.models import Request, RequestEvent
from privacy.requests.states import State
from privacy.work import apart

POSTED_CODE = "posted_code"  # the kind of letter that gives a code to prove who is asking
NOT_YOU = "not_you"  # the kind of letter that says: it was not shown to be you, and this had gone out
# What asks the person to show who is asking.
ASKING = ("link_identity", "not_identified", history.ACKNOWLEDGEMENT, POSTED_CODE)


def was_asked(request: Request) -> bool:
    """Say whether the audit tells that a letter went out which asks the person to show who is asking."""
    asking = request.letters.filter(kind__in=ASKING).values_list("pk", flat=True)
    return bool(letters.went_at(list(asking)))


def queue(
    kind: str,
    *,
    to: str,
    context: Mapping[str, Any],
    key: str,
    request: Request,
    now: datetime,
    postal: Sequence[str] = (),
    credentials: Mapping[str, str] | None = None,
    until: datetime | None = None,
) -> Letter:
    """Leave a letter about a request in the outbox, once per `key`, with what all of them say; return it
    (letters.queue).

    Without an address it waits to be printed and posted: to `postal`, the lines of an address, else to the postal
    address of the person, or the one the request came from. One about a request in doubt is the letter of whom the key
    store says that the request is.
    """
    subject = doubt.person_of(request)
    told = {
        "request": request,
        "complaint_to_us": authorities.to_us(request.country),
        "where_to_complain": authorities.where_to(request.country, request.region),
        "is_overdue": company_day(now) > request.due_on,
    }
    return letters.queue(
        kind,
        to=to,
        context={**told, **context},
        key=key,
        now=now,
        subject=subject,
        request=request,
        postal=[] if to else postal or _postal(request, subject, now),
        credentials=credentials,
        until=until,
    )


def _postal(request: Request, subject: UUID | None, now: datetime) -> list[str]:
    """Return the lines of the address to which a letter about a request of this person is posted, [] when there is
    none."""
    with vault.internal():
        kept = request.outcome
        lines = kept.get("postal") if isinstance(kept, dict) else None
        if not lines and subject is not None:
            lines = people.ask().postal(subject, now)
        elif not lines and isinstance(request.requester_postal, str):
            lines = [one.strip() for one in request.requester_postal.splitlines() if one.strip()]
    return [] if not lines or undelivered(request, lines) else list(lines)


def has_postal(request: Request, *, now: datetime) -> bool:
    """Say whether there is an address to which letters about a request can be posted."""
    return bool(_postal(request, doubt.person_of(request), now))


def keep_postal(request: Request, *, now: datetime) -> None:
    """Keep in the file of the request where its answer is posted to: once the erasure has begun it is read nowhere
    else."""
    with vault.internal():
        kept = request.outcome
        lines = people.ask().postal(request.subject_id, now) if request.subject_id is not None else []
    if lines and isinstance(kept, dict) and kept.get("postal") != lines:
        request.outcome = {**kept, "postal": lines}
        request.save(update_fields=["outcome"])  # type: ignore[misc]  # a sealed field is no column


# What came back -------------------------------------------------------------------------------------------------------


def returned(request: Request, by: str) -> list[Letter]:
    """Return the letters about a request that came back from there: a mail that bounced, a letter
    that the post did not deliver."""
    noted = history.details(request, history.LETTER_RETURNED)
    numbers = {str(one.get("letter")) for one in noted if one.get("by") == by}
    return [one for one in request.letters.all() if str(one.pk) in numbers] if numbers else []


def is_returned(letter: Letter) -> bool:
    """Say whether it was written down that a letter came back."""
    returned = RequestEvent.objects.filter(request=letter.request_id, kind=history.LETTER_RETURNED)
    return returned.filter(detail__letter=str(letter.pk)).exists()


def bounced(request: Request, to: str) -> bool:
    """Say whether a mail of this request came back from this address; one that says no more where it went counts as
    such."""
    with vault.internal():  # compared only
        gone = [one.to for one in returned(request, Letter.By.EMAIL)]
    wanted = vault.index.normalise("email", to)
    return any(not isinstance(one, str) or vault.index.normalise("email", one) == wanted for one in gone)


def undelivered(request: Request, lines: Sequence[str]) -> bool:
    """Say whether a letter of this request came back from this postal address; one that says no more
    where it went counts as such."""
    with vault.internal():  # compared only
        gone = [one.text for one in returned(request, Letter.By.POST)]
    return any(not isinstance(one, str) or letters.on_paper(one)[0] in ("", "\n".join(lines)) for one in gone)


# What goes out, and what does not -------------------------------------------------------------------------------------


def send_due(*, now: datetime) -> int:
    """Send what waits in the outbox, wake the requests whose answer went out, and return how many letters went."""
    done = apart.each(
        unprinted=lambda: letters.is_read_by_outbox() and end_unprinted(now=now), sent=lambda: _send_and_wake(now)
    )
    return int(done["sent"])


def _send_and_wake(now: datetime) -> int:
    sent = letters.send_due(now=now)
    # A request that only waits for its answer to go out need not wait longer.
    if sent:
        Request.objects.filter(letters__in=sent, step=procedures.CLOSE.name, attempts=0).update(next_action_at=now)
    return len(sent)


def end_unposted(request: Request, *, now: datetime, kinds: Collection[str] | None = None) -> None:
    """Stop what still waits to be posted about a request (of these kinds), with what it gives, in the caller's
    transaction.

    What comes next tells the person more than it does, or everything that it tells of is over. Not that something had
    gone out to somebody else: that is told in any case.
    """
    waiting = request.letters.filter(by=Letter.By.POST, sent_at=None, stopped_at=None).exclude(kind=NOT_YOU)
    if kinds is not None:
        waiting = waiting.filter(kind__in=kinds)
    letters.end_credentials(list(waiting.values_list("pk", flat=True)), now=now)


def printed(letter: Letter, *, now: datetime) -> None:
    """Record that a demo's `outbox` has shown a mail, and burn it where it answers a removal that is closed."""
    with transaction.atomic():
        letters.printed(letter, now=now)
        letters.burn(_of_the_erased(Q(pk=letter.pk)), now=now)


def end_unprinted(*, now: datetime) -> int:
    """Burn what a demo's `outbox` did not print in time of removals that are closed; return how many letters."""
    ids = list(_of_the_erased(Q(queued_at__lte=now - UNPRINTED)).values_list("pk", flat=True)[:500])
    return letters.burn(Letter.objects.filter(pk__in=ids), now=now)


def answers_a_removal(letter: Letter) -> bool:
    """Whether a letter belongs to a removal that is closed, by which what it says ends."""
    about = letter.request
    return about is not None and about.procedure.removes and about.state == State.CLOSED


def _of_the_erased(which: Q) -> QuerySet[Letter]:
    # Elsewhere the last step of the removal has burned them already.
    found = letters.gone_out(
        Letter.objects.filter(
            which, request__kind__in=procedures.removing(), request__state=State.CLOSED, sealed_letter__isnull=False
        )
    )
    return found.exclude(request__in=doubt.among(found.values_list("request", flat=True)))

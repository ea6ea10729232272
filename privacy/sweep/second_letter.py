"""The second letter: what we had to keep is erased now as well (P10; law scenarios 7 and 14).

What must never happen: a letter that says more was done than was done, or the same twice. It is made from the decisions
that the sweep has completed and no letter told yet, so that a run which broke off before its letters is made good by
the next. It goes to the address in the file of the request, by e-mail or by post, as long as that file can be opened
and has one; to nobody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

import structlog
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from privacy import letters
from privacy.letters.models import Letter
from privacy.requests import addresses, answer, doubt, longer, outcome, procedures, writing
from privacy.requests.models import Request
from privacy.retention import decided
from privacy.retention.models import Decision
from privacy.work.broken import Findings, spared

log = structlog.get_logger(__name__)

KIND = "rest_erased"
# Later than this nobody is told: the file would be opened in vain every night where it holds no address.
TOLD_WITHIN = timedelta(days=7)


def write(*, on: date, now: datetime, findings: Findings) -> int:
    """Leave a letter in the outbox for each request of which the sweep has completed something; return how many are
    new.

    At most one per request and day of the sweep. Opens the files under the actor of the caller. What earlier letters
    said is destroyed once they have gone out. A request that cannot be answered is noted, and the others are told.
    """
    told = Q(kind__in=(KIND, longer.KIND)) | Q(kind=writing.NOT_YOU, request__kind__in=procedures.removing())
    letters.burn_given(letters.gone_out(Letter.objects.filter(told, sealed_letter__isnull=False)), now=now)
    untold = _untold(now)
    found = Request.objects.filter(pk__in=untold.values("request"), sealed_request_file__isnull=False)

    def tell(some: Sequence[UUID]) -> int:
        with transaction.atomic():
            requests = list(found.filter(pk__in=some).order_by("pk"))
            doubt.require_none(requests)
            ended = ((one, set(decided.ours(untold.filter(request=one)))) for one in requests)
            return sum(_write(one, those, on, now) for one, those in ended if those)

    waiting = list(found.order_by("pk").values_list("pk", flat=True))
    return sum(spared(waiting, tell, step="tell", label=Request.vault_label, findings=findings))


def _untold(now: datetime) -> QuerySet[Decision]:
    """Return the kept decisions whose end came lately and that no second letter told."""
    told = Letter.objects.filter(kind=KIND, request=OuterRef("request"), queued_at__gte=OuterRef("done_at"))
    # What another request of the person ended stands in that one's answer.
    answered = Decision.objects.filter(
        action=Decision.Action.ERASE,
        label=OuterRef("label"),
        envelope=OuterRef("envelope"),
        done_at=OuterRef("done_at"),
    )
    ended = Decision.objects.filter(pinned=True, action=Decision.Action.KEEP, done_at__gt=now - TOLD_WITHIN)
    return ended.exclude(Exists(told)).exclude(Exists(answered))


def _write(request: Request, ended: set[Decision], on: date, now: datetime) -> bool:
    key = f"{KIND}:{request.pk}:{on}"
    to = addresses.address_for_answer(request, now=now)
    is_reached = bool(to) or writing.has_postal(request, now=now)
    if not is_reached or Letter.objects.filter(key=key).exists():
        return False
    lines = outcome.lines(request, today=on)
    numbers = {one.pk for one in ended}
    context = {
        answer.CODE_MOVED: bool(outcome.read(request).get(answer.CODE_MOVED)),
        "was_code_given": answer.was_code_given(request),
        "by_post": not to,
        "erased": [line for line in lines["erased"] if line["id"] in numbers],
        "kept": lines["kept"],
        "done_on": max(one.done_at for one in ended if one.done_at),
        "backups_until": answer.backups_until(now),
        "recipients": answer.recipients(request, ended),
    }
    try:
        writing.queue(KIND, to=to, context=context, key=key, request=request, now=now)
    except ValidationError:  # an address of old that is none: the others are told all the same
        log.warning("letter.no_address", request=str(request.pk), kind=KIND)
        return False
    return True

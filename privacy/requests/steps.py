"""What each step of a request does. `execute` decides when, locks the request and writes what came of it.

Which steps a right has, in which order and what state each reaches, stands in `procedures`. Every step may be run again
after a crash: it does what is left to do and nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from privacy import audit, datamap, letters, people, vault
from privacy.actor import Actor
from privacy.calendar import company_day
from privacy.gate.context import current
from privacy.requests import (
    assessment,
    bound,
    clock,
    deadline,
    doubt,
    erasure,
    export,
    history,
    offering,
    outcome,
    planned,
    services,
    tombstones,
    whose,
    writing,
)
from privacy.requests.models import Export, Request
from privacy.requests.result import LOOK_LATER, Again, Done, Ended, Result, Wait
from privacy.retention import decided
from privacy.retention.models import Decision
from privacy.vault.keystore import blocks, ledger
from privacy.work import broken


class NotConfirmed(Exception):
    """The table does not hold a confirmation of exactly this plan: nothing may be carried out."""


def following(request: Request) -> str:
    """Return the step after the current one, "" after the last."""
    place = request.steps.index(request.step) + 1
    return request.steps[place] if place < len(request.steps) else ""


# The steps ------------------------------------------------------------------------------------------------------------


def plan_step(request: Request, now: datetime) -> Result:
    """Make the plan. It goes back to the person where the right is one that is confirmed; else it is carried out as it
    is."""
    actor = acting()
    made = services.plan_into(request, actor=actor, now=now)
    if request.procedure.is_confirmed:
        offering.offer(request, made, now=now)
    else:
        services.confirm_into(request, actor=actor, now=now)
    return Ended()


def wait_for_access(request: Request, now: datetime) -> Result:
    """Let it be written down that copies asked for are finished: `begin` has waited for them, as before the first step
    of every right."""
    return Done()


def sign_out(request: Request, now: datetime) -> Result:
    """End every session and login of the person."""
    ended = people.ask().sign_out(subject_of(request))
    return Done({"ended": ended})


def stop_mail(request: Request, now: datetime) -> Result:
    """Stop letters not yet sent, and destroy what earlier ones say; this request's own stay until the end."""
    subject = subject_of(request)
    stopped = letters.stop(subject, now=now, but=request)
    letters.burn(letters.of_person(subject).exclude(request=request), now=now)
    return Done({"stopped": stopped})


def block_tokens(request: Request, now: datetime) -> Result:
    """Leave keyed tokens by which an import recognises the person, while the values can still be read (Proximus,
    C-129/21). Raises bound.NotOurs where a record is hung on them, or away from them, for this moment: an old file
    would bring the person back, or leave somebody else out."""
    until = assessment.block_until(now, request.country)
    count = 0
    for declaration in datamap.declarations():
        if declaration.block_keys is None:
            continue
        theirs = whose.records_of(declaration, subject_of(request))
        rows = declaration.model._default_manager.filter(pk__in=theirs).order_by("pk")
        with vault.internal():  # hashed at once, shown to nobody
            for row in broken.rows(rows, step="block_tokens", chunk=200):
                for kind, value in declaration.block_keys(row):
                    blocks.add(kind, value, until=until, now=now)
                    count += 1
    return Done({"tokens": count, "until": until.isoformat()})


def erase(request: Request, now: datetime) -> Result:
    """End the envelopes the plan says, a batch at a time; what came under a hold or a duty
    meanwhile is kept and said so.

    An order by phone may come while the erasure runs: what it needs of the account stays until it is finished.
    """
    waiting = Decision.objects.filter(request=request, action=Decision.Action.ERASE, done_at=None).order_by("id")
    batch = list(waiting[: erasure.BATCH])
    if not batch:
        _require_ended(request)
        return Done()
    if len(decided.ours(batch)) < len(batch):
        raise bound.NotOurs
    _check_owners(request, batch)
    kept = assessment.kept_by_now(batch, today=company_day(now))
    if kept:
        outcome.keep(request, kept, now=now)
        return Again()
    done = erasure.erase_records(
        [assessment.verdict_of(one) for one in batch], request=request, actor=current(), now=now
    )
    if done.on_hold:
        outcome.keep_on_hold(request, done.on_hold, now=now)
    return Again()


def _require_ended(request: Request) -> None:
    """Raise bound.NotOurs unless all that the plan was to end has ended, but what is kept since: a row that says so, or
    that is not there, proves nothing; keys do."""
    ended = [
        (record, one.envelope)
        for one, verdict in planned.require(request)
        if one.action == Decision.Action.ERASE and (record := planned.record_of(one, verdict)) is not None
    ]
    for start in range(0, len(ended), erasure.BATCH):
        if vault.keys.alive(ended[start : start + erasure.BATCH]):
            raise bound.NotOurs


def _check_owners(request: Request, batch: Sequence[Decision]) -> None:
    """Raise bound.NotOurs where one of these records is not the person's by what the key store says.

    Of a request about records it is to be whose its row says: nobody's, or a subject's of its own.
    """
    wanted: dict[UUID, vault.keys.Owner] = {}
    for label in sorted({one.label for one in batch}):
        declaration = datamap.for_label(label)
        if not issubclass(declaration.model, vault.SealedModel):
            continue
        ids = {one.record_id for one in batch if one.label == label and one.record_id is not None}
        if not request.is_about_records:  # no row is read: a broken one stops nothing
            wanted |= dict.fromkeys(ids, ("subject", request.owner_id))
            continue
        rows = declaration.model._default_manager.filter(pk__in=ids)
        rows = rows.select_related(*declaration.related) if declaration.related else rows
        wanted |= {row.pk: row.vault_owner() for row in broken.rows(rows, step="erase")}
    bound.require_owners(wanted)


def exports_destroyed(request: Request, now: datetime) -> Result:
    """Destroy the copies whose week is over; a finished one is kept its week, and goes then by itself (design 12)."""
    count = 0
    copies = Export.objects.filter(request__owner_id=request.owner_id, deleted_at=None)
    for one in copies.filter(pk__in=export.over_by(copies, now=now)).only("pk", "path"):
        export.delete(one, now=now)
        count += 1
    return Done({"copies": count})


def unlink(request: Request, now: datetime) -> Result:
    """Delete emptied rows nothing kept points at; when none is left, the subject, and with it the last link."""
    if (
        request.subject_id is None
    ):  # the sweep ended the last record first, and the person with it (`bound.is_of_owner`)
        return Done({"subject_gone": True})
    gone = erasure.end_shells(request.subject_id, actor=current(), now=now, reference=request.reference)
    request.refresh_from_db(fields=["subject", "owner_id"])
    return Done({"subject_gone": gone})


def tombstone(request: Request, now: datetime) -> Result:
    """Write the proof without personal data that a restored backup is held against."""
    # In the audit as well: a log whose end was cut off is held against the ledger (`audit.verification`).
    audit.record("request.executed", actor=current(), now=now, reference=request.reference)
    decisions = [one for one, _ in planned.require(request)]
    content = tombstones.content(request, decisions) | {"audited": True}
    ledger.tombstone(request.reference, counts=outcome.counts(decisions), now=now, content=content)
    return Done()


def build_copy(request: Request, now: datetime) -> Result:
    """Make the sealed copy; later, where a key of the person's may be left of a write that was rolled back."""
    try:
        made = export.build(request, now=now)
    except whose.NotYet:
        return Wait(now + LOOK_LATER)
    return Done({"size": made.size, "expires_at": made.expires_at.isoformat()})


# Waiting for the person -----------------------------------------------------------------------------------------------


def identity_step(request: Request, now: datetime) -> Result:
    """Answer a person who has not shown who is asking, or not confirmed, on the due day: more
    time, or an end with its reason.

    Never a yes, and never later than that day (design 11). Who had less than two weeks, because a letter was written
    down late or the plan was ready late, gets the law's longer deadline while its notice is in time. Where the due day
    was over before the person could be asked at all, no answer is in time any more: then two weeks are left to act, and
    it alarms. What was asked by a signed letter, and told by post, never ends for want of a click.
    """
    due = clock.answer_from(request.due_on)
    if now < due:
        return Wait(due)
    if not doubt.is_clear(request):  # the day may be somebody's who wrote it: it ends nothing, and an operator looks
        return Wait(now + LOOK_LATER)
    is_unasked = history.is_to_be_posted(request) or _is_question_unposted(request, now)
    asked = now if is_unasked else history.asked_at(request)
    if now - asked < history.LEAST_TIME_TO_ACT:
        if deadline.may_post_notice(request, now=now):
            is_told = deadline.extend_by_itself(request, request.step, actor=acting(), now=now)
            return Wait(clock.answer_from(request.due_on) if is_told else now + LOOK_LATER)
        if is_unasked:  # ours, not the person's: it stays open and overdue, and alarms, until somebody posts it
            return Wait(now + LOOK_LATER)
        if asked > due or history.was_told_by_post(request):
            return Wait(asked + history.LEAST_TIME_TO_ACT)
    if request.step == "confirm" and request.is_in_writing and history.was_told_by_post(request):
        return Wait(
            now + LOOK_LATER
        )  # signed, and nothing to click: two people decide; overdue, it alarms until they have
    services.expire_into(request, actor=acting(), now=now)
    return Ended()


def _is_question_unposted(request: Request, now: datetime) -> bool:
    """Say whether the letter that asks who it is lies here, and could be posted."""
    return history.is_question_unposted(request) and writing.has_postal(request, now=now)


def acting() -> Actor:
    """Return who carries the step out."""
    actor = current()
    if actor is None:
        raise RuntimeError("A step runs inside advance(), which enters the gate.")
    return actor


def subject_of(request: Request) -> UUID:
    """Return whose data the request is about. Raises NotConfirmed where nobody's are known."""
    if request.subject_id is None:
        raise NotConfirmed
    return request.subject_id

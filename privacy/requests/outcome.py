"""The answer: the stored plan, what became of it, and the letter that says so (P10, Art. 12(3) and (4)).

What must never happen: an answer that says more was done than was done. It is made from the decisions as they stand
after the execution; the wording of each record is in the sealed file of the request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from privacy import datamap, gate, people, vault
from privacy.calendar import company_day
from privacy.letters.models import Letter
from privacy.requests import assessment, contents, export, identity, paper, plan, unjoined, writing
from privacy.requests.models import OneTimeLink, Request
from privacy.retention import decided, holds, jurisdiction, restriction, rules
from privacy.retention.assess import assess
from privacy.retention.models import Decision
from privacy.retention.verdict import Verdict

FORMAT = 1
CODE_MOVED = (
    "code_moved"  # in the file of the request: its outcome code went to an address that does not count any more
)
BATCH = 1_000
#: Said of what is kept no more: the sweep of the coming night ends it, or something else has ended it.
ENDED = "What kept it has ended. It is due to go."
GONE = "It is no longer there."
OF_KEYS = "restore the keys"  # the reason of the schedule that says how long a backup of the key store is kept


class FileUnreadable(Exception):
    """The file of the request could not be opened, so that nothing true can be said from it."""


class FileEnded(FileUnreadable):
    """The file of the request was erased, because its time was over: it is not to be opened later either."""


def answer_key(request: Request) -> str:
    """Return the key under which the answer exists once in the outbox."""
    return f"answer:{request.pk}"


def store(request: Request, made: plan.Plan, *, now: datetime) -> None:
    """Write a plan into the request: one decision per envelope in the table, the wording into the sealed file."""
    gives = request.procedure.gives
    request.decisions.all().delete()
    decisions = (
        Decision(
            request=request,
            label=v.label,
            record_id=v.record_id,
            envelope=v.envelope,
            data=contents.given(v.label, v.data) if gives else list(v.data),
            action=Decision.Action.GIVE if gives else v.action,
            code="GIVE" if gives else v.code,
            ground=jurisdiction.ground("Art. 15(1) and (3) GDPR", request.country or None) if gives else v.ground,
            authority="" if gives else v.authority,
            until=v.until,
            overdue=v.overdue,
        )
        for v in made.verdicts
    )
    Decision.objects.bulk_create(map(decided.sign, decisions), batch_size=BATCH)
    request.plan_hash, request.plan_at = made.hash, now
    request.outcome = {"format": FORMAT, "plan": plan.for_file(made)}
    request.save(update_fields=["plan_hash", "plan_at", "outcome"])  # type: ignore[misc]  # a sealed field is no column


def store_refusal(request: Request, *, ground: str, authority: str) -> None:
    """Write into the sealed file why a request was refused: the person reads it there after the letter is gone."""
    with vault.internal():  # shown to nobody
        kept = request.outcome
        if isinstance(kept, vault.Unreadable):
            return
        refusal = {"ground": ground, "authority": authority}
        request.outcome = {"format": FORMAT, **(kept or {}), "refusal": refusal}
        request.save(update_fields=["outcome"])  # type: ignore[misc]  # a sealed field is no column


def refusal_of(request: Request) -> dict[str, str]:
    """Return why a request was refused, {} when it was not or the reason stands in its letter only. Raises FileUnreadable."""
    found = read(request).get("refusal", {})
    return {name: str(found[name]) for name in ("ground", "authority") if name in found}


def read(request: Request) -> dict[str, Any]:
    """Return the sealed plan and outcome, for an actor that may open the file. Raises FileUnreadable."""
    found = request.outcome
    if isinstance(found, vault.Erased):
        raise FileEnded
    if isinstance(found, vault.Unreadable):
        raise FileUnreadable
    return found if isinstance(found, dict) else {}


def keep_held(request: Request, held: Iterable[tuple[UUID, str]], *, now: datetime) -> None:
    """Turn decisions to erase into decisions to keep, because a hold came after the confirmation. The sweep ends them later."""
    for record_id, envelope in held:
        decision = request.decisions.get(record_id=record_id, envelope=envelope)
        declaration = datamap.for_label(decision.label)
        row = declaration.model._default_manager.get(pk=record_id)
        if declaration.facts is None:
            continue  # only records with facts are in a plan
        (facts,) = assessment.under_one_law(
            [declaration.facts(row)], Counter([request.country] if request.country else [])
        )
        verdicts = assess(facts, rules.load(), {record_id}, company_day(now), asked=True)
        verdict = next(v for v in verdicts if v.envelope == envelope)
        fitted = decided.is_ours(decision)
        decision.action, decision.code, decision.until, decision.pinned = Decision.Action.KEEP, verdict.code, None, True
        decision.ground, decision.authority = verdict.ground, verdict.authority
        if fitted:
            decided.sign(decision)
        decision.save()
    restriction.settle_request(request.pk, actor=gate.current(), now=now)


def keep(request: Request, verdicts: Iterable[Verdict], *, now: datetime) -> None:
    """Turn decisions to erase into decisions to keep, because something new is open since. The sweep ends them later."""
    for verdict in verdicts:
        mine = request.decisions.filter(record_id=verdict.record_id, envelope=verdict.envelope, done_at=None)
        decided.change(
            mine,
            action=Decision.Action.KEEP,
            code=verdict.code,
            ground=verdict.ground,
            authority=verdict.authority,
            until=verdict.until,
            pinned=True,
        )
    restriction.settle_request(request.pk, actor=gate.current(), now=now)


def lines(request: Request, *, today: date) -> dict[str, list[dict[str, Any]]]:
    """Return what was erased, kept and given: per record the title, the names of the data, ground and date.

    What was kept and has ended since is among what was erased; its action tells that it was kept first. Why something is
    still kept is said as it is on `today`: an invoice that was paid since is not called unpaid. Titles come from the sealed
    file, and so does why something is to be kept while the erasure has not begun. Raises FileUnreadable.
    """
    found: dict[str, list[dict[str, Any]]] = {"erased": [], "kept": [], "given": []}
    decisions = list(request.decisions.all())
    reasons = _reasons_now(request, decisions, today)
    names = {Decision.Action.ERASE: "erased", Decision.Action.KEEP: "kept", Decision.Action.GIVE: "given"}
    # Decisions stand in the order of the plan; one whose record ended for good has lost its number.
    for decision, planned in zip(decisions, read(request).get("plan", {}).get("verdicts", ()), strict=False):
        sentence = (
            planned["sentence"]
            if decision.action == Decision.Action.KEEP and decision.action == planned["action"]
            else ""
        )
        says: Decision | Verdict = decision
        if decision.pk in reasons:
            verdict = reasons[decision.pk]
            if verdict is None or verdict.is_erased:
                sentence = GONE if verdict is None else ENDED
            else:
                sentence, says = verdict.sentence, verdict
        name = "erased" if decision.done_at and decision.pinned else names[Decision.Action(decision.action)]
        found[name].append(
            {
                "id": decision.pk,
                "title": planned["title"],
                "data": decision.data,
                "action": decision.action,
                "is_to_go": decision.action == Decision.Action.ERASE and not decision.done_at,
                "was_kept": decision.action == Decision.Action.KEEP,
                "code": says.code,
                "sentence": sentence,
                "ground": says.ground,
                "authority": says.authority,
                "until": says.until,
                "done_at": decision.done_at,
            }
        )
    return found


def _reasons_now(request: Request, decisions: Iterable[Decision], today: date) -> dict[int, Verdict | None]:
    """Return of what the request keeps, by the number of its decision, what is to be said of it today; opens nothing.

    None where the record or that part of it is gone. Only for what was told and is binding: a plan says what was planned.
    """
    kept = [one for one in decisions if one.pinned and one.done_at is None and one.action == Decision.Action.KEEP]
    named = dict.fromkeys((one.label, one.record_id) for one in kept if one.record_id is not None)
    if not named:
        return {}
    facts = assessment.under_one_law(
        assessment.facts_of_records(named), Counter([request.country] if request.country else [])
    )
    pins, on_hold, schedule = assessment.pins_of(facts), holds.on_hold([one.record_id for one in facts]), rules.load()
    verdicts = {
        (one.label, *verdict.key): verdict
        for one in facts
        for verdict in assess(one, schedule, on_hold, today, asked=True, pins=pins)
    }
    return {one.pk: verdicts.get((one.label, one.record_id, one.envelope)) for one in kept if one.record_id is not None}


def unjoined_of(request: Request) -> str:
    """Return what the plan said of records that carry the person's address without being joined. Raises FileUnreadable."""
    return str(read(request).get("plan", {}).get("unjoined", ""))


def counts(request: Request) -> dict[str, int]:
    """Return how many envelopes of each kind of record were erased: all a tombstone says."""
    done = request.decisions.filter(action=Decision.Action.ERASE, done_at__isnull=False)
    return dict(sorted(Counter(done.values_list("label", flat=True)).items()))


def answer(request: Request, *, now: datetime) -> None:
    """Leave the answer of a right in the outbox, once: its letter, with what was erased, kept and given.

    To be called under an actor that may open the file, as the two below.
    """
    to, about = _answered(request, now)
    context = _told(request, to) | about
    if request.procedure.tells_recipients:
        context["recipients"] = recipients(request.decisions.values_list("label", "envelope"))
    _queue(request, to, context, now=now)


def answer_with_copy(request: Request, *, now: datetime) -> None:
    """Leave word in the outbox, once, that the copy is ready; for whom no e-mail or login reaches the letter with which it is posted."""
    to, about = _answered(request, now)
    copy, has_login = export.live(request), _has_login(request)
    if not to and not has_login and writing.has_postal(request, now=now):
        paper.write(request, key=answer_key(request), records=len(about["given"]), now=now)
        return
    context = _told(request, to) | {
        "records": len(about["given"]),
        # As it is now: what staff joined since the plan was made stands in the copy.
        "unjoined": unjoined.of_request(request.subject_id, company_day(now)),
        "has_login": has_login,
        "expires_at": copy.expires_at if copy else now,
    }
    link = "" if has_login or not to else _result_link(request, to, now)
    _queue(request, to, context, now=now, credentials={"link": link}, until=now + identity.RESULT_LINK_LIVES)


def answer_of_removal(request: Request, *, now: datetime) -> None:
    """Leave the answer in the outbox, once: what went, what stays, why and until when, and who else had it (Art. 19)."""
    to, about = _answered(request, now)
    leftovers = {one["name"]: date.fromisoformat(one["until"]) for one in read(request)["plan"]["leftovers"]}
    done = [d for d in (one["done_at"] for one in about["erased"]) if d]
    if moved := _code_went_elsewhere(request, to):
        with vault.internal():  # the file of the request, shown to nobody; later letters say the same
            kept_file = request.outcome
        if isinstance(kept_file, dict):
            request.outcome = {**kept_file, CODE_MOVED: True}
            request.save(update_fields=["outcome"])  # type: ignore[misc]  # a sealed field is no column
    context = _told(request, to) | {
        **about,
        CODE_MOVED: moved,
        # As it was planned: the addresses by which it was found are gone.
        "unjoined": unjoined_of(request),
        "done_on": max(done) if done else now,
        "file_until": leftovers.get("request_file"),
        "token_until": leftovers.get("block_token"),
        "backups_until": backups_until(now),
        "copies": export.left(request, now=now),
        "recipients": recipients(
            request.decisions.filter(action=Decision.Action.ERASE).values_list("label", "envelope")
        ),
    }
    _queue(request, to, context, now=now)


def _answered(request: Request, now: datetime) -> tuple[str, dict[str, list[dict[str, Any]]]]:
    """Return where the answer goes and what became of the records; letters that say less are posted no more."""
    about = lines(request, today=company_day(now))
    to = identity.address_for_answer(request, now=now)
    writing.end_unposted(request, now=now)
    return to, about


def _told(request: Request, to: str) -> dict[str, Any]:
    return {"by_post": not to, "was_code_given": was_code_given(request)}


def _queue(request: Request, to: str, context: Mapping[str, Any], *, now: datetime, **given: Any) -> None:
    kind = request.procedure.letters.answer
    writing.queue(kind, to=to, context=context, key=answer_key(request), request=request, now=now, **given)


def was_code_given(request: Request) -> bool:
    """Say whether a letter that gave the outcome code has gone out, or still goes."""
    gave = Letter.objects.filter(request=request, kind="acknowledgement", credentials_until__isnull=False)
    return gave.filter(stopped_at=None).exists()


def _code_went_elsewhere(request: Request, to: str) -> bool:
    """Say whether the outcome code was mailed to another address than `to`, where the answer goes: it opens nothing alone then."""
    gave = Letter.objects.filter(request=request, kind="acknowledgement", by=Letter.By.EMAIL)
    last = gave.filter(credentials_until__isnull=False).order_by("queued_at", "pk").last()
    with vault.internal():  # compared only
        went_to = last.to if last is not None else ""
    if not to or not isinstance(went_to, str) or not went_to:
        return False
    return bool(vault.index.normalise("email", went_to) != vault.index.normalise("email", to))


def _result_link(request: Request, to: str, now: datetime) -> str:
    OneTimeLink.objects.filter(request=request, purpose=OneTimeLink.Purpose.RESULT, used_at=None).update(expires_at=now)
    return identity.address_of_link(identity.make_link(request, OneTimeLink.Purpose.RESULT, to=to, now=now))


def _has_login(request: Request) -> bool:
    return request.subject_id is not None and people.ask().has_login(request.subject_id)


def backups_until(now: datetime) -> date:
    """Return the last day on which a backup of keys destroyed now can still exist."""
    day = company_day(now)
    # Other schedules may name no life of their own for the keys: then that of every backup counts.
    reasons = [one for one in rules.load()["backup"].reasons if one.period is not None]
    of_keys = [one for one in reasons if one.name == OF_KEYS] or reasons
    return max(one.period.after(day) for one in of_keys if one.period is not None)


def recipients(ended: Iterable[tuple[str, str]]) -> list[str]:
    """Return who gets data of these kinds, (label, envelope), by name from the data map (Art. 19)."""
    found: set[str] = set()
    for label, envelope in set(ended):
        declaration = datamap.for_label(label)
        for name in declaration.envelopes().get(envelope, ()):
            found.update(declaration.data[name].recipients)
    return sorted(found)


def shape(request: Request) -> dict[str, Any]:
    """Return a request as commands and schemas show it (docs/schemas/request_show.json): no personal data, opens nothing."""
    events = list(request.events.all())
    done: Mapping[str, datetime] = {e.step: e.at for e in events if e.kind == "step"}
    planned = next((e.at for e in events if e.kind == "planned"), None)
    return {
        "reference": request.reference,
        "kind": request.kind,
        "state": request.state,
        "channel": request.channel,
        "asked_by": request.asked_by,
        "received_on": request.received_on.isoformat(),
        "due_on": request.due_on.isoformat(),
        "legal_due_on": request.legal_due_on.isoformat(),
        "unpaused_due_on": request.unpaused_due_on.isoformat() if request.unpaused_due_on else None,
        "identity": request.identity,
        "scope": request.scope,
        "plan_hash": request.plan_hash,
        "confirmed": bool(request.confirmed_hash),
        "attempts": max(request.tries.values(), default=0),
        "last_error": request.last_error,
        "decisions": _decisions(request),
        "steps": [
            {
                "name": step,
                "attempts": request.tries.get(step, 0),
                "done_at": _iso(planned if step == "plan" else done.get(step)),
            }
            for step in request.steps
        ],
        "events": [
            {
                "at": _iso(e.at),
                "on": e.on.isoformat(),
                "kind": e.kind,
                "state": e.state,
                "step": e.step,
                "by": e.actor_kind,
            }
            for e in events
        ],
    }


def _decisions(request: Request) -> list[dict[str, Any]]:
    """Group the decisions by record; each datum says what becomes of it and why."""
    records: dict[tuple[str, Any], dict[str, Any]] = {}
    for d in request.decisions.all():
        # Decisions that lost their record's number are not thrown together.
        key = (d.label, d.record_id or d.pk)
        record = records.setdefault(
            key, {"record": str(d.record_id) if d.record_id else None, "label": d.label, "data": []}
        )
        for name in d.data:
            record["data"].append(
                {
                    "name": name,
                    "envelope": d.envelope,
                    "action": d.action,
                    "code": d.code,
                    "ground": d.ground,
                    "authority": d.authority,
                    "until": d.until.isoformat() if d.until else None,
                    "done_at": _iso(d.done_at),
                }
            )
    return list(records.values())


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None

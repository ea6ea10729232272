"""What is restricted, and for what it still opens: worked out from decisions and holds, kept beside the key (design
10).

What must never happen: a record that is said to be locked and opens as before, or one that stays locked when nothing
locks it. So there is one place that knows the answer, `settle`, and who changes something calls it: a decision to keep,
a hold placed or lifted, the sweep each night. It can always be worked out anew (`settle_all`), which undoes a mistake.
The gate reads it with the key, so that it counts at the moment of decryption and costs no query.

Only decisions and holds that are the site's count (`decided`, `in_force`): one that somebody wrote, changed or took
away neither sets a restriction nor lifts one; what the key store says of that record stays.

A restriction is a few codes (`gate.matrix.kept_for`): what keeps the envelope and until when. They are set at once and
taken away after the commit, so that a crash in between leaves an envelope restricted and not open.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import models, transaction

from privacy import audit, datamap
from privacy.actor import Actor
from privacy.calendar import company_day
from privacy.datamap import Declaration
from privacy.facts import Facts
from privacy.gate import matrix
from privacy.retention import decided, in_force, rules
from privacy.retention.gather import read, with_flags
from privacy.retention.models import Decision, Hold
from privacy.retention.rules import Schedule
from privacy.vault.keystore import keys
from privacy.work.broken import Findings

BATCH = 500
HOLD, ENDING, OPEN = "hold", "ending", "open"
HOLDS = frozenset({HOLD, matrix.ON_HOLD})
RESTRICTED, RELEASED = "record.restricted", "record.released"  # in the audit

Pair = tuple[UUID, str]


@dataclass(frozen=True)
class Sources:
    """What restricts these records now: pinned decisions with their day, and legal holds; and of what a decision says
    that the site did not make, or a hold that it did not place."""

    pinned: Mapping[Pair, date | None]
    on_hold: Collection[UUID]
    doubted: Collection[Pair] = frozenset()
    holds_doubted: Collection[UUID] = frozenset()
    holds_lost: Collection[UUID] = frozenset()


def codes(facts: Facts, envelope: str, sources: Sources, schedule: Schedule, today: date) -> str:
    """Return the restriction of one envelope, "" when it is not restricted. Pure.

    After an erasure: whatever stands against the request. Under a hold: the hold alone, once nothing else keeps it; a
    hold on a record that is in use restricts nothing and is only marked, so that old values are kept.
    """
    pair = (facts.record_id, envelope)
    lasting = [one for one in schedule.reasons(envelope) if one.applies_to(facts) and one.holds_on(today, facts)]
    is_on_hold = facts.record_id in sources.on_hold
    found: set[str] = set()
    if pair in sources.pinned:
        last = sources.pinned[pair]
        for reason in lasting:
            if reason.on_request != "KEEP":
                continue
            if reason.is_open_ended:
                found |= reason.when & facts.flags  # a day that was told ends no open matter
                continue
            if last is not None and last < today:
                continue
            ends = [day for day in (reason.ends_on(facts, today), last) if day is not None]
            found.add(f"{envelope}:{min(ends).isoformat()}" if ends else envelope)
        if is_on_hold:
            found.add(HOLD)
        found = _longest(found) or {ENDING}
    elif is_on_hold and not lasting:
        found.add(HOLD)
    if is_on_hold:
        found.add(matrix.ON_HOLD)
    return ";".join(sorted(found))


def _longest(found: set[str]) -> set[str]:
    """Return the codes with one day for each purpose: the last."""
    days: dict[str, str] = {}
    for code in found:
        purpose, _, day = code.partition(":")
        days[purpose] = max(days.get(purpose, ""), day)
    return {f"{purpose}:{day}" if day else purpose for purpose, day in days.items()}


def keeps_old_values(record: UUID) -> bool:
    """Say whether what a correction replaces in this record is kept, because it is under a legal hold: by the key
    store, which the vault asks."""
    return any(map(matrix.is_on_hold, keys.restrictions([record]).values()))


def settle(
    label: str, records: Iterable[UUID], *, actor: Actor | None, now: datetime, findings: Findings | None = None
) -> int:
    """Work out anew what of these records of one kind is restricted, and write it down; return how many envelopes
    changed.

    One audit event for each record that changed. Records that are gone are left alone. Notes among `findings` whose
    restriction stays because the decision that set it is not the site's any more, and whose could not be read.
    """
    try:
        declaration = datamap.for_label(label)
    except KeyError:
        return 0
    schedule, today = rules.load(), company_day(now)
    noted = Findings() if findings is None else findings
    chunks = _batches(dict.fromkeys(records))
    return sum(_settle(declaration, chunk, schedule, today, actor, now, noted) for chunk in chunks)


def _settle(
    declaration: Declaration,
    ids: Collection[UUID],
    schedule: Schedule,
    today: date,
    actor: Actor | None,
    now: datetime,
    findings: Findings,
) -> int:
    sources = _sources(declaration.label, ids)
    states: dict[Pair, str] = {}
    owner: dict[UUID, UUID | None] = {}
    # A broken record is restricted like any other, and stops no other one; the sweep names it.
    for facts in with_flags(read(declaration, list(ids), findings=Findings()), schedule):
        owner[facts.record_id] = facts.subject_id
        for envelope in facts.data:  # of what is not sealed the key store has no key to be restricted
            states[facts.record_id, envelope] = codes(facts, envelope, sources, schedule, today)
    before = keys.restrictions(owner)
    for record, _ in (pair for pair, code in before.items() if not matrix.is_readable(code)):
        findings.note("restriction", declaration.label, record, "Unreadable")
    for record, envelope in _unproved(declaration.label, states, before, sources):
        pair = record, envelope
        states[pair] = _joined(before[pair], states[pair])
        findings.note("decision", declaration.label, record, "NotOurs")
    lost = _lost_holds(before, sources)
    for record in lost | (owner.keys() & (set(sources.holds_doubted) | set(sources.holds_lost))):
        findings.note("hold", declaration.label, record, "NotOurs")
    for pair in states:
        if pair[0] in lost:
            states[pair] = _joined(";".join(_parts(before.get(pair, "")) & HOLDS), states[pair])
    changed = {pair: code for pair, code in states.items() if code != before.get(pair, "")}
    if not changed:
        return 0
    set_now = {pair: code for pair, code in changed.items() if code}
    done = set(keys.restrict(set_now))
    lifted = dict.fromkeys(changed.keys() - set_now.keys(), "")
    changed = {pair: code for pair, code in changed.items() if not code or pair in done}
    events = _events(declaration, changed, owner)
    with transaction.atomic():
        if lifted:
            # After the commit: until then a hold is in force. What a crash leaves restricted the next sweep sees.
            transaction.on_commit(lambda: _lift(lifted), robust=True)
            events = _untold(declaration, events, {record for record, _ in lifted} - {record for record, _ in done})
        audit.record_many(events, actor=actor, now=now)
    return len(changed)


def _unproved(label: str, states: Mapping[Pair, str], before: Mapping[Pair, str], sources: Sources) -> list[Pair]:
    """Return those of which a decision had said that they are kept, and no decision of the site's does any more: one
    was written past the site, or the audit tells that they were restricted, and not that they were released."""
    lost = [pair for pair in states if pair not in sources.pinned and _parts(before.get(pair, "")) - HOLDS]
    if not lost:
        return []
    told: dict[Pair, str] = {}
    for (_, record), _, reason, _ in audit.told_of([RESTRICTED, RELEASED], [(label, one) for one, _ in lost]):
        for envelope, _, code in (part.partition("=") for part in reason.split()):
            told[UUID(str(record)), envelope] = code
    return [pair for pair in lost if pair in sources.doubted or told.get(pair, OPEN) != OPEN]


def _lost_holds(before: Mapping[Pair, str], sources: Sources) -> set[UUID]:
    """Return those that the key store has under a hold which is in doubt, while none of the site's is in force."""
    marked = {record for (record, _), code in before.items() if _parts(code) & HOLDS}
    return (marked - set(sources.on_hold)) & set(sources.holds_doubted)


def _parts(code: str) -> set[str]:
    return set(code.split(";")) - {""}


def _joined(before: str, code: str) -> str:
    return ";".join(sorted(_parts(before) | _parts(code)))


def _untold(declaration: Declaration, events: list[audit.Happened], lifted: set[UUID]) -> list[audit.Happened]:
    """Return the events but those of `lifted` records that another worker, or one killed before it lifted them, told
    of."""
    rows = declaration.model._default_manager.select_for_update(no_key=True).filter(pk__in=lifted).order_by("pk")
    list(rows.values_list("pk"))
    told = audit.last((RESTRICTED, RELEASED), [(declaration.label, record) for record in lifted])
    return [one for one in events if one.record is None or told.get(one.record) != (one.action, one.reason)]


def _lift(pairs: Mapping[Pair, str]) -> None:
    keys.restrict(pairs)


def _events(
    declaration: Declaration, changed: Mapping[Pair, str], owner: Mapping[UUID, UUID | None]
) -> list[audit.Happened]:
    by_record: dict[UUID, dict[str, str]] = defaultdict(dict)
    for (record, envelope), code in changed.items():
        by_record[record][envelope] = code
    return [
        audit.Happened(
            RESTRICTED if any(map(matrix.kept_for, envelopes.values())) else RELEASED,
            subject=owner.get(record),
            record=(declaration.label, record),
            reason=" ".join(f"{name}={code or OPEN}" for name, code in sorted(envelopes.items()))[:200],
        )
        for record, envelopes in by_record.items()
    ]


def _sources(label: str, ids: Collection[UUID]) -> Sources:
    pinned: dict[Pair, date | None] = {}
    decisions = Decision.objects.filter(
        label=label, record_id__in=ids, pinned=True, done_at=None, action=Decision.Action.KEEP
    )
    doubted: set[Pair] = set()
    for one in decisions:
        record: Any = one.record_id  # by the number it was found
        pair, until = (record, one.envelope), one.until
        if not decided.is_ours(one):
            doubted.add(pair)
            continue
        before = pinned.get(pair)
        pinned[pair] = min(before, until) if before and until else until or before
    holds = in_force.stand((label, pk) for pk in ids)
    return Sources(pinned, holds.on_hold, doubted, holds.in_doubt, holds.lost)


def settle_request(request_id: UUID, *, actor: Actor | None, now: datetime) -> int:
    """Restrict what a request keeps, in the transaction that pins it; return how many envelopes changed."""
    kept = Decision.objects.filter(
        request=request_id, pinned=True, done_at=None, action=Decision.Action.KEEP, record_id__isnull=False
    )
    return _settle_all_of(kept.values_list("label", "record_id"), actor=actor, now=now)


def settle_person(subject: UUID, *, actor: Actor | None, now: datetime) -> int:
    """Look again at what is kept of a person after an erasure, when one of their matters was finished."""
    kept = Decision.objects.filter(
        request__owner_id=subject, pinned=True, done_at=None, action=Decision.Action.KEEP, record_id__isnull=False
    )
    return _settle_all_of(kept.values_list("label", "record_id"), actor=actor, now=now)


def settle_all(*, actor: Actor | None, now: datetime, findings: Findings | None = None) -> int:
    """Work out every restriction anew: after an upgrade, a restore, and each night; return how many envelopes changed.
    What `settle` notes stands among `findings` then.

    Looks at what decisions and holds name, and at what is restricted without any. Each batch stands for itself.
    """
    kept = Decision.objects.filter(pinned=True, done_at=None, action=Decision.Action.KEEP, record_id__isnull=False)
    found_by: dict[str, Any] = {"actor": actor, "now": now, "findings": findings}
    count = _settle_all_of(kept.values_list("label", "record_id"), **found_by)
    count += _settle_all_of(Hold.objects.filter(lifted_at=None).values_list("label", "record_id"), **found_by)
    after: UUID | None = None
    while found := keys.restricted(after=after, most=BATCH):
        after = found[-1][0]
        count += _settle_all_of(((label, record) for record, label in found), **found_by)
    return count


def _settle_all_of(
    rows: models.QuerySet[Any, Any] | Iterable[tuple[str, UUID]],
    *,
    actor: Actor | None,
    now: datetime,
    findings: Findings | None = None,
) -> int:
    stream = rows.order_by().distinct().iterator(chunk_size=BATCH) if isinstance(rows, models.QuerySet) else rows
    count = 0
    for batch in _batches(stream):
        by_label: dict[str, list[UUID]] = defaultdict(list)
        for label, record in batch:
            by_label[label].append(record)
        count += sum(
            settle(label, ids, actor=actor, now=now, findings=findings) for label, ids in sorted(by_label.items())
        )
    return count


def _batches(found: Iterable[Any]) -> Iterator[list[Any]]:
    stream = iter(found)
    while batch := list(islice(stream, BATCH)):
        yield batch

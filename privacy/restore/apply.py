"""Doing to the main database what a line of the ledger says. Whatever is done here was done once before.

A row of an erased pair is ended exactly as an erasure ends it. A row that names a key which a correction
replaced lost the corrected value with the backup; its envelope is emptied, so that the value can be entered
again, and the record is named.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, models, transaction

from privacy import audit, datamap, letters, vault
from privacy.actor import Actor
from privacy.datamap import Declaration
from privacy.letters.models import Letter
from privacy.requests import erasure, history, tombstones, waits
from privacy.requests.models import Request
from privacy.requests.states import State
from privacy.restore import signed
from privacy.restore.models import LedgerCopy, LedgerWaiting
from privacy.retention import decided
from privacy.retention.models import Decision
from privacy.retention.verdict import Verdict
from privacy.vault import envelope
from privacy.vault.keystore import ledger
from privacy.vault.keystore.ledger import Gone


class NotCopied(Exception):
    """A line cannot be copied into the main database: another row has the number that the database gave to it."""


class NotProved(Exception):
    """A line says that a request was carried out, and neither its keyed hash nor the signed file tells that the program
    wrote it."""


@dataclass
class Done:
    """What was done: rows ended again, requests closed, and the records whose correction was lost, by label and
    name."""

    records: int = 0
    requests: list[str] = field(default_factory=list)
    corrections: list[dict[str, str]] = field(default_factory=list)


def standing(went: Sequence[Gone]) -> int:
    """Count the rows that still look as if these keys existed."""
    return sum(1 for _ in _standing(went, lock=False))


def _standing(went: Sequence[Gone], *, lock: bool) -> Iterator[tuple[Declaration, str, Any, Gone]]:
    """Yield (declaration, envelope, row, key) of rows that are not ended although their key is."""
    by_place: dict[tuple[str, str], list[Gone]] = defaultdict(list)
    for one in went:
        by_place[one.label, one.envelope].append(one)
    for (label, name), listed in sorted(by_place.items()):
        for declaration in _declared(label, name):
            column = f"sealed_{name}" if name in erasure.sealed_envelopes(declaration.model) else ""
            rows: models.QuerySet[Any] = (
                models.QuerySet(declaration.model).filter(pk__in={one.record for one in listed}).order_by("pk")
            )
            # Only what is looked at: another column of one row, if it cannot be read, must not close the site.
            rows = rows.only(*filter(None, ("pk", column, declaration.reference)))
            found = {row.pk: row for row in (rows.select_for_update() if lock else rows)}
            for one in listed:
                row = found.get(one.record)
                if row is None:
                    continue
                sealed = getattr(row, column) if column else None
                if (one.is_final and (not column or sealed is not None)) or (
                    not one.is_final and sealed is not None and envelope.key_id(sealed) == one.number
                ):
                    yield declaration, name, row, one


def _declared(label: str, name: str) -> list[Declaration]:
    """Return the kinds of record that a pair may belong to; a pair that never had a key does not say which."""
    if label:
        try:
            return [datamap.for_label(label)]
        except KeyError:
            return []  # a pseudonym, a copy: no row holds it
    return [one for one in datamap.declarations() if name in one.envelopes() and one.facts is not None]


def end_again(went: Sequence[Gone], *, actor: Actor, now: datetime) -> Done:
    """End the rows whose keys are gone, in the caller's transaction; safe to repeat."""
    done = Done()
    verdicts = []
    for declaration, name, row, one in list(_standing(went, lock=True)):
        done.records += 1
        if declaration.model is Letter and name == letters.CREDENTIALS:
            letters.end_credentials([row.pk], now=now)  # it went out after the backup was made, or lapsed
        elif declaration.model is Letter:
            letters.burn(Letter.objects.filter(pk=row.pk), now=now)  # its row stays: it was sent, or stopped
        elif one.is_final:
            verdicts.append(_verdict(declaration, name, row.pk))
        else:
            models.QuerySet(declaration.model).filter(pk=row.pk).update(**{f"sealed_{name}": None})
            called = getattr(row, declaration.reference) if declaration.reference else row.pk
            done.corrections.append({"label": declaration.label, "record": str(called), "envelope": name})
            audit.record("correction.lost", actor=actor, now=now, record=(declaration.label, row.pk), reason=name)
    for start in range(0, len(verdicts), erasure.BATCH):
        batch = verdicts[start : start + erasure.BATCH]
        erasure.erase_records(batch, request=None, actor=actor, now=now, again=True)
    return done


def _verdict(declaration: Declaration, name: str, record: UUID) -> Verdict:
    return Verdict(
        record_id=record, label=declaration.label, title="", envelope=name, data=(), action="erase", code="ERASE",
        ground="", authority="",
    )  # fmt: skip


# Requests -------------------------------------------------------------------------------------------------------------


def close_again(reference: str, at: datetime, content: dict[str, Any], *, actor: Actor, now: datetime) -> Done:
    """Make the request `reference` one that was carried out, in the caller's transaction; safe to repeat.

    One that the backup does not know is made anew without its sealed file. What was promised about kept
    records is promised again, so that the sweep ends them at the same date.
    """
    request = Request.objects.select_for_update().filter(reference=reference).first()
    if request is not None and not request.is_open:
        return Done()
    if request is None:
        if "kind" not in content:
            return Done()  # a line from before the ledger held more than the reference
        dates = {name: date.fromisoformat(content[name]) for name in tombstones.DATES}
        words = {name: content[name] for name in tombstones.WORDS if name in content}  # a line of before knows no scope
        request = Request.objects.create(
            reference=reference, filed_at=datetime.fromisoformat(content["filed_at"]), **dates, **words
        )
    elif content.get("plan_hash") and request.plan_hash != content["plan_hash"]:
        request.decisions.all().delete()
        request.plan_hash, request.outcome = content["plan_hash"], {}
        request.save(update_fields=["plan_hash", "outcome"])  # type: ignore[misc]  # a sealed field is no column
    _keep_again(request, content.get("kept", []))  # first: the backup may be from before something was kept after all
    _end_again(request, at)
    history.close_restored(request, actor=actor, now=now, at=at)
    waits.end_left_over(actor=actor, now=now, request=request)
    audit.record("request.executed", actor=actor, now=now, reference=reference, reason="restored")
    return Done(requests=[reference])


def _end_again(request: Request, at: datetime) -> None:
    """Say of what the request was to end that it has ended, where its key is gone."""
    ending = request.decisions.filter(action=Decision.Action.ERASE, done_at=None, record_id__isnull=False)
    pairs = {one.pk: (one.record_id, one.envelope) for one in ending if one.record_id is not None}
    living = vault.keys.living(list(pairs.values())) if pairs else set()
    decided.done(ending.filter(pk__in=[pk for pk, pair in pairs.items() if pair not in living]), at)


def _keep_again(request: Request, kept: Iterable[dict[str, Any]]) -> None:
    wanted: dict[tuple[str, str], dict[bytes, dict[str, Any]]] = defaultdict(dict)
    for one in kept:
        wanted[one["label"], one["envelope"]][bytes.fromhex(one["record"])] = one
    for (label, name), by_hash in wanted.items():
        for record in models.QuerySet(datamap.for_label(label).model).values_list("pk", flat=True).iterator():
            found = by_hash.get(ledger.pair_hash(record, name))
            if found is not None:
                made, _ = Decision.objects.update_or_create(
                    request=request, label=label, record_id=record, envelope=name,
                    defaults={
                        "action": Decision.Action.KEEP, "pinned": True, "data": found["data"], "code": found["code"],
                        "ground": found["ground"], "authority": found["authority"], "overdue": found["overdue"],
                        "until": date.fromisoformat(found["until"]) if found["until"] else None,
                    },
                )  # fmt: skip
                decided.sign(made).save(update_fields=["mac"])


def _is_under_way(went: Sequence[Gone]) -> bool:
    """Say whether a request that is being carried out still has to end rows of these keys: it ends the person as
    well."""
    records = {one.record for one in went}
    waiting = Decision.objects.filter(record_id__in=records, action=Decision.Action.ERASE, done_at=None)
    return waiting.filter(request__state=State.EXECUTING).exists()


def apply(
    line: LedgerCopy, went: Sequence[Gone], *, restored: bool, actor: Actor, now: datetime, is_filed: bool = False
) -> Done | None:
    """Do what one line says and write its copy, in one transaction of the main database; safe to repeat.

    None when the line must wait: the worker that wrote it has not committed yet, or died and is woken by the poller. It
    is noted as waiting then. Of a `restored` database nobody waits for that. `is_filed`: it stands in the signed file.
    Raises NotCopied, and NotProved for a line that would close a request and that the program did not write; nothing is
    done then.
    """
    with transaction.atomic():
        request = Request.objects.filter(reference=line.reference).first() if line.kind == "request" else None
        if not restored and ((request is not None and request.step == "tombstone") or _is_under_way(went)):
            LedgerWaiting.objects.get_or_create(entry=line.entry)
            return None
        done = end_again(went, actor=actor, now=now)
        if line.kind == "request" and (request is None or not _was_carried_out(request)):
            if not (is_filed or ledger.is_ours(line)):
                raise NotProved
            done.requests += close_again(line.reference, line.at, line.content, actor=actor, now=now).requests
        there = LedgerCopy.objects.select_for_update().filter(entry=line.entry)
        if there.exists() and signed.newest(there) is None:
            there.delete()  # copied anew, at the end: the file goes on in the order of the lines
        signed.sign(line)
        try:
            # Another process may have copied it meanwhile: of the same name there is one row.
            LedgerCopy.objects.bulk_create(
                [line], update_conflicts=True, unique_fields=["entry"], update_fields=["entry"]
            )
        except IntegrityError:
            raise NotCopied from None
        LedgerWaiting.objects.filter(entry=line.entry).delete()
    return done


def _was_carried_out(request: Request) -> bool:
    return not request.is_open or request.events.filter(kind=history.STEP, step="tombstone").exists()

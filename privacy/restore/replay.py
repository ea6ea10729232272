"""Bringing the three places of the ledger to the same lines: every few seconds, and after a restore.

`follow` copies new lines onwards and mends what a killed worker left half-done. `replay` is for a database that was
restored: it takes the lines that any of the three places knows, destroys their keys again where the key store lacks
them, ends their rows again where the main database lacks them, and writes what the file lacks. Each line is a
transaction of its own on each side, so it may be killed anywhere and run again; a line that is there already is done.
It cannot be undone: what it ends was ended before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from importlib import import_module
from itertools import chain, islice
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, models, transaction

from privacy import audit, datamap
from privacy.actor import Actor
from privacy.requests import erasure
from privacy.restore import apply, maintenance, revived, signed, signed_file
from privacy.restore.models import LedgerCopy, LedgerWaiting
from privacy.retention import restriction
from privacy.vault import envelope
from privacy.vault.keystore import keys, ledger, once
from privacy.vault.keystore.sql import cursor
from privacy.vault.models import DataKey, Tombstone
from privacy.work import broken, checkpoints, progress

log = structlog.get_logger(__name__)
CHUNK = 5_000
NAMED = 200


class FileRefused(Exception):
    """The signed file is missing or not whole: it must be put back, or given up knowingly (`--new-file`)."""


class FileOutOfReach(Exception):
    """The signed file is there and may be whole, but this process may not read it: nothing is put in its place."""


@dataclass
class Report:
    """What a replay found and did."""

    problems: list[str] = field(default_factory=list)
    key_lines: int = 0  # lines that the key store lacked
    keys: int = 0  # keys that were alive again and were destroyed
    main_lines: int = 0  # lines that the main database lacked
    records: int = 0  # envelopes of rows that were ended again
    requests: list[str] = field(default_factory=list)  # requests that are closed again
    corrections: list[dict[str, str]] = field(default_factory=list)  # records whose corrected value was lost
    lost_keys: int = 0  # envelopes whose key came into being after the backup of the key store: they cannot be read
    lost: list[dict[str, str]] = field(default_factory=list)  # the first of those
    filed: int = 0
    sessions: int = 0
    uncopied: list[str] = field(default_factory=list)  # lines that could not be copied into the main database

    def as_dict(self) -> dict[str, Any]:
        """Return the report for a program (docs/schemas/replay_ledger.json)."""
        return asdict(self)


# Daily life -----------------------------------------------------------------------------------------------------------


def follow(*, actor: Actor, now: datetime) -> int:
    """Copy the lines that the main database has the effect of, then file them; return how many. Not in maintenance."""
    count = 0
    for line in _lines_for_main():
        try:
            done = _apply(line, restored=False, actor=actor, now=now)
        except apply.NotCopied:
            continue
        if done is not None:
            count += 1
            if done.records or done.requests:
                audit.record("ledger.mended", actor=actor, now=now, reason=f"{done.records} envelopes ended")
    file_copies(now=now)
    return count


class Line(NamedTuple):
    """One line that the main database lacks: its name, its copy (None: it cannot be read), the keys that went with it,
    and whether it is known to be the program's because it stands in the signed file, or that was given up."""

    entry: UUID
    copy: LedgerCopy | None
    went: list[ledger.Gone]
    is_filed: bool


def _apply(line: Line, *, restored: bool, actor: Actor, now: datetime) -> apply.Done | None:
    """Do what one line says, as `apply.apply`. Where that fails for this line alone it is noted as waiting, so that
    newer ones are copied past it. Raises NotCopied."""
    if line.copy is None:
        raise _noted(line.entry, "Unreadable")
    try:
        return apply.apply(line.copy, line.went, restored=restored, is_filed=line.is_filed, actor=actor, now=now)
    except Exception as error:
        broken.require_own(error)
        raise _noted(line.entry, type(error).__name__) from None


def _noted(entry: UUID, error: str) -> apply.NotCopied:
    LedgerWaiting.objects.get_or_create(entry=entry)
    log.error("ledger.uncopied", entry=str(entry), error=error)
    return apply.NotCopied()


def _lines_for_main(known: Mapping[UUID, LedgerCopy] | None = None, *, all_count: bool = False) -> Iterator[Line]:
    """Yield the lines that the main database lacks, oldest first, with the keys that went with them.

    A line that is `known` from the file is copied as it stands there: a restored key store may lack some of its keys.
    `all_count`: where the file was given up the key store alone tells, and all of its lines are believed.
    """
    filed = known or {}
    missing = sorted((one.seq, one.entry) for page in maintenance.waiting() for one in page)
    for start in range(0, len(missing), maintenance.PAGE):
        page = missing[start : start + maintenance.PAGE]
        seqs = [seq for seq, _ in page]
        went = ledger.gone(seqs)
        lines = {line.seq: line for line in ledger.readable(Tombstone.objects.filter(seq__in=seqs))}
        for seq, entry in page:
            listed = went.get(seq, [])
            copy = filed.get(entry) or (_copy(lines[seq], listed) if seq in lines else None)
            yield Line(entry, copy, listed, all_count or entry in filed)


def unproved() -> Iterator[tuple[str, UUID]]:
    """Yield ("ledger_line", name) of each line of the key store that cannot be read, or that says a request was carried
    out and was not written by the program: what `audit.verify` is told. Of those that the main database has, none is.
    """
    for line in _lines_for_main():
        if line.copy is None or (line.copy.kind == Tombstone.Kind.REQUEST and not ledger.is_ours(line.copy)):
            yield "ledger_line", line.entry


def _copy(line: Tombstone, went: list[ledger.Gone]) -> LedgerCopy:
    return LedgerCopy(
        entry=line.entry,
        kind=line.kind,
        reference=line.reference or "",
        at=line.at,
        counts=line.counts,
        content=ledger.content(line, went),
    )


def file_copies(*, now: datetime) -> int:
    """Append to the signed file what the main database has not filed yet; return how many lines. Raises FileBroken."""
    with transaction.atomic():
        unfiled = LedgerCopy.objects.select_for_update().filter(filed_at=None).order_by("id")
        copies = list(islice(signed.ours(unfiled), CHUNK))
        if not copies:
            return 0
        signed_file.append(copies, goes_on_from=_has)
        LedgerCopy.objects.filter(pk__in=[one.pk for one in copies]).update(filed_at=now)
    return len(copies)


def _has(entry: UUID) -> bool:
    return signed.newest(LedgerCopy.objects.filter(entry=entry)) is not None


def sign_old(*, now: datetime) -> int:
    """Sign the copies of before lines were signed on which key store, main database and signed
    file agree; return how many.

    Once in the life of an installation. The others are copied anew when the key store has them;
    `verify_audit` names the rest.
    """
    return once.do(once.LEDGER, _sign_old, now=now)


def _sign_old() -> int:
    try:
        filed = {line.entry: line for line in signed_file.read()}
    except signed_file.FileBroken:
        filed = {}
    count = 0
    found = broken.readable(LedgerCopy.objects.filter(mac="").order_by("pk"))
    while copies := list(islice(found, maintenance.PAGE)):
        there = Tombstone.objects.filter(entry__in=[one.entry for one in copies])
        lines = {one.entry: one for one in ledger.readable(there)}
        went = ledger.gone([one.seq for one in lines.values()])
        agreed = []
        for copy in copies:
            line = lines.get(copy.entry)
            if line is None:
                continue
            kept = _copy(line, went.get(line.seq, []))
            # Which keys of a line still stand in the key store may have changed since it was filed.
            other = filed.get(copy.entry) if copy.filed_at else kept
            if other is not None and _said(copy) == _said(other) and _said(copy)[:-1] == _said(kept)[:-1]:
                signed.sign(copy)
                agreed.append(copy)
        LedgerCopy.objects.bulk_update(agreed, ["mac"])
        count += len(agreed)
    return count


def _said(line: LedgerCopy) -> tuple[Any, ...]:
    return (line.kind, line.reference, line.at, line.counts, line.content)


# After a restore ------------------------------------------------------------------------------------------------------


def replay(*, actor: Actor, now: datetime, dry_run: bool = False, new_file: bool = False) -> Report:
    """Bring all three places to the lines that any of them knows, and report. `dry_run` counts and changes nothing.

    Raises FileRefused when the signed file is missing or changed, unless `new_file` gives it up: it is put aside then
    and begun anew from the databases.
    """
    report = Report(problems=maintenance.problems())
    filed = _filed(report, new_file)
    restored = "main_behind" in report.problems
    if restored and not dry_run:
        # People who signed out, or were signed out, since the backup would be signed in again.
        store = import_module(settings.SESSION_ENGINE).SessionStore
        report.sessions = store.get_model_class().objects.all().delete()[0]
    counted = _replay_keys(report, filed, dry_run)
    _end_revived(report, filed, counted, actor, now, dry_run)
    _replay_main(report, filed, restored, new_file, actor, now, dry_run)
    if "keys_behind" in report.problems:
        _count_lost(report)
    if dry_run:
        return report
    for line in _lines_for_main(filed, all_count=new_file):  # what the replay itself destroyed
        try:
            _apply(line, restored=restored, actor=actor, now=now)
        except apply.NotCopied:
            report.uncopied.append(str(line.entry))
    # Restrictions stand in the key store, which may be older than the decisions and holds, or newer.
    restriction.settle_all(actor=actor, now=now)
    if new_file:
        signed_file.put_aside(now)
        filed = {}
    with transaction.atomic():
        _note_filed(LedgerCopy.objects.exclude(entry__in=filed).filter(filed_at__isnull=False), None)
        last = signed_file.last() if filed else None
        end = LedgerCopy.objects.filter(entry=last).values_list("pk", flat=True).first() if last else None
        if end is not None:
            # One that was copied anew behind the file's last line is filed once more, so that the
            # file ends with the newest.
            _note_filed(LedgerCopy.objects.filter(entry__in=filed, filed_at=None, pk__lte=end), now)
    while count := file_copies(now=now):
        report.filed += count
    if report.problems or report.key_lines or report.keys or report.records:
        reason = f"{report.keys} keys, {report.records} envelopes, {len(report.corrections)} corrections lost"
        audit.record("ledger.replayed", actor=actor, now=now, reason=reason)
    maintenance.reasons(afresh=True)
    return report


def _note_filed(lines: models.QuerySet[LedgerCopy], at: datetime | None) -> None:
    """Write when these lines were filed; not into those of another program, which may not let themselves be written."""
    LedgerCopy.objects.filter(pk__in=[line.pk for line in signed.ours(lines)]).update(filed_at=at)


def _filed(report: Report, new_file: bool) -> dict[UUID, LedgerCopy]:
    """Return the lines of the file. Raises FileRefused, and FileOutOfReach for one that may be whole."""
    if "file_unreadable" in report.problems:
        raise FileOutOfReach(maintenance.SENTENCES["file_unreadable"])
    wrong = {"file_missing", "file_broken", "file_behind"}.intersection(report.problems)
    try:
        return {line.entry: line for line in signed_file.read()} if not wrong else _refuse(wrong, new_file)
    except signed_file.FileBroken:
        return _refuse({"file_broken"}, new_file)


def _refuse(wrong: set[str], new_file: bool) -> dict[UUID, LedgerCopy]:
    if not new_file:
        raise FileRefused(" ".join(maintenance.SENTENCES[code] for code in sorted(wrong)))
    return {}


def _replay_keys(report: Report, filed: dict[UUID, LedgerCopy], dry_run: bool) -> set[UUID]:
    """Destroy again the keys of the lines that the file or the main database knows and the key store does not; return
    the names of these lines."""
    have = set(Tombstone.objects.values_list("entry", flat=True))
    lacking = [one for entry, one in filed.items() if entry not in have]
    lacking += list(signed.ours(LedgerCopy.objects.exclude(entry__in=have | set(filed)).order_by("id")))
    report.key_lines = len(lacking)
    if not lacking:
        return set()
    final, replaced = _found_keys(lacking)
    for done, line in enumerate(lacking):
        progress.tell("lines put back into the key store", done, len(lacking))
        pairs, numbers = final.get(line.entry, []), replaced.get(line.entry, [])
        report.keys += len(numbers) + len(keys.alive(pairs))
        if not dry_run:
            keys.destroy_again(line.entry, pairs, numbers, kind=line.kind, reference=line.reference or None,
                               at=line.at, counts=line.counts, content=line.content)  # fmt: skip
            checkpoints.reach("replayed_key_line")
    return {line.entry for line in lacking}


def _end_revived(
    report: Report,
    filed: Mapping[UUID, LedgerCopy],
    counted: Collection[UUID],
    actor: Actor,
    now: datetime,
    dry_run: bool,
) -> None:
    """End the keys again that are alive although a line tells of their end, and the rows that came back with them;
    those of the lines that are `counted` have ended by now, and would have after a dry run."""
    lines = chain(filed.values(), (one for one in revived.copies() if one.entry not in filed))
    by_line: dict[tuple[UUID, bool], list[ledger.Gone]] = defaultdict(list)
    for entry, gone in revived.find(lines):
        if entry not in counted:
            by_line[entry, gone.is_final].append(gone)
    for (entry, is_final), went in by_line.items():
        report.keys += len(went)
        if dry_run:
            report.records += apply.standing(went)
            continue
        keys.end_again(entry, [one.number for one in went], at=now, frees_place=not is_final)
        with transaction.atomic():
            report.records += apply.end_again(went, actor=actor, now=now).records
        checkpoints.reach("ended_revived")


def _found_keys(lines: list[LedgerCopy]) -> tuple[dict[UUID, list[keys.Pair]], dict[UUID, list[int]]]:
    """Find what the hashes of the lines stand for: walk all keys, and the rows for pairs whose key came later."""
    pairs = {one: line.entry for line in lines for one in ledger.hashes(line.content, "pairs")}
    numbers = {one: line.entry for line in lines for one in ledger.hashes(line.content, "keys")}
    final: dict[UUID, list[keys.Pair]] = defaultdict(list)
    replaced: dict[UUID, list[int]] = defaultdict(list)
    total, done = DataKey.objects.count(), 0
    for rows in _walk_keys():
        done += len(rows)
        progress.tell("keys looked at", done, total)
        for number, record, name in rows:
            if entry := pairs.get(ledger.pair_hash(record, name)):
                final[entry].append((record, name))
            if entry := numbers.get(ledger.key_hash(number)):
                replaced[entry].append(number)
    for declaration in datamap.declarations():
        if declaration.facts is None:
            continue
        for record in models.QuerySet(declaration.model).values_list("pk", flat=True).iterator(chunk_size=CHUNK):
            for name in declaration.envelopes():
                entry = pairs.get(ledger.pair_hash(record, name))
                if entry and (record, name) not in final[entry]:
                    final[entry].append((record, name))
    return final, replaced


def _walk_keys() -> Iterator[list[tuple[int, UUID, str]]]:
    last = -(2**63)
    while True:
        with cursor() as cur:
            cur.execute(
                "SELECT id, record, envelope FROM vault_datakey WHERE id > %s ORDER BY id LIMIT %s", [last, CHUNK]
            )
            rows = cur.fetchall()
        if not rows:
            return
        last = rows[-1][0]
        yield rows


def _replay_main(
    report: Report,
    filed: Mapping[UUID, LedgerCopy],
    restored: bool,
    new_file: bool,
    actor: Actor,
    now: datetime,
    dry_run: bool,
) -> None:
    """Do again in the main database what the lines say that it lacks."""
    total = sum(len(page) for page in maintenance.waiting())
    report.main_lines = total
    for number, line in enumerate(_lines_for_main(filed, all_count=new_file)):
        progress.tell("lines done again in the main database", number, total)
        if dry_run:
            report.records += apply.standing(line.went)
            continue
        try:
            done = _apply(line, restored=restored, actor=actor, now=now)
        except apply.NotCopied:
            continue  # tried once more at the end
        if done is not None:
            report.records += done.records
            report.requests += done.requests
            report.corrections += done.corrections
        checkpoints.reach("replayed_main_line")


def _count_lost(report: Report) -> None:
    """Count envelopes whose key the key store never had: it is older than they are."""
    for declaration in datamap.declarations():
        for name in erasure.sealed_envelopes(declaration.model):
            column = f"sealed_{name}"
            rows: models.QuerySet[Any] = (
                models.QuerySet(declaration.model).filter(**{f"{column}__isnull": False}).order_by("pk")
            )
            called = declaration.reference or "pk"
            found = rows.values_list("pk", called, column).iterator(chunk_size=CHUNK)
            while some := list(islice(found, CHUNK)):
                by_key = {envelope.key_id(sealed): reference or pk for pk, reference, sealed in some}
                _lost(report, declaration.label, name, by_key)


def _lost(report: Report, label: str, name: str, by_key: dict[int, Any]) -> None:
    known = set(DataKey.objects.filter(pk__in=by_key).values_list("pk", flat=True))
    for number, called in by_key.items():
        if number not in known:
            report.lost_keys += 1
            if len(report.lost) < NAMED:
                report.lost.append({"label": label, "record": str(called), "envelope": name})


@contextmanager
def alone() -> Iterator[bool]:
    """Yield whether this is the only `follow` or `replay` now. The lock is the session's: each line is a
    transaction."""
    with connection.cursor() as cur:
        cur.execute("SELECT pg_try_advisory_lock(hashtext('task:ledger'))")
        taken = bool(cur.fetchone()[0])
    try:
        yield taken
    finally:
        if taken:
            with connection.cursor() as cur:
                cur.execute("SELECT pg_advisory_unlock(hashtext('task:ledger'))")

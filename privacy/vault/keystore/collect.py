"""The key collector: ends what a crash between two commits left behind.

Must never happen: a key destroyed that a row still needs. The row is the judge: a key lives when the header
in its row names it. Any other key is only doubted at first. Where the row names another key, the doubted one is
destroyed at a second look, a grace period later than the first; grace is longer than any transaction. Where no row
names any, a crash has left the key, or somebody has taken the row away, whom a backup of the main database undoes only
as long as the key lives: there the second look is a week after the first, and where more than CAP keys are due
at once none is destroyed before an operator says so. A key that a row names again is doubted no more. A destroyed key
cannot be brought back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction

from privacy.vault import in_use
from privacy.vault.in_use import GRACE
from privacy.vault.keystore.ending import end
from privacy.vault.keystore.sql import KEYSTORE, cursor
from privacy.vault.typecasts import array
from privacy.work import progress
from privacy.work.broken import Findings, spared

log = structlog.get_logger(__name__)
CHUNK = 5_000
WEEK = timedelta(days=7)
#: So many keys that no row names any more end in one run by themselves; a crash leaves few.
CAP = 100
_FIRST = -(2**63)
# number, record, envelope, label, successor, old enough to judge; doubted at all, for the grace, for a week
Row = tuple[int, UUID, str, str, int | None, bool, bool, bool, bool]


@dataclass
class Report:
    """What one run found and did, in keys."""

    looked_at: int = 0
    finished: int = 0  # superseded keys whose successor a row names: destroyed
    reinstated: int = 0  # keys whose correction was rolled back: current again
    doubted: int = 0  # orphans seen for the first time
    destroyed: int = 0  # orphans seen again after the grace period; where no row names any key, after a week
    waiting: int = 0  # orphans whose grace period, or week, is not over
    stopped_by_cap: int = 0  # orphans without any named key that are due, and too many to end by themselves
    broken: int = 0  # records whose keys could not be judged: left alone, named in the log

    def add(self, other: Report) -> None:
        """Count what another report counted."""
        for name, count in asdict(other).items():
            setattr(self, name, getattr(self, name) + count)

    def as_dict(self) -> dict[str, int]:
        """Return the report for a program."""
        return asdict(self)


def collect(*, dry_run: bool = False, beyond_cap: bool = False, chunk: int = CHUNK) -> Report:
    """Look at every live key of a sealed model; return what was found (and done, unless `dry_run`).

    Keys that belong to no model (pseudonyms, sealed files) end with their owner and are left alone. `beyond_cap`: an
    operator has looked at why so many keys have lost their rows, and lets them end.
    """
    report = Report()
    labels = sorted(in_use.models())
    is_stopped = not beyond_cap and _due(labels) > CAP
    for rows in _chunks(labels, chunk):
        _judge(rows, report, dry_run, is_stopped)
        progress.tell("keys looked at", report.looked_at)
    if report.stopped_by_cap:
        log.error("keys.too_many_orphans", keys=report.stopped_by_cap, cap=CAP)
    return report


def _due(labels: list[str]) -> int:
    """Count the keys that have been doubted for a week: those with a successor end after an hour."""
    with cursor() as cur:
        cur.execute(
            """SELECT count(*) FROM vault_datakey
               WHERE destroyed_at IS NULL AND label = ANY(%s::text[]) AND doubted_at < now() - %s::interval""",
            [array(labels), f"{WEEK.total_seconds()} seconds"],
        )
        return int(cur.fetchone()[0])


def _chunks(labels: list[str], chunk: int) -> Iterator[list[Row]]:
    last: tuple[str, int] = (str(UUID(int=0)), _FIRST)
    grace = f"{GRACE.total_seconds()} seconds"
    while True:
        with cursor() as cur:
            # by record: all keys of one pair must be judged together. Old enough: created before the grace
            cur.execute(
                """SELECT id, record, envelope, label, superseded_by, created_at < now() - %s::interval,
                          doubted_at IS NOT NULL, coalesce(doubted_at < now() - %s::interval, false),
                          coalesce(doubted_at < now() - %s::interval, false)
                   FROM vault_datakey
                   WHERE destroyed_at IS NULL AND label = ANY(%s::text[]) AND (record, id) > (%s::uuid, %s)
                   ORDER BY record, id LIMIT %s""",
                [grace, grace, f"{WEEK.total_seconds()} seconds", array(labels), *last, chunk],
            )
            rows: list[Row] = cur.fetchall()
        if not rows:
            return
        if len(rows) == chunk and rows[0][1] != rows[-1][1]:
            # the last record may go on in the next chunk: leave it for then
            rows = [row for row in rows if row[1] != rows[-1][1]]
        last = (str(rows[-1][1]), rows[-1][0])
        yield rows


def _judge(rows: list[Row], report: Report, dry_run: bool, is_stopped: bool) -> None:
    report.looked_at += len(rows)
    by_envelope: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        by_envelope[row[3], row[2]].append(row)
    for (label, envelope), listed in by_envelope.items():
        _judge_envelope(label, envelope, listed, report, dry_run, is_stopped)


def _judge_envelope(
    label: str, envelope: str, listed: list[Row], report: Report, dry_run: bool, is_stopped: bool
) -> None:
    """Judge the keys of one envelope; a record whose row or keys cannot be judged is left alone, and counted."""
    pairs: dict[UUID, list[Row]] = defaultdict(list)
    for row in listed:
        pairs[row[1]].append(row)
    judged: dict[UUID, Report] = {}

    def judge(records: Sequence[UUID]) -> None:
        named = in_use.named(label, envelope, records)
        if named is None:
            return
        for record in records:
            # What is done for one stands by itself: asked again, because its neighbour failed, it is found done.
            one = Report()
            _judge_pair(record, record in named, named.get(record), pairs[record], one, dry_run, is_stopped)
            judged[record] = one

    findings = Findings()
    for _ in spared(list(pairs), judge, step="key", label=label, findings=findings):
        pass
    for one in judged.values():
        report.add(one)
    report.broken += len(findings)


def _judge_pair(
    record: UUID,
    has_row: bool,
    named: int | None,
    rows: list[Row],
    report: Report,
    dry_run: bool,
    is_stopped: bool,
) -> None:
    alive = [row for row in rows if row[0] == named]
    if named is not None and not alive:
        return  # the row names a key that is destroyed or lost: not for a collector to decide
    orphans = [row for row in rows if row[0] != named]
    if alive and alive[0][6] and not dry_run:
        _doubt([row[0] for row in alive], is_doubted=False)  # its row is back, or a save took it over
    if not orphans or not all(row[5] for row in rows):
        return  # nothing to do, or too young: a transaction may still be under way
    again = [row for row in orphans if row[7 if alive else 8]]
    first = [row[0] for row in orphans if not row[6]]
    report.waiting += len(orphans) - len(again) - len(first)
    if first:
        report.doubted += len(first)
        if not dry_run:
            _doubt(first, is_doubted=True)
            if not alive:
                log.warning("key.without_row", label=rows[0][3], record=str(record), has_row=has_row, keys=len(first))
    if is_stopped and not alive:
        report.stopped_by_cap += len(again)
    elif len(again) == len(orphans):
        superseded = [row for row in again if alive and row[4] is not None]
        report.finished += len(superseded)
        report.destroyed += len(again) - len(superseded)
        is_back = bool(alive) and alive[0][4] is not None
        report.reinstated += is_back
        if not dry_run:
            _end(record, named if alive else None, [row[0] for row in again], has_row)


def _doubt(numbers: list[int], *, is_doubted: bool) -> None:
    value = "coalesce(doubted_at, now())" if is_doubted else "NULL"
    with transaction.atomic(using=KEYSTORE, durable=True), cursor() as cur:
        cur.execute(f"UPDATE vault_datakey SET doubted_at = {value} WHERE id = ANY(%s::bigint[])", [array(numbers)])  # noqa: S608


def _end(record: UUID, survivor: int | None, orphans: list[int], has_row: bool) -> None:
    with transaction.atomic(using=KEYSTORE, durable=True), cursor() as cur:
        # one more key than we judged means that somebody writes this envelope right now: leave it
        expected: list[Any] = [*orphans, *([survivor] if survivor is not None else [])]
        cur.execute(
            """SELECT id FROM vault_datakey WHERE record = %s AND destroyed_at IS NULL
               AND envelope = (SELECT envelope FROM vault_datakey WHERE id = %s) ORDER BY id FOR UPDATE""",
            [str(record), orphans[0]],
        )
        if {row[0] for row in cur.fetchall()} != set(expected):
            return
        # A row with an empty envelope may be filled again, so its orphan gives the pair's place free; without a row the
        # destroyed key keeps the place, as after an erasure.
        end(cur, orphans, successor=survivor, frees_place=has_row)
        if survivor is not None:
            cur.execute("UPDATE vault_datakey SET superseded_by = NULL, doubted_at = NULL WHERE id = %s", [survivor])

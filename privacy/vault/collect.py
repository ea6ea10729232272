"""The key collector: ends what a crash between two commits left behind.

Must never happen: a key destroyed that a row still needs. The row is the judge: a key lives when the header
in its row names it. Any other key is only doubted at first, and destroyed when it is still unnamed at a
second look, a grace period later than the first; grace is longer than any transaction. A destroyed key
cannot be brought back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from privacy import progress
from privacy.broken import Findings, spared
from privacy.vault import ledger, living
from privacy.vault.living import GRACE
from privacy.vault.sql import KEYSTORE, array, cursor

CHUNK = 5_000
_FIRST = -(2**63)
Row = tuple[int, UUID, str, str, int | None, bool, bool]


@dataclass
class Report:
    """What one run found and did, in keys."""

    looked_at: int = 0
    finished: int = 0  # superseded keys whose successor a row names: destroyed
    reinstated: int = 0  # keys whose correction was rolled back: current again
    doubted: int = 0  # orphans seen for the first time
    destroyed: int = 0  # orphans seen again after the grace period
    broken: int = 0  # records whose keys could not be judged: left alone, named in the log

    def add(self, other: Report) -> None:
        """Count what another report counted."""
        for name, count in asdict(other).items():
            setattr(self, name, getattr(self, name) + count)

    def as_dict(self) -> dict[str, int]:
        """Return the report for a program."""
        return asdict(self)


def collect(*, dry_run: bool = False, chunk: int = CHUNK) -> Report:
    """Look at every live key of a sealed model; return what was found (and done, unless `dry_run`).

    Keys that belong to no model (pseudonyms, sealed files) end with their owner and are left alone.
    """
    report = Report()
    for rows in _chunks(sorted(living.models()), chunk):
        _judge(rows, report, dry_run)
        progress.tell("keys looked at", report.looked_at)
    return report


def _chunks(labels: list[str], chunk: int) -> Iterator[list[Row]]:
    last: tuple[str, int] = (str(UUID(int=0)), _FIRST)
    grace = f"{GRACE.total_seconds()} seconds"
    while True:
        with cursor() as cur:
            # by record: all keys of one pair must be judged together. Old enough: created before the grace
            cur.execute(
                """SELECT id, record, envelope, label, superseded_by, created_at < now() - %s::interval,
                          coalesce(doubted_at < now() - %s::interval, false)
                   FROM vault_datakey
                   WHERE destroyed_at IS NULL AND label = ANY(%s::text[]) AND (record, id) > (%s::uuid, %s)
                   ORDER BY record, id LIMIT %s""",
                [grace, grace, array(labels), *last, chunk],
            )
            rows: list[Row] = cur.fetchall()
        if not rows:
            return
        if len(rows) == chunk and rows[0][1] != rows[-1][1]:
            # the last record may go on in the next chunk: leave it for then
            rows = [row for row in rows if row[1] != rows[-1][1]]
        last = (str(rows[-1][1]), rows[-1][0])
        yield rows


def _judge(rows: list[Row], report: Report, dry_run: bool) -> None:
    report.looked_at += len(rows)
    by_envelope: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        by_envelope[row[3], row[2]].append(row)
    for (label, envelope), listed in by_envelope.items():
        _judge_envelope(label, envelope, listed, report, dry_run)


def _judge_envelope(label: str, envelope: str, listed: list[Row], report: Report, dry_run: bool) -> None:
    """Judge the keys of one envelope; a record whose row or keys cannot be judged is left alone, and counted."""
    pairs: dict[UUID, list[Row]] = defaultdict(list)
    for row in listed:
        pairs[row[1]].append(row)
    judged: dict[UUID, Report] = {}

    def judge(records: Sequence[UUID]) -> None:
        named = living.named(label, envelope, records)
        if named is None:
            return
        for record in records:
            # What is done for one stands by itself: asked again, because its neighbour failed, it is found done.
            one = Report()
            _judge_pair(record, record in named, named.get(record), pairs[record], one, dry_run)
            judged[record] = one

    findings = Findings()
    for _ in spared(list(pairs), judge, step="key", label=label, findings=findings):
        pass
    for one in judged.values():
        report.add(one)
    report.broken += len(findings)


def _judge_pair(record: UUID, has_row: bool, named: int | None, rows: list[Row], report: Report, dry_run: bool) -> None:
    alive = [row for row in rows if row[0] == named]
    if named is not None and not alive:
        return  # the row names a key that is destroyed or lost: not for a collector to decide
    orphans = [row for row in rows if row[0] != named]
    if not orphans or not all(row[5] for row in rows):
        return  # nothing to do, or too young: a transaction may still be under way
    again = [row for row in orphans if row[6]]
    first = [row[0] for row in orphans if not row[6]]
    if first:
        report.doubted += len(first)
        if not dry_run:
            with transaction.atomic(using=KEYSTORE, durable=True), cursor() as cur:
                cur.execute(
                    "UPDATE vault_datakey SET doubted_at = coalesce(doubted_at, now()) WHERE id = ANY(%s::bigint[])",
                    [array(first)],
                )
    if again and not first:
        superseded = [row for row in again if alive and row[4] is not None]
        report.finished += len(superseded)
        report.destroyed += len(again) - len(superseded)
        is_back = bool(alive) and alive[0][4] is not None
        report.reinstated += is_back
        if not dry_run:
            _end(record, named if alive else None, [row[0] for row in again], has_row)


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
        if survivor is not None:
            cur.execute(
                "UPDATE vault_token SET key = %s, next_key = NULL WHERE record = %s AND next_key = %s",
                [survivor, str(record), survivor],
            )
            cur.execute(
                "UPDATE vault_token SET next_key = NULL WHERE record = %s AND next_key = ANY(%s::bigint[])",
                [str(record), array(orphans)],
            )
        # A row with an empty envelope may be filled again, so its orphan gives the pair's place free by
        # superseding itself; without a row the destroyed key keeps the place, as after an erasure.
        cur.execute(
            """UPDATE vault_datakey SET wrapped = NULL, destroyed_at = now(), owner_kind = 'none', owner_id = NULL,
                      superseded_by = coalesce(%s, CASE WHEN %s THEN id END, superseded_by)
               WHERE id = ANY(%s::bigint[])""",
            [survivor, has_row, array(orphans)],
        )
        if survivor is not None:
            cur.execute("UPDATE vault_datakey SET superseded_by = NULL, doubted_at = NULL WHERE id = %s", [survivor])
        cur.execute(
            "DELETE FROM vault_token WHERE record = %s AND key = ANY(%s::bigint[])", [str(record), array(orphans)]
        )
        ledger.note_destroyed(cur, orphans, now=None)

"""Does a log still say what was written? Every row, every link, every checkpoint is computed again.

What it names: an edited, deleted, swapped or inserted row, a link that is missing, a chain cut at its end or its
beginning or made anew, a floor or checkpoint that is forged or does not agree, an erasure of the ledger that the log
does not know, a head of the access log that the audit tells of and the log does not have, a name in it that was changed
or taken away. What is late it says apart: a sealer that is not running, a long chain without checkpoints. What it
cannot: a whole log put back to the state of an earlier checkpoint together with the checkpoint file and the ledger;
that is why a copy of the file belongs elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from privacy.audit import encoding, seals
from privacy.audit.chains import AUDIT, Chain
from privacy.audit.models import ChainFloor, Link
from privacy.vault.keystore import ledger
from privacy.vault.models import Tombstone
from privacy.work import counted, progress
from privacy.work.broken import Findings, spared

UNSEALED_AFTER = timedelta(seconds=60)
UNSIGNED_AFTER = timedelta(hours=3)  # a checkpoint is written every hour, and after each erasure
LEDGER_BACK = timedelta(days=3 * 365)  # older events may have ended
CHUNK = 5000
NAMED = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: a code, the row's number (0 when there is none) and the place in the chain.

    `until` is the last place of a range, 0 where it is one place.
    """

    code: str
    seq: int | str
    position: int = 0
    noun: str = "event"
    until: int = 0

    def __str__(self) -> str:
        places = f"positions {self.position} to {self.until}" if self.until else f"position {self.position or 'none'}"
        if self.code in ("name", "ledger_copy", "ledger_line"):
            return f"{SENTENCES[self.code]} ({'name' if self.code == 'name' else 'line'} {self.seq})"
        if self.code == "key_alive":
            return f"{SENTENCES[self.code]} ({self.seq})"
        where = f"({self.noun} {self.seq or 'unknown'}, {places})"
        return f"{SENTENCES[self.code]} {where}"


SENTENCES = {
    "edited": "The row is not what the program wrote",
    "changed_after_seal": "The row is not what was sealed",
    "missing": "A sealed row is gone",
    "inserted": "The row was not written by the program",
    "duplicate": "The row is a copy of another",
    "gap": "The chain has no link here",
    "chain": "The chain does not continue from the link before",
    "floor": "Where the chain begins is not signed by this installation, or links from before it are back",
    "checkpoint": "A signed checkpoint does not agree with the chain",
    "checkpoint_signature": "A checkpoint on file is not signed by this installation, or a line was taken out",
    "head": "The audit log tells of a signed head that the chain does not have: its end was cut off or made anew",
    "name": "Whose openings stand under a name was changed, put back or taken away by another program",
    "ledger_copy": "A line of the main database's copy of the ledger was not written by the program, or was changed",
    "ledger_line": "A line of the key store's ledger cannot be read, or is the proof of a request and was not written by the program",
    "key_alive": "Keys of whose end a line of the ledger tells are alive again: run replay_ledger",
    "ledger": "An erasure stands in the ledger of the key store, and the log does not tell of it: its end was cut off",
}


@dataclass(frozen=True, slots=True)
class Behind:
    """What is not wrong but late: a code, how many rows or links wait, and since when the oldest does."""

    code: str
    count: int
    since: datetime

    def __str__(self) -> str:
        return f"{LATE[self.code].format(count=counted.of(self.count, WAITS[self.code]))}, the oldest since {self.since:%Y-%m-%d %H:%M} UTC"


LATE = {
    "sealer": "The sealer is not running, or has only just begun: {count} not sealed after a minute",
    "checkpoints": "No checkpoint was written lately: {count} not signed outside the database",
}


#: What waits, where something is late.
WAITS = {"sealer": "row", "checkpoints": "link"}


@dataclass
class Report:
    """What a verification found: counts, findings in the order of the chain (the first hundred), and what is late."""

    chain: Chain = AUDIT
    events: int = 0
    links: int = 0
    ended: int = 0
    checkpoints: int = 0
    wrong: int = 0
    findings: list[Finding] = field(default_factory=list)
    behind: list[Behind] = field(default_factory=list)

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return self.wrong == 0

    @property
    def first_bad(self) -> int | str | None:
        """The number of the first row in the chain that is wrong, None when all are right."""
        return next((finding.seq for finding in self.findings if finding.seq), None)

    def add(self, code: str, number: Any, position: int = 0, until: int = 0) -> None:
        """Note one thing that is wrong."""
        self.wrong += 1
        if len(self.findings) < NAMED:
            seq = number if isinstance(number, int) else str(number)
            self.findings.append(Finding(code, seq, position, self.chain.noun, until))

    def sort(self) -> None:
        """Put the findings in the order of the chain; what stands nowhere in it comes last."""
        self.findings.sort(key=lambda finding: (not finding.position, finding.position, str(finding.seq)))

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data (docs/schemas/verify_audit.json)."""
        return {
            "log": self.chain.name,
            "intact": self.is_intact,
            "rows": self.events,
            "links": self.links,
            "ended": self.ended,
            "checkpoints": self.checkpoints,
            "wrong": self.wrong,
            "first_bad": self.first_bad,
            "behind": [{"code": b.code, "count": b.count, "since": b.since.isoformat()} for b in self.behind],
            "findings": [
                {"code": f.code, "row": f.seq or None, "position": f.position or None, "until": f.until or None}
                for f in self.findings
            ],
        }


def late(reports: Collection[Report]) -> list[Behind]:
    """Return what is late in several logs together: one sentence for each cause, since one program seals them all."""
    found = [one for report in reports for one in report.behind]
    return [
        Behind(code, sum(one.count for one in of_code), min(one.since for one in of_code))
        for code in LATE
        if (of_code := [one for one in found if one.code == code])
    ]


def verify(*, now: datetime, chain: Chain = AUDIT, also: Iterable[tuple[str, Any]] = ()) -> Report:
    """Compute the whole log again from one snapshot and report what does not agree (P40, Art. 5(2)).

    `also` are findings of others about this log, (code, number), looked for in the same snapshot.
    """
    report = Report(chain)
    lines = seals.checkpoints(chain)
    with transaction.atomic():
        if not connection.savepoint_ids:  # within another transaction its snapshot is what there is
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        position, before = floor_of(report)
        told = _told_heads(chain) if chain.told_as else []
        wanted = {line["position"] for line in lines if line and isinstance(line.get("position"), int)}
        wanted.update(place for place, _ in told)
        heads = walk(report, position, before, wanted=wanted)
        _verify_loose(report, now)
        last = _verify_checkpoints(report, lines, heads, position)
        for place, head in told:
            if place >= position and heads.get(place) != head:
                report.add("head", 0, place)
        _look_for_unsigned(report, last, now)
        for code, number in (*(chain.beside() if chain.beside else ()), *also):
            report.add(code, number)
        if chain is AUDIT:
            _verify_ledger(report, now)
    report.sort()
    return report


def floor_of(report: Report) -> tuple[int, str]:
    """Return place and hash of the newest floor that this installation signed; name those it did not."""
    floors = ChainFloor.objects.filter(chain=report.chain.name).order_by("position")
    position, before = 0, encoding.GENESIS
    for floor in floors:
        if encoding.same(encoding.floor_signature(floor), floor.signature):
            position, before = floor.position, floor.chain_hash
        else:
            report.add("floor", 0, floor.position)
    report.ended = position
    return position, before


def goes_back_to(chain: Chain) -> datetime | None:
    """Return since when a chain tells, by its oldest row: None where it tells from the beginning."""
    position, _ = floor_of(Report(chain))
    link = chain.links.objects.filter(position__gt=position).order_by("position").first() if position else None
    row = chain.rows.objects.filter(pk=link.event_id).first() if link is not None else None
    return row.at if row is not None else None


def walk(
    report: Report, position: int, before: str, *, wanted: Collection[int] = (), upto: int | None = None
) -> dict[int, str]:
    """Verify the links that follow `position`, and their rows; return the chain hash at each of the `wanted`
    positions."""
    chain = report.chain
    heads = {position: before}
    if back := chain.links.objects.filter(position__lte=position).order_by("position").first():
        report.add("floor", back.event_id, back.position)
    for links in _chunks(chain, position, upto):
        rows, unreadable = _rows(chain, [link.event_id for link in links])
        for link in links:
            report.links += 1
            if position + 1 < link.position:  # one finding, however many are lost: a forged place may be far away
                first, last = position + 1, link.position - 1
                report.add("gap", 0, first, last if last > first else 0)
            row = rows.get(link.event_id)
            if link.event_id in unreadable:
                report.events += 1
                report.add("edited", link.event_id, link.position)
            elif row is None:
                report.add("missing", link.event_id, link.position)
            else:
                _verify_row(report, row, link)
            if not encoding.continues(chain.name, before, link):
                report.add("chain", link.event_id, link.position)
            # Go on from what is stored: one finding for one wrong link, not one for all that follow.
            position, before = link.position, link.chain_hash
            if position in wanted:
                heads[position] = before
    return heads


def _rows(chain: Chain, numbers: list[Any]) -> tuple[dict[Any, Any], set[Any]]:
    """Return the rows by number, and the numbers of those that nobody can read: the program wrote none such."""
    findings = Findings()
    found: dict[Any, Any] = {}
    label = chain.rows._meta.label_lower
    for some in spared(numbers, chain.rows.objects.in_bulk, step="verify", label=label, findings=findings):
        found |= some
    broken = {one.record for one in findings}
    return found, {number for number in numbers if str(number) in broken}


def _chunks(chain: Chain, last: int, upto: int | None) -> Iterator[list[Any]]:
    every = chain.links.objects.order_by("position")
    if upto is not None:
        every = every.filter(position__lte=upto)
    while links := list(every.filter(position__gt=last)[:CHUNK]):
        yield links
        last = links[-1].position
        progress.tell("links verified", last)


def _verify_row(report: Report, row: Any, link: Link | None) -> None:
    report.events += 1
    position = link.position if link else 0
    try:
        written_by_us = encoding.same(report.chain.mac(row), row.mac)
        as_sealed = link is None or encoding.same(encoding.row_hash(row, report.chain.canonical(row)), link.row_hash)
    except encoding.UnknownEncoding:
        written_by_us = as_sealed = False
    if not as_sealed:
        report.add("changed_after_seal" if written_by_us else "edited", row.pk, position)
    elif not written_by_us:
        report.add("inserted", row.pk, position)


def _verify_loose(report: Report, now: datetime) -> None:
    """Look at the rows that are not sealed, and for copies."""
    sealed = report.chain.links.objects.filter(event_id=OuterRef("pk"))
    loose = report.chain.rows.objects.filter(~Exists(sealed)).order_by("pk")
    numbers = loose.values_list("pk", flat=True).iterator(chunk_size=CHUNK)
    waiting, since = 0, now
    while some := list(islice(numbers, CHUNK)):
        rows, unreadable = _rows(report.chain, some)
        for number in sorted(unreadable):
            report.events += 1
            report.add("edited", number)
        for row in rows.values():
            wrong = report.wrong
            _verify_row(report, row, None)
            if report.wrong == wrong and row.at < now - UNSEALED_AFTER:
                waiting, since = waiting + 1, min(since, row.at)
    if waiting:
        report.behind.append(Behind("sealer", waiting, since))
    if report.chain.once:
        _find_copies(report)


def _find_copies(report: Report) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY {report.chain.once} ORDER BY id) AS n"  # noqa: S608
            f" FROM {report.chain.rows._meta.db_table}) t WHERE n > 1"
        )
        for (number,) in cursor.fetchall():
            report.add("duplicate", number)


def _verify_checkpoints(
    report: Report, lines: list[dict[str, Any] | None], heads: dict[int, str], begins_after: int
) -> int:
    """Hold every checkpoint on file against the chain; return the place of the last one that agrees, 0 without any."""
    report.checkpoints = len(lines)
    last = 0
    if lines and not seals.chained(seals.lines(report.chain)):
        report.add("checkpoint_signature", 0)
    for line in lines:
        try:
            signed = line is not None and encoding.same(
                encoding.signature(report.chain.name, line), str(line["signature"])
            )
        except (KeyError, TypeError):
            signed = False
        if line is None or not signed:
            place = line.get("position", 0) if line else 0
            number = line.get("event", 0) if line else 0
            report.add("checkpoint_signature", number, place if isinstance(place, int) else 0)
        elif line["position"] >= begins_after and heads.get(line["position"]) != line["chain"]:
            report.add("checkpoint", line["event"], line["position"])
        else:
            last = line["position"]
    return last


def _told_heads(chain: Chain) -> list[tuple[int, str]]:
    """Return place and hash of each head of this chain that the audit tells of, oldest first.

    Only of events that this program wrote: the others are named when the audit is verified.
    """
    events = AUDIT.rows.objects.filter(action=chain.told_as, reference=chain.name).order_by("pk")
    numbers = list(events.values_list("pk", flat=True))
    told = []
    for start in range(0, len(numbers), CHUNK):
        rows, _ = _rows(AUDIT, numbers[start : start + CHUNK])
        told += [(int(row.fields[0]), row.reason) for row in rows.values() if encoding.is_ours(row)]
    return told


def _look_for_unsigned(report: Report, last: int, now: datetime) -> None:
    """Say when the chain goes on for long without a checkpoint: its end could be cut off unseen."""
    late = report.chain.links.objects.filter(position__gt=last, sealed_at__lt=now - UNSIGNED_AFTER)
    count, since = late.count(), late.order_by("position").values_list("sealed_at", flat=True).first()
    if since is not None:
        report.behind.append(Behind("checkpoints", count, since))


def _verify_ledger(report: Report, now: datetime) -> None:
    """Hold the log against the ledger of erasures, which lies in another database: each one stands in the log as
    well."""
    since = now - LEDGER_BACK
    lines = Tombstone.objects.filter(kind=Tombstone.Kind.REQUEST, at__gte=since, at__lt=now - UNSEALED_AFTER)
    references = [line.reference for line in ledger.readable(lines.order_by("seq")) if line.content.get("audited")]
    for start in range(0, len(references), CHUNK):
        some = references[start : start + CHUNK]
        told = report.chain.rows.objects.filter(action="request.executed", reference__in=some)
        known = set(told.values_list("reference", flat=True))
        for reference in some:
            if reference not in known:
                report.add("ledger", reference)

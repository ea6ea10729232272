"""Does the log still say what was written? Every event, every link, every checkpoint is computed again.

What it names: an edited, deleted, swapped or inserted row, a link that is missing, a chain cut at its end or made
anew, a checkpoint that does not agree, events left unsealed. What it cannot: a whole log put back to the state of an
earlier checkpoint together with the checkpoint file; that is why a copy of the file belongs elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db import connection, transaction

from privacy import progress
from privacy.audit import encoding, seals
from privacy.audit.models import AuditEvent, AuditLink
from privacy.broken import Findings, spared

UNSEALED_AFTER = timedelta(seconds=60)
CHUNK = 5000
NAMED = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: a code, the event's number (0 when there is none) and the place in the chain."""

    code: str
    seq: int
    position: int = 0

    def __str__(self) -> str:
        return f"{SENTENCES[self.code]} (event {self.seq or 'unknown'}, position {self.position or 'none'})"


SENTENCES = {
    "edited": "The row is not what the program wrote",
    "changed_after_seal": "The row is not what was sealed",
    "missing": "A sealed row is gone",
    "inserted": "The row was not written by the program",
    "duplicate": "The row is a copy of another",
    "gap": "A link of the chain is gone",
    "chain": "The chain does not continue from the link before",
    "unsealed": "The row is older than a minute and not sealed",
    "checkpoint": "A signed checkpoint does not agree with the chain",
    "checkpoint_signature": "A checkpoint on file is not signed by this installation, or a line was taken out",
}


@dataclass
class Report:
    """What a verification found: counts, and findings in the order of the chain (the first hundred)."""

    events: int = 0
    links: int = 0
    ended: int = 0
    checkpoints: int = 0
    wrong: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return self.wrong == 0

    @property
    def first_bad(self) -> int | None:
        """The lowest number of an event that is wrong, None when all are right."""
        return min((finding.seq for finding in self.findings if finding.seq), default=None)

    def add(self, code: str, seq: int, position: int = 0) -> None:
        self.wrong += 1
        if len(self.findings) < NAMED:
            self.findings.append(Finding(code, seq, position))

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "intact": self.is_intact,
            "events": self.events,
            "links": self.links,
            "ended": self.ended,
            "checkpoints": self.checkpoints,
            "wrong": self.wrong,
            "first_bad": self.first_bad,
            "findings": [{"code": f.code, "seq": f.seq, "position": f.position} for f in self.findings],
        }


def verify(*, now: datetime) -> Report:
    """Compute the whole log again from one snapshot and report what does not agree (P40, Art. 5(2))."""
    report = Report()
    lines = seals.checkpoints()
    with transaction.atomic():
        if connection.in_atomic_block and len(connection.savepoint_ids) == 0:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        wanted = {line["position"] for line in lines if line and isinstance(line.get("position"), int)}
        heads = _verify_chain(report, now, wanted)
        _verify_loose(report, now)
    _verify_checkpoints(report, lines, heads)
    report.findings.sort(key=lambda finding: (finding.seq or 0, finding.position))
    return report


def _verify_chain(report: Report, now: datetime, wanted: set[int]) -> dict[int, str]:
    """Walk the links in order; return the chain hash at each of the `wanted` positions."""
    ended_before = seals.ends_before(now)
    heads: dict[int, str] = {}
    position, before = 0, encoding.GENESIS
    for links in _chunks():
        events, unreadable = _events([link.event_id for link in links])
        for link in links:
            report.links += 1
            while position + 1 < link.position:  # each lost link is named by its place
                position += 1
                report.add("gap", 0, position)
            event = events.get(link.event_id)
            if link.event_id in unreadable:
                report.events += 1
                report.add("edited", link.event_id, link.position)
            elif event is None and link.sealed_at < ended_before:
                report.ended += 1
            elif event is None:
                report.add("missing", link.event_id, link.position)
            else:
                _verify_event(report, event, link)
            expected = encoding.chain_hash(before, link)
            if not encoding.same(expected, link.chain_hash):
                report.add("chain", link.event_id, link.position)
            # Go on from what is stored: one finding for one wrong link, not one for all that follow.
            position, before = link.position, link.chain_hash
            if position in wanted:
                heads[position] = before
    return heads


def _events(numbers: list[int]) -> tuple[dict[int, AuditEvent], set[int]]:
    """Return the events by number, and the numbers of those whose rows nobody can read: the program wrote none such."""
    findings = Findings()
    found: dict[int, AuditEvent] = {}
    for some in spared(
        numbers, AuditEvent.objects.in_bulk, step="verify", label="privacy.auditevent", findings=findings
    ):
        found |= some
    return found, {int(one.record) for one in findings}


def _chunks() -> Iterator[list[AuditLink]]:
    last = -1
    while links := list(AuditLink.objects.filter(position__gt=last).order_by("position")[:CHUNK]):
        yield links
        last = links[-1].position
        progress.tell("links verified", last)


def _verify_event(report: Report, event: AuditEvent, link: AuditLink | None) -> None:
    report.events += 1
    position = link.position if link else 0
    try:
        written_by_us = encoding.same(encoding.mac(event), event.mac)
        as_sealed = link is None or encoding.same(encoding.row_hash(event), link.row_hash)
    except encoding.UnknownEncoding:
        written_by_us = as_sealed = False
    if not as_sealed:
        report.add("changed_after_seal" if written_by_us else "edited", event.pk, position)
    elif not written_by_us:
        report.add("inserted", event.pk, position)


def _verify_loose(report: Report, now: datetime) -> None:
    """Look at the events that are not sealed, and for copies."""
    loose = AuditEvent.objects.extra(
        where=["NOT EXISTS (SELECT 1 FROM privacy_auditlink l WHERE l.event_id = privacy_auditevent.id)"]
    ).order_by("pk")
    numbers = loose.values_list("pk", flat=True).iterator(chunk_size=CHUNK)
    while some := list(islice(numbers, CHUNK)):
        events, unreadable = _events(some)
        for number in sorted(unreadable):
            report.events += 1
            report.add("edited", number)
        _verify_some(report, events.values(), now)
    _find_copies(report)


def _verify_some(report: Report, events: Iterable[AuditEvent], now: datetime) -> None:
    for event in events:
        wrong = report.wrong
        _verify_event(report, event, None)
        if report.wrong == wrong and event.at < now - UNSEALED_AFTER:
            report.add("unsealed", event.pk)


def _find_copies(report: Report) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY event ORDER BY id) AS n"
            " FROM privacy_auditevent) t WHERE n > 1"
        )
        for (number,) in cursor.fetchall():
            report.add("duplicate", number)


def _verify_checkpoints(report: Report, lines: list[dict[str, Any] | None], heads: dict[int, str]) -> None:
    report.checkpoints = len(lines)
    path = seals.file()
    if lines and not seals.chained(path.read_bytes().splitlines()):
        report.add("checkpoint_signature", 0)
    for line in lines:
        try:
            signed = line is not None and encoding.same(encoding.signature(line), str(line["signature"]))
        except (KeyError, TypeError):
            signed = False
        if line is None or not signed:
            report.add(
                "checkpoint_signature",
                int(line.get("event", 0)) if line else 0,
                int(line.get("position", 0)) if line else 0,
            )
        elif heads.get(line["position"]) != line["chain"]:
            report.add("checkpoint", line["event"], line["position"])

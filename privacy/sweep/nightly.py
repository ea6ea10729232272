"""The nightly sweep: ends what has outlived its reason, without anybody asking (P10, Art. 5(1)(e)).

What must never happen: a record erased that a rule or a hold still covers, be it by a wrong clock, a wrong rule or an
import gone wrong, or because a day that was told has come while something is open. There is no undo. So the sweep is
unarmed on a new installation and only counts; it goes by the database's clock and refuses one that jumped; it ends data
of at most a small part of all people a night, so that a mistake is noticed while it is small; and every batch looks
again at the facts, the holds and the rules. Whose a record is, how many people there are, and whether something has
ended, says the key store: a row may be hung on somebody else, or be away, for a night. A broken record is a finding of
the report: it is kept, and all others go on. Ends that a person was told (pinned) go first and outside that cap; what
is open then stays, and they are written why. Killed anywhere, it has done some batches and not the others; the next run
goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q

from privacy import audit, datamap, vault
from privacy.actor import Actor
from privacy.calendar import company_day
from privacy.calendar.days import PastDateField
from privacy.datamap import Declaration
from privacy.facts import Facts
from privacy.requests import begin, bound, doubt, erasure, history, longer, whose
from privacy.requests.models import Request
from privacy.retention import decided, in_force, restriction, rules
from privacy.retention.assess import NO_PINS, Pins, assess
from privacy.retention.gather import read, with_flags
from privacy.retention.models import Decision
from privacy.retention.rules import Schedule
from privacy.retention.verdict import Verdict
from privacy.sweep import arming, notices, second_letter
from privacy.sweep.arming import FutureDay, alone, database_now, mark
from privacy.sweep.models import SweepState
from privacy.sweep.report import SweepReport
from privacy.work import progress
from privacy.work.broken import NAMED, Findings, spared

BATCH = 200
CAP_LEAST = 20
CAP_SHARE = 100  # one in a hundred
Look = Callable[[Findings], None]


def sweep(*, on: date | None = None, dry_run: bool, actor: Actor | None, also: Look = lambda _: None) -> SweepReport:
    """End what has outlived its reason on `on` (today by the database's clock) and return what was found and done.

    `also` looks at what is no record of a person's, and notes what is broken there among the findings. A dry run
    changes nothing and needs no arming. Raises NotArmed, ClockJumped, FutureDay, AlreadyRunning, and ScheduleError when
    the schedule cannot be read: then nothing was erased.
    """
    schedule = rules.load()
    now = database_now()
    today = company_day(now)
    day = on or today
    if dry_run:
        report = SweepReport(on=day, is_dry_run=True)
        _Run(report, schedule, actor=actor, now=now).go()
        also(report.findings)
        return report
    if day > today and not settings.DEMO:
        raise FutureDay("A day that has not come can only be counted: use --dry-run.")
    with alone():
        mark(now)
        report = SweepReport(on=day, is_dry_run=False)
        _Run(report, schedule, actor=actor, now=now).go()
        # What has come under another reason, or under a hold alone, opens to others from now on.
        restriction.settle_all(actor=actor, now=now, findings=report.findings)
        also(report.findings)
        SweepState.objects.filter(pk=SweepState.ONLY).update(last_report=report.as_dict())
        audit.record("retention.swept", actor=actor, now=now, reason=report.counts())
    return report


def count(*, actor: Actor | None, also: Look = lambda _: None) -> SweepReport:
    """Count what is due while the sweep is not armed, keep the counts for those who read what waits, and return them.

    Erases nothing. Raises ScheduleError when the schedule cannot be read.
    """
    report = sweep(dry_run=True, actor=actor, also=also)
    SweepState.objects.update_or_create(pk=SweepState.ONLY, defaults={"last_report": report.as_dict()})
    return report


def cap() -> int:
    """Return how many people one night may end data of without their having been told: 20, or 1 % of all of whom the
    key store has keys. A row more in the main database is nobody."""
    return max(CAP_LEAST, vault.keys.people() // CAP_SHARE)


# One run -------------------------------------------------------------------------------------------------------------


class _Run:
    """One run: first what people were told, then the schedule, in batches with a transaction each."""

    def __init__(self, report: SweepReport, schedule: Schedule, *, actor: Actor | None, now: datetime) -> None:
        self.report, self.schedule, self.actor, self.now = report, schedule, actor, now
        self.on = report.on
        self.cap = cap()
        self.findings = report.findings
        self.people: set[object] = set()
        # A run that was lost half way, or asked for again, goes on with the cap of its night. An operator who types one
        # more looked at the last.
        is_asked = actor is not None and actor.kind == "operator"
        self.before = 0 if report.is_dry_run or is_asked else arming.ended_on(self.on)
        self.seen: set[UUID] = set()
        self.warned: set[UUID] = set()

    def go(self) -> None:
        if not self.report.is_dry_run:
            notices.note_told(self.findings)  # before the letters that tell it may end
            begin.pin_again(findings=self.findings)  # before anything that was told ends by the schedule, untold
        for label, ids in self._told():
            self._end_told(datamap.for_label(label), ids)
        if not self.report.is_dry_run:
            # before the files of requests are looked at, which may end as well
            second_letter.write(on=self.on, now=self.now, findings=self.findings)
            longer.write(on=self.on, actor=self.actor, now=self.now, findings=self.findings)
        for declaration in datamap.declarations():
            if declaration.facts is None or not declaration.envelopes():
                continue
            for ids in self._candidates(declaration, self.on):
                self._end_scheduled(declaration, ids)
        for declaration in datamap.declarations():
            days = max((self.schedule[name].warn_days for name in declaration.envelopes()), default=0)
            if declaration.facts is not None and days and not self.report.is_dry_run:
                for ids in self._candidates(declaration, self.on + timedelta(days=days)):
                    self._warn(declaration, ids, days)
        self._find_days_that_have_not_come()

    def _find_days_that_have_not_come(self) -> None:
        """Note the records that say something happened on a day that has not come: no sweep would ever end them."""
        tomorrow = company_day(self.now) + timedelta(days=1)
        for declaration in datamap.declarations():
            columns = [one.name for one in declaration.model._meta.concrete_fields if type(one) is PastDateField]
            if not columns:
                continue
            late = Q(*((f"{name}__gt", max(tomorrow, self.on)) for name in columns), _connector=Q.OR)
            rows: models.QuerySet[Any] = models.QuerySet(declaration.model).filter(late).order_by("pk")
            for number in rows.values_list("pk", flat=True)[:NAMED]:
                self.findings.note("day", declaration.label, number, "DayNotCome")

    # What people were told: pinned ends that have come, and what only waited for something.

    def _told(self) -> Iterator[tuple[str, list[UUID]]]:
        """Yield (label, record ids) of pinned decisions that are due or may have become due: an index finds them."""
        waiting = Decision.objects.filter(
            pinned=True, done_at=None, action=Decision.Action.KEEP, record_id__isnull=False
        )
        due = waiting.filter(Q(until__lt=self.on) | Q(until=None) | Q(code="KEEP_CONTRACT"))
        for label in sorted(due.values_list("label", flat=True).distinct().order_by()):
            if _has_facts(label):
                ids = due.filter(label=label).order_by("record_id").values_list("record_id", flat=True).distinct()
                yield from ((label, batch) for batch in _batches(ids))

    def _end_told(self, declaration: Declaration, ids: list[UUID]) -> None:
        found = self._facts(declaration, ids)
        decisions = Decision.objects.filter(
            label=declaration.label, pinned=True, done_at=None, action=Decision.Action.KEEP
        ).order_by("pk")
        pinned: dict[tuple[UUID, str], list[Decision]] = {}  # of one, more than one request may speak
        for some in spared(
            ids,
            lambda some: list(decisions.filter(record_id__in=some)),
            step="decision",
            label=declaration.label,
            findings=self.findings,
        ):
            for one in some:
                if one.record_id is not None and self._is_ours(one):
                    pinned.setdefault((one.record_id, one.envelope), []).append(one)
        pins: Pins = {
            key: min((one.until for one in those if one.until is not None), default=None)
            for key, those in pinned.items()
        }
        on_hold = in_force.on_hold((declaration.label, pk) for pk in ids)
        ending: list[Verdict] = []
        away: dict[tuple[UUID, str], list[Decision]] = {}
        for record_id in ids:
            keys = [key for key in pinned if key[0] == record_id]
            verdicts = self._judge(found[record_id], on_hold, asked=True, pins=pins) if record_id in found else {}
            for key in keys:
                verdict = verdicts.get(key)
                if verdict is None:
                    away[key] = pinned[key]
                elif verdict.is_erased:
                    ending.append(verdict)
                else:
                    for one in pinned[key]:
                        self._keep_on(one, verdict, found[record_id].subject_id)
        self._end_away(away)
        records = {one.record_id for one in ending}
        self._count(declaration, records)
        persons = self._persons(declaration, [found[record] for record in records])
        ending = [one for one in ending if one.record_id in persons]
        stay = self._waiting(persons)
        self.report.kept += len(stay)
        self._erase([one for one in ending if one.record_id not in stay])

    def _end_away(self, away: Mapping[tuple[UUID, str], Sequence[Decision]]) -> None:
        """Say of what is no longer there that it has ended, where its key is gone: it ended another way, and the
        promise is kept. A row that is away while its key lives is a finding."""
        living = vault.keys.living(list(away)) if away else set()
        gone = []
        for pair, those in away.items():
            if pair in living:
                self.findings.note("decision", those[0].label, pair[0], erasure.StillSealed.__name__)
            else:
                gone += [one.pk for one in those]
        if gone and not self.report.is_dry_run:
            decided.done(Decision.objects.filter(pk__in=gone, done_at=None), self.now)

    def _persons(self, declaration: Declaration, found: Collection[Facts]) -> Mapping[UUID, UUID]:
        """Return as whose each record counts; without those that are another's than their rows say, which are findings
        and stay as they are."""
        persons, strange = whose.look(found) if found else ({}, ())
        for record in strange:
            self.findings.note("owner", declaration.label, record, bound.NotOurs.__name__)
        return persons

    def _keep_on(self, decision: Decision, verdict: Verdict, person: UUID | None) -> None:
        """Write down why it is kept now, when a hold was lifted; never a later day than the person was told."""
        if self._is_due(decision):
            self._count_kept(decision.record_id, decision.label)
            return  # a day that was told moves with a letter only (privacy.requests.longer)
        told = (decision.code, decision.until, decision.authority)
        if told == (verdict.code, verdict.until, verdict.authority) or self.report.is_dry_run:
            return
        if verdict.restricted or verdict.told is not None:
            return  # a hold does not move what was told; it only stands before it. Of two days the later waits for the other
        if person is not None and (doubted := whose.unwitnessed(datamap.flagging([person]))):
            for one in doubted:
                self.findings.note("owner", one.label, one.record, bound.NotOurs.__name__)
            return  # why it is kept by now would be a row that is not theirs
        decided.change(
            Decision.objects.filter(pk=decision.pk, done_at=None),
            code=verdict.code,
            ground=verdict.ground,
            authority=verdict.authority,
            until=verdict.until,
        )

    def _is_ours(self, decision: Decision) -> bool:
        """Say whether the site made this decision as it stands; one that it did not is a finding, and promised
        nothing."""
        is_ours = decided.is_ours(decision)
        if not is_ours:
            self.findings.note("decision", decision.label, decision.record_id, "NotOurs")
        return is_ours

    def _is_due(self, decision: Decision) -> bool:
        return decision.until is not None and decision.until < self.on

    # The schedule: what has outlived all its reasons.

    def _candidates(self, declaration: Declaration, day: date) -> Iterator[list[UUID]]:
        """Yield batches of numbers of rows that may be due; all of the table where the app offers nothing better."""
        if declaration.candidates is not None:
            rows = declaration.candidates(day)
        else:
            rows = models.QuerySet(declaration.model).all()
        return _batches(rows.order_by().values_list("pk", flat=True))

    def _end_scheduled(self, declaration: Declaration, ids: list[UUID]) -> None:
        found = self._facts(declaration, ids)
        on_hold = in_force.on_hold((declaration.label, pk) for pk in found)
        pinned = Decision.objects.filter(
            label=declaration.label,
            record_id__in=list(found),
            pinned=True,
            done_at=None,
            action=Decision.Action.KEEP,
        )
        told = {(one.record_id, one.envelope) for one in pinned if self._is_ours(one)}
        due: dict[UUID, list[Verdict]] = {}
        for record_id, facts in found.items():
            verdicts = self._judge(facts, frozenset(), asked=False, pins=NO_PINS)
            # What a person was told stands: its own day ends it, not a rule that came later.
            ending = [one for key, one in verdicts.items() if one.is_erased and key not in told]
            if ending and record_id not in self.seen:
                due[record_id] = ending
        if not due:
            return
        persons = self._persons(declaration, [found[record_id] for record_id in due])
        waiting = self._waiting(persons) | self._unwarned(found, due)
        waiting |= self._not_ended(declaration, found, due)
        self._count(declaration, due)
        batch: list[Verdict] = []
        for record_id, ending in due.items():
            if record_id not in persons:
                continue
            if record_id in on_hold or record_id in waiting:
                self.report.kept += 1
            elif self._within_cap(persons[record_id]):
                batch += ending
            else:
                self.report.stopped_by_cap += 1
        self._end_warned(batch, found)

    def _end_warned(self, batch: Sequence[Verdict], found: dict[UUID, Facts]) -> None:
        """Erase a batch, but nothing of people who said in this very moment to keep their account."""
        if not batch or self.report.is_dry_run:
            return
        warned = [found[one.record_id] for one in batch if self.schedule[one.envelope].warn_days]
        if not warned:
            self._erase(batch)
            return
        with transaction.atomic():
            kept = notices.begin_to_end(warned, now=self.now)
            stay = {one.record_id for one in batch if one.subject_id in kept}
            self.report.kept += len(stay)
            self._erase([one for one in batch if one.record_id not in stay])

    def _not_ended(
        self, declaration: Declaration, found: dict[UUID, Facts], due: dict[UUID, list[Verdict]]
    ) -> set[UUID]:
        """Return the requests of which only the row says that they ended so long ago: they stay, and are findings."""
        if declaration.model is not Request:
            return set()
        ends, stay = history.ends(due), doubt.among(due)
        for number, at in ends.items():
            closed = found[number].events.get("closed")
            if closed is not None and closed < company_day(at):
                stay.add(number)
        for number in stay:
            self.findings.note("end", declaration.label, number, "NotOurs")
        return stay

    def _unwarned(self, found: dict[UUID, Facts], due: dict[UUID, list[Verdict]]) -> set[UUID]:
        """Return the records of people who were to be warned and were not, or not early enough: they stay for now."""
        early: dict[int, list[Facts]] = {}
        for record_id, ending in due.items():
            if days := notices.days_before((one.envelope for one in ending), self.schedule):
                early.setdefault(days, []).append(found[record_id])
        stay: set[UUID] = set()
        for days, those in early.items():
            missing = notices.unwarned(those, by=self.on - timedelta(days=days))
            stay |= {facts.record_id for facts in those if facts.subject_id in missing}
            # By the site no account leads to nobody: neither a warning nor an open order is found by its row.
            nobodys = {facts.record_id for facts in those if facts.subject_id is None}
            for record in nobodys:
                self.findings.note("owner", found[record].label, record, bound.NotOurs.__name__)
            stay |= nobodys
        return stay

    def _warn(self, declaration: Declaration, ids: list[UUID], days: int) -> None:
        """Warn the people whose records of this batch end within `days`; not those whom a hold or request keeps."""
        then = self.on + timedelta(days=days)
        found = self._facts(declaration, ids)
        on_hold = in_force.on_hold((declaration.label, pk) for pk in found)
        ending = []
        for facts in found.values():
            verdicts = assess(facts, self.schedule, on_hold, then, asked=False)
            gone = [one.envelope for one in verdicts if one.is_erased]
            if notices.days_before(gone, self.schedule):
                ending.append(facts)
        persons = self._persons(declaration, ending)
        waiting = self._waiting(persons)
        missing = notices.unwritten(ending)
        for facts in ending:
            subject = facts.subject_id
            if facts.record_id not in persons:
                continue
            if subject is None or subject not in missing or facts.record_id in waiting or subject in self.warned:
                continue
            if len(self.warned) >= self.cap:
                return
            self.warned.add(subject)
            new = spared(
                [subject],
                lambda some: [notices.warn(one, on=self.on, ends_after=then, now=self.now) for one in some],
                step="warn",
                label=declaration.label,
                findings=self.findings,
                number=lambda _, record=facts.record_id: record,  # type: ignore[misc]
            )
            self.report.warned += len(list(new))

    def _within_cap(self, person: object) -> bool:
        """Whether this night may still end data of `person`: those a run has begun with it finishes."""
        if person not in self.people:
            if self.before + len(self.people) >= self.cap:
                return False
            self.people.add(person)
        return True

    # Both.

    def _facts(self, declaration: Declaration, ids: list[UUID]) -> dict[UUID, Facts]:
        found = with_flags(read(declaration, ids, findings=self.findings), self.schedule)
        return {facts.record_id: facts for facts in found}

    def _judge(
        self, facts: Facts, on_hold: Container[UUID], *, asked: bool, pins: Pins
    ) -> dict[tuple[UUID, str], Verdict]:
        return {one.key: one for one in assess(facts, self.schedule, on_hold, self.on, asked=asked, pins=pins)}

    def _waiting(self, persons: Mapping[UUID, UUID]) -> set[UUID]:
        """Return those of these records, each with as whose it counts, that are of people whose request is not answered
        yet: nothing of it may vanish meanwhile."""
        asking = doubt.asking({person for record, person in persons.items() if person != record})
        return {record for record, person in persons.items() if person in asking}

    def _count(self, declaration: Declaration, ids: Iterable[UUID]) -> None:
        for record_id in ids:
            if record_id not in self.seen:
                self.seen.add(record_id)
                self.report.due += 1
                self.report.due_by_label[declaration.label] += 1

    def _count_kept(self, record_id: UUID | None, label: str) -> None:
        if record_id is not None and record_id not in self.seen:
            self.seen.add(record_id)
            self.report.due += 1
            self.report.kept += 1
            self.report.due_by_label[label] += 1

    def _erase(self, verdicts: Sequence[Verdict]) -> None:
        """Carry out one batch; what came under a hold in this very moment counts as kept."""
        if not verdicts or self.report.is_dry_run:
            return
        arming.note_ended(self.on, self.before + len(self.people))
        label = verdicts[0].label
        of_record: dict[UUID, list[Verdict]] = {}
        for one in verdicts:
            of_record.setdefault(one.record_id, []).append(one)

        def end(some: Sequence[UUID]) -> tuple[Sequence[UUID], erasure.Erased]:
            batch = [one for record_id in some for one in of_record[record_id]]
            done = erasure.erase_records(batch, request=None, actor=self.actor, now=self.now, findings=self.findings)
            return some, done

        for some, done in spared(list(of_record), end, step="end", label=label, findings=self.findings):
            on_hold = {record_id for record_id, _ in done.on_hold}
            self.report.kept += len(on_hold)
            self.report.erased += len(set(some) - on_hold)
        progress.tell("records ended", self.report.erased)


# Reading -------------------------------------------------------------------------------------------------------------


def _has_facts(label: str) -> bool:
    try:
        return datamap.for_label(label).facts is not None
    except KeyError:
        return False


def _batches(ids: models.QuerySet[Any]) -> Iterator[list[UUID]]:
    """Yield numbers BATCH by BATCH from one server-side cursor, which erasing behind it does not disturb."""
    stream = ids.iterator(chunk_size=10 * BATCH)
    while batch := list(islice(stream, BATCH)):
        yield batch

"""From a person to the plan: gathers facts, holds and pinned dates from the tables; the deciding itself is pure
(`plan`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import cache, partial
from itertools import islice
from typing import Any
from uuid import UUID

from privacy import datamap
from privacy.calendar import company_day, undated
from privacy.datamap import Declaration, Warned
from privacy.facts import Facts
from privacy.requests import addresses, given_out, plan, unjoined, whose
from privacy.requests.models import Request
from privacy.requests.procedure import Does
from privacy.retention import decided, in_force, rules
from privacy.retention.assess import assess
from privacy.retention.gather import read, with_flags
from privacy.retention.models import Decision
from privacy.retention.verdict import Verdict
from privacy.vault.compiled import Question
from privacy.work.broken import Findings, require_own

CHUNK = 500
ASKED = 100  # rows of a kind that are asked for country and region
# What requests themselves make: not judged record by record. The plan names the file and the token as what is left
# over; letters, copies and links are destroyed by steps of their own, the names in the access log go with the person.
OUTSIDE = frozenset(
    {
        "privacy.request",
        "privacy.letter",
        "privacy.export",
        "privacy.decision",
        "privacy.requestevent",
        "privacy.secondlook",
        "privacy.onetimelink",
    }
)


def facts_of(subject: UUID, *, whole: bool = False, counts: Mapping[str, int] | None = None) -> list[Facts]:
    """Return the facts of every record about `subject`; with `whole` also of what its requests made.

    The access log is not judged line by line: it ends from its beginning, three years after it was written. `counts` is
    what `datamap.counts_of` returned, for who has asked before.
    """
    return with_flags(list(_one_by_one(subject, whole=whole, counts=counts)), rules.load())


def facts_for(request: Request) -> list[Facts]:
    """Return the facts of every record that the request covers: the person's, or those with the address it is about."""
    if request.is_about_records:
        return facts_of_records(addresses.records_of(request))
    return facts_of(request.subject_id) if request.subject_id else []


def facts_of_records(records: Iterable[tuple[str, UUID]]) -> list[Facts]:
    """Return the facts of these records, (label, id), whomever they lead to; what is gone is left out."""
    by_label: dict[str, list[UUID]] = {}
    for label, record in records:
        by_label.setdefault(label, []).append(record)
    found: list[Facts] = []
    for label, ids in sorted(by_label.items()):
        declaration = datamap.for_label(label)
        rows = declaration.model._default_manager.filter(pk__in=ids).order_by("pk")
        rows = rows.select_related(*declaration.related) if declaration.related else rows
        found += _facts(declaration, rows)
    return with_flags(found, rules.load())


def _one_by_one(subject: UUID, *, whole: bool, counts: Mapping[str, int] | None) -> Iterator[Facts]:
    """Yield the facts of each record; of a broken one that it is broken, so that it stops nothing of the others."""
    counts = datamap.counts_of(subject) if counts is None else counts
    for declaration, rows in datamap.records_of(subject, counts):
        if declaration.facts is None or (declaration.label in OUTSIDE and not whole):
            continue
        # Few rows come at once: a cursor in the database costs two more round trips.
        few = counts[declaration.label] <= CHUNK
        if few:
            yield from _facts(declaration, rows, partial(_rows_of_one(declaration.label).records, subject))
            continue
        numbers = rows.values_list("pk", flat=True).iterator(chunk_size=CHUNK)
        while some := list(islice(numbers, CHUNK)):
            yield from _facts(declaration, rows.filter(pk__in=some))


def _facts(declaration: Declaration, rows: Any, found: Callable[[], Iterable[Any]] | None = None) -> list[Facts]:
    """Return the facts of these rows in one query, that of `found` where it is given; where one of them is broken, of
    each by itself."""
    try:
        with undated.strictly():
            return list(map(declaration.facts, found() if found else rows)) if declaration.facts else []
    except Exception as error:
        require_own(error)
        return read(declaration, list(rows.values_list("pk", flat=True)), findings=Findings())


@cache
def _rows_of_one(label: str) -> Question:
    # Compiled once: each plan, each notice and each letter asks it of a dozen kinds of records.
    return Question(datamap.for_label(label).rows_of(Question.NUMBER), Question.NUMBER)


def pins_of(records: Iterable[Facts]) -> dict[tuple[UUID, str], date | None]:
    """Return the until-dates told to the person before: of two the earlier counts."""
    pins: dict[tuple[UUID, str], date | None] = {}
    rows = Decision.objects.filter(record_id__in=[f.record_id for f in records], pinned=True, done_at=None)
    for one in decided.ours(rows):
        key: tuple[Any, str] = one.record_id, one.envelope  # by the number it was found
        before, until = pins.get(key), one.until
        pins[key] = min(before, until) if before and until else until or before
    return pins


def plan_for(request: Request, *, today: date) -> plan.Plan:
    """Return what the request would do today, with the warnings of the apps. Opens no envelope.

    Of a right that removes nothing: what it is about, and how long each of it is kept when nobody asks for its removal.
    """
    right = request.procedure
    about = facts_for(request) if right.does != Does.NOTHING else []
    records = under_one_law(about, Counter([request.country] if request.country else []))
    return plan.make(
        records,
        rules.load(),
        in_force.on_hold((f.label, f.record_id) for f in records),
        pins_of(records),
        today,
        asked=right.removes,
        warnings=warnings_of(request, today) if right.removes else (),
        leftovers=("request_file",) if request.is_about_records else plan.LEFTOVERS,
        are_named=request.is_about_records,
        unjoined=unjoined.of_request(request.subject_id, today),
    )


def kept_by_now(decisions: Iterable[Decision], *, today: date) -> list[Verdict]:
    """Return the verdicts about what was to be erased and is needed by now: something new is open (P10).

    Locks the rows, so that an order that comes in this moment waits. A hold is not among them: the erasure looks at it.
    Raises bound.NotOurs where a row that keeps something is not the person's by the key store.
    """
    wanted = {(one.label, one.record_id, one.envelope) for one in decisions if one.record_id is not None}
    schedule = rules.load()
    found: list[Verdict] = []
    for label in sorted({label for label, _, _ in wanted}):
        declaration = datamap.for_label(label)
        ids = [record_id for one, record_id, _ in wanted if one == label]
        rows = declaration.model._default_manager.select_for_update(of=("self",)).filter(pk__in=ids).order_by("pk")
        if declaration.related:
            rows = rows.select_related(*declaration.related)
        facts = with_flags(_facts(declaration, rows), schedule)
        pins = pins_of(facts)
        kept = [
            (verdict, one.subject_id)
            for one in facts
            for verdict in assess(one, schedule, frozenset(), today, asked=True, pins=pins)
            if not verdict.is_erased and (label, verdict.record_id, verdict.envelope) in wanted
        ]
        whose.require_witnessed({person for _, person in kept if person is not None})
        found += [verdict for verdict, _ in kept]
    return found


def warnings_of(request: Request, today: date) -> list[Warned]:
    """Return what the person should know before an erasure: open returns, unpaid invoices,
    certificates, a copy not fetched."""
    if request.subject_id is None or request.is_about_records:
        return []
    found: list[Warned] = []
    for declaration in datamap.declarations():
        if declaration.warnings is not None:
            found += declaration.warnings(request.subject_id, today)
    copies = Request.objects.filter(subject=request.subject_id, exports__deleted_at=None, exports__isnull=False)
    if not all(map(given_out.is_fetched, copies)):
        found.append(
            Warned(
                "A copy of your data is ready. It stays for its week, also after the removal: fetch it with its reference "
                "and outcome code, or have it destroyed."
            )
        )
    return list(dict.fromkeys(found))


def assess_all(
    subject: UUID, *, today: date, asked: bool, counts: Mapping[str, int] | None = None
) -> Iterator[Verdict]:
    """Yield the verdicts about every record of `subject`, what its requests made included, a chunk of records at a
    time."""
    yield from assess_these(_one_by_one(subject, whole=True, counts=counts), today=today, asked=asked)


def assess_these(found: Iterable[Facts], *, today: date, asked: bool) -> Iterator[Verdict]:
    """Yield the verdicts about these records, a chunk of them at a time."""
    schedule, records, seen = rules.load(), iter(found), Counter[str]()
    while chunk := with_flags(under_one_law(list(islice(records, CHUNK)), seen), schedule):
        on_hold = in_force.on_hold((f.label, f.record_id) for f in chunk)
        pins = pins_of(chunk)
        for f in chunk:
            yield from assess(f, schedule, on_hold, today, asked=asked, pins=pins)


def assess_rows(
    found: Iterable[tuple[Declaration, Sequence[Any]]],
    subject: UUID,
    *,
    today: date,
) -> list[Verdict]:
    """Return the verdicts about these rows of `subject` when nobody asks for their removal, and about no others.

    The rows come with what their declaration calls related, so that nothing is asked for each of them.
    """
    facts: list[Facts] = []
    for declaration, rows in found:
        if declaration.facts is None or not rows:
            continue
        try:
            with undated.strictly():
                facts += map(declaration.facts, rows)
        except Exception as error:
            require_own(error)
            facts += read(declaration, [row.pk for row in rows], findings=Findings())
    schedule, seen = rules.load(), Counter[str]()
    if facts and not any(one.country for one in facts):
        seen.update([place_of(subject)[0]])
    facts = with_flags(under_one_law(facts, seen), schedule)
    on_hold, pins = in_force.on_hold((one.label, one.record_id) for one in facts), pins_of(facts)
    return [verdict for one in facts for verdict in assess(one, schedule, on_hold, today, asked=False, pins=pins)]


def block_until(now: datetime, country: str = "") -> date:
    """Return the last day of a block token left today."""
    return next(
        one.until for one in plan.leave(rules.load(), company_day(now), country or None) if one.name == "block_token"
    )


def place_of(subject: UUID) -> tuple[str, str]:
    """Return the country whose clock and wording count for `subject`, and the code of the state or province,
    each "" when no record says one.

    It is the country that most records name, and the region that most records of that country do; of each kind
    the first hundred are asked.
    """
    found: list[Facts] = []
    counts = datamap.counts_of(subject)
    for declaration, rows in datamap.records_of(subject, counts):
        if declaration.facts is not None and declaration.label not in OUTSIDE:
            are_few = counts[declaration.label] <= ASKED
            found += _facts(
                declaration,
                rows[:ASKED],
                partial(_rows_of_one(declaration.label).records, subject) if are_few else None,
            )
    return _place(found)


def place_of_records(records: Iterable[tuple[str, UUID]]) -> tuple[str, str]:
    """Return the country and the region that most of these records name, "" for what none does."""
    return _place(facts_of_records(records))


def _place(found: Iterable[Facts]) -> tuple[str, str]:
    found = list(found)
    country = _most(one.country for one in found)
    return country, _most(one.region for one in found if (one.country or "").upper() == country)


def under_one_law(found: list[Facts], seen: Counter[str]) -> list[Facts]:
    """Return the facts with the person's country where a record names none, as a letter does: one person reads one law.

    `seen` counts the countries that the person's records named so far, and is counted on.
    """
    seen.update(one.country.upper() for one in found if one.country)
    here = _most(seen.elements()) or None
    return [one if one.country else replace(one, country=here) for one in found]


def _most(countries: Iterable[str | None]) -> str:
    counts = Counter(one.upper() for one in countries if one)
    return max(sorted(counts), key=lambda one: counts[one], default="")


def verdict_of(decision: Decision) -> Verdict:
    """Return a stored decision as the verdict the erasure takes. The decision must still name its record."""
    if decision.record_id is None:
        raise LookupError("This decision's record stays for statistics; nothing more is to be erased.")
    return Verdict(
        record_id=decision.record_id,
        label=decision.label,
        title="",
        envelope=decision.envelope,
        data=tuple(decision.data),
        action="erase" if decision.action == Decision.Action.ERASE else "keep",
        code=decision.code,
        ground=decision.ground,
        authority=decision.authority,
        until=decision.until,
        overdue=decision.overdue,
    )

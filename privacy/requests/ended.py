"""When an erased value was erased, and by what: a request of its person, or the period after which it goes by itself.

What must never happen: erased data that reads like data never given ("not given", "-"). The day is that of the
destroyed key; the cause is what the audit tells of the end, as long as it goes back: a request where the event names
one. Of what it does not tell, the day alone is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from privacy import audit, datamap, vault
from privacy.audit import encoding
from privacy.calendar import company_day

Pair = tuple[UUID, str]


def told(value: vault.Erased) -> str:
    """Return the words that stand for an erased value: "erased on 3 March 2026, by request".

    One query for all that this unit of work has found erased so far, so that a page asks once for each result set.
    """
    if value.at is None or value.pair is None:
        return _("erased")
    unit = vault.unit.current()
    causes = {} if unit is None else unit.notes
    if value.pair not in causes:
        wanted = {value.pair} | ((unit.erased() - causes.keys()) if unit is not None else set())
        causes.update(dict.fromkeys(wanted, "") | why(wanted))
    said = {"day": date_format(company_day(value.at), "j F Y")}
    if causes[value.pair] == "request":
        return _("erased on %(day)s, by request") % said
    if causes[value.pair] == "period":
        return _("erased on %(day)s, by period") % said
    return _("erased on %(day)s") % said


def why(pairs: Iterable[Pair]) -> dict[Pair, str]:
    """Return "request" or "period" for each of these erased envelopes, (record, envelope), of which the audit tells
    why it ended; one query.

    No decision is asked: that of a record which went whole does not lead to it any more.
    """
    places: dict[audit.Record, list[tuple[Pair, frozenset[str]]]] = {}
    for record, envelope in pairs:
        for declaration in datamap.declarations():
            if envelope in declaration.envelopes():
                names = frozenset(declaration.envelopes()[envelope])
                places.setdefault((declaration.label, record), []).append(((record, envelope), names))
    found: dict[Pair, str] = {}
    for place, fields, reference in audit.ends("record.erased", places):
        for pair, names in places[place]:
            # An envelope without fields is told of by the record alone.
            if not names or not names.isdisjoint(fields):
                found[pair] = "request" if reference else "period"
    return found


@dataclass(frozen=True, slots=True)
class Gone:
    """Records of one kind that ended whole on one day for one cause."""

    count: int
    called: str
    on: date
    is_by_request: bool

    @property
    def sentence(self) -> str:
        """Say it to the person: "1 order was removed on 3 March 2026, by request."."""
        said = {"count": self.count, "called": self.called, "day": date_format(self.on, "j F Y")}
        if self.is_by_request:
            return (
                ngettext(
                    "%(count)d %(called)s was removed on %(day)s, by request.",
                    "%(count)d %(called)s were removed on %(day)s, by request.",
                    self.count,
                )
                % said
            )
        return (
            ngettext(
                "%(count)d %(called)s was removed on %(day)s, by period.",
                "%(count)d %(called)s were removed on %(day)s, by period.",
                self.count,
            )
            % said
        )


def gone(subject: UUID | None, rows: QuerySet[Any]) -> list[Gone]:
    """Return which records of the kind of `rows` ended whole for `subject`, newest first; `rows` are
    those that still lead to it.

    The audit tells of them, as long as it goes back. One of which a part is still kept stands
    among `rows` and is not counted.
    """
    if subject is None:
        return []
    declaration = datamap.for_model(rows.model)
    told = audit.history(subject=subject).filter(action="record.erased", label=declaration.label)
    events = [(one.record, one.at, one.reference) for one in audit.ours(told)]
    if not events:
        return []
    is_half = Q(*((f"sealed_{name}__isnull", True) for name in rows.model.envelopes()), _connector=Q.OR)
    halves = rows.filter(is_half).order_by().values_list("pk", flat=True)
    there = {encoding.record_hash(declaration.label, pk) for pk in halves}
    last = {record: (company_day(at), bool(reference)) for record, at, reference in events}
    counts = Counter(end for record, end in last.items() if record not in there)
    return [Gone(count, declaration.called(count), *end) for end, count in sorted(counts.items(), reverse=True)]

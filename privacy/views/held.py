"""What we hold about me: every record with its values, why it is kept, by what right, until when (Art. 15, P7, P10)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from privacy import datamap, gate, people, vault
from privacy.calendar import company_day
from privacy.requests import assessment, contents, unjoined
from privacy.retention import rules
from privacy.retention.verdict import Verdict
from privacy.views import person, words
from privacy.work import broken

SHOWN = 3  # of each kind on the first page; the rest stands on pages of its own
PER_PAGE = 10

Verdicts = dict[UUID, list[Verdict]]


@require_safe
def held(request: HttpRequest) -> HttpResponse:
    """Show every kind of record held about the signed-in person, the first few of each in full."""
    subject = request.user.subject_id
    counts = datamap.counts_of(subject) if subject else {}
    kinds = contents.kinds(subject, counts) if subject else []
    verdicts = _verdicts(request, counts)
    sections: list[dict[str, Any]] = []
    with gate.acting(person.actor(request)):  # staff, too, see here what is held about themselves
        for kind in kinds:
            found = _related(kind)[:SHOWN]
            sections.append({"kind": kind, "count": kind.count, "records": _records(kind, found, verdicts)})
    # What was written about the person first, what only hangs on it afterwards.
    sections.sort(key=lambda section: (not section["kind"].declaration.envelopes(), section["kind"].title))
    found = unjoined.found(subject, company_day(timezone.now()))
    looked, may_ask = people.ask().look(subject) if subject and found else ("", False)
    context = {"sections": sections, "unjoined": found, "looked": looked, "may_ask": may_ask}
    return render(request, "privacy/held.html", context)


@require_safe
def held_kind(request: HttpRequest, label: str) -> HttpResponse:
    """Show all records of one kind held about the signed-in person, a page at a time."""
    subject = request.user.subject_id
    counts = datamap.counts_of(subject) if subject else {}
    kinds = contents.kinds(subject, counts) if subject else []
    kind = next((one for one in kinds if one.label == label), None)
    if kind is None:
        raise Http404
    page = Paginator(_related(kind), PER_PAGE).get_page(request.GET.get("page"))
    with gate.acting(person.actor(request)):
        records = _records(kind, page.object_list, _verdicts(request, counts))
    return render(request, "privacy/held_kind.html", {"kind": kind, "page": page, "records": records})


def _verdicts(request: HttpRequest, counts: Mapping[str, int]) -> Verdicts:
    """Return, per record, how long its data are kept when nobody asks for their removal."""
    by_record: Verdicts = defaultdict(list)
    subject, today = request.user.subject_id, company_day(timezone.now())
    for verdict in assessment.assess_all(subject, today=today, asked=False, counts=counts) if subject else ():
        by_record[verdict.record_id].append(verdict)
    return by_record


def _related(kind: contents.Kind) -> Any:
    if kind.declaration.told is not None:
        return kind.rows
    links = [name for name, _ in kind.columns if kind.declaration.model._meta.get_field(name).is_relation]
    if hop := _belongs_to(kind.declaration):
        links.append(hop)
    return kind.rows.select_related(*links) if links else kind.rows


def _records(kind: contents.Kind, rows: Any, verdicts: Verdicts) -> list[dict[str, Any]]:
    schedule = rules.load()
    found = broken.rows(rows, step="held")
    if kind.declaration.told is not None:
        some = list(found)
        told = kind.declaration.told[1](some)
        return [_record(kind, row, list(said.items()), [], schedule) for row, said in zip(some, told, strict=True)]
    return [_record(kind, row, _values(kind, row), verdicts.get(row.pk, []), schedule) for row in found]


def _values(kind: contents.Kind, row: Any) -> list[tuple[str, Any]]:
    return [(title, _value(kind, row, name)) for name, title in kind.columns]


def _record(
    kind: contents.Kind, row: Any, values: list[tuple[str, Any]], verdicts: list[Verdict], schedule: rules.Schedule
) -> dict[str, Any]:
    """Return one record for the page: what is empty is left out, what cannot be read says so."""
    shown = [
        (title, value) for title, value in values if value not in (None, "") or isinstance(value, vault.Unreadable)
    ]
    return {
        "title": verdicts[0].title if verdicts else _title(kind, row),
        "values": shown,
        # What tells records of the same title apart; a number of ours tells nobody anything.
        "hints": [] if verdicts else [one for one in shown if not isinstance(one[1], UUID)][:2],
        "follows": "" if verdicts else _follows(kind.declaration, row),
        "ended_by": kind.declaration.ended_by,
        "verdicts": [
            {"verdict": one, "code": words.CODES.get(one.code, ""), "holds": schedule[one.envelope].title.lower()}
            for one in verdicts
        ],
    }


def _belongs_to(declaration: datamap.Declaration) -> str:
    """Return the link to the record that such a row goes with when no reason of its own keeps it; "" for none."""
    hop, more, _ = (declaration.subject_path or "").partition("__")
    return declaration.follows or (hop if more and not declaration.ended_by else "")


def _follows(declaration: datamap.Declaration, row: Any) -> str:
    """Return which record the row goes with, within a sentence: "order SO-2017-000002"; "" for none."""
    hop = _belongs_to(declaration)
    if not hop:
        return ""
    other: datamap.Declaration = datamap.for_model(cast("Any", declaration.model._meta.get_field(hop).related_model))
    reference = getattr(getattr(row, hop, None), other.reference, "") if other.reference else ""
    return f"{other.title[0].lower()}{other.title[1:]} {reference}".strip()


def _title(kind: contents.Kind, row: Any) -> str:
    reference = kind.declaration.reference
    return f"{kind.title} {getattr(row, reference)}" if reference else kind.title


def _value(kind: contents.Kind, row: Any, name: str) -> Any:
    value, datum = contents.read(row, name), kind.declaration.data.get(name)
    if isinstance(value, vault.Unreadable):
        return value
    if datum is not None and datum.export == "last4":
        return f"•••• {str(value)[-4:]}" if value else ""
    if isinstance(value, Decimal):
        belongs_to = getattr(row, _belongs_to(kind.declaration) or "pk", None)
        return words.money(value, getattr(row, "currency", None) or getattr(belongs_to, "currency", None) or "USD")
    choices = getattr(kind.declaration.model._meta.get_field(name), "flatchoices", None)
    return dict(choices).get(value, value) if choices else value

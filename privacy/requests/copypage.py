"""The readable page of a copy: the data first, by part of life, then what Art. 15 wants said of them.

What must never happen: a value that is not escaped, a gap that looks like nothing. Records are put together a chunk at
a time and by hand, because a template for each would take most of the time of a large copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from html import escape
from itertools import islice
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from privacy import datamap
from privacy.calendar import company_day
from privacy.requests import authorities, contents, said, shown, unjoined
from privacy.requests.contents import Kind, Verdicts
from privacy.requests.models import Request
from privacy.requests.shown import Inside, Keeping, Shown
from privacy.retention import jurisdiction, rules
from privacy.retention.verdict import Verdict

CHUNK = 200


def written(request: Request, kinds: Sequence[Kind], verdicts: Verdicts, *, now: datetime) -> Iterator[str]:
    """Yield the page piece by piece: every record, then all of Art. 15(1) and (2). Raises contents.CopyIncomplete."""
    lives = list(shown.lives(kinds))
    about = {
        "request": request,
        "now": now,
        "company": settings.COMPANY,
        "lives": [life for life, _kinds in lives],
        "kinds": [_kind(one) for one in kinds],
        "rights": [jurisdiction.told(one, request.country) for one in contents.RIGHTS],
        "complaint": authorities.complaint(request.country, request.region),
        "automated": jurisdiction.told(contents.AUTOMATED, request.country),
        "transfers": jurisdiction.told(contents.TRANSFERS, request.country),
        "periods": periods(verdicts),
        "unjoined": unjoined.of_request(request.subject_id, company_day(now)),
    }
    yield render_to_string("privacy/export/head.html", about)
    for life, outer in lives:
        yield f'<h2 id="{life.value}">{escape(str(life.label))}</h2>\n'
        for kind in outer:
            if kind.declaration.summed is not None:
                yield from _summed(kind, *kind.declaration.summed)
                continue
            for record in _records(request.subject_id, kind, kinds, verdicts, now):
                yield _record(record)
    yield render_to_string("privacy/export/law.html", about)


def _kind(kind: Kind) -> dict[str, Any]:
    facets = kind.facets()
    categories = list(dict.fromkeys(datamap.CATEGORIES[one] for one in facets["categories"]))
    return {"title": kind.title, "file_name": kind.file_name, **facets, "categories": categories}


def _records(
    subject: UUID | None, kind: Kind, kinds: Sequence[Kind], verdicts: Verdicts, now: datetime
) -> Iterator[Shown]:
    rows = shown.newest_first(kind)
    numbers = rows.values_list("pk", flat=True).iterator(chunk_size=CHUNK)
    while some := list(islice(numbers, CHUNK)):
        page = shown.Page(subject, kinds, today=company_day(now), most_inside=None, verdicts=verdicts)
        records = page.add(kind, rows.filter(pk__in=some))
        page.judge()
        yield from records


def _summed(
    kind: Kind, titles: tuple[str, ...], lines: Callable[[QuerySet[Any]], Iterable[dict[str, Any]]]
) -> Iterator[str]:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    yield f'<section class="record">\n<h3>{escape(kind.title)}</h3>\n<table><thead><tr>{head}</tr></thead><tbody>\n'
    for line in lines(kind.rows):
        yield _row([(title, said.value(line[title])) for title in titles])
    yield "</tbody></table>\n</section>\n"


def _record(record: Shown) -> str:
    inside = "".join(map(_inside, record.inside))
    return f'<section class="record">\n<h3>{escape(record.title)}</h3>\n{_values(record)}{inside}{_kept(record)}</section>\n'


def _values(record: Shown) -> str:
    lines = "".join(f"<dt>{escape(title)}</dt><dd>{_text(value)}</dd>" for title, value in record.values)
    return f"<dl>{lines}</dl>\n"


def _text(value: str) -> str:
    return "<br>".join(escape(value).splitlines())


def _inside(one: Inside) -> str:
    heading = f"<h4>{escape(one.title)}</h4>\n"
    if not one.is_table:
        return heading + "".join(_values(each) + _kept(each) for each in one.records)
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in one.titles)
    rows = "".join(map(_row, one.table))
    table = f"<table><thead><tr>{titles}</tr></thead><tbody>\n{rows}</tbody></table>\n"
    return heading + table + "".join(map(_kept, one.records))


def _row(cells: Iterable[tuple[str, str]]) -> str:
    row = "".join(f'<td data-label="{escape(title)}">{_text(value)}</td>' for title, value in cells)
    return f"<tr>{row}</tr>\n"


def _kept(record: Shown) -> str:
    return "".join(map(_keeping, record.kept))


def _keeping(one: Keeping) -> str:
    if one.is_due:
        return f'<p class="kept">{escape(one.data)}. {escape(contents.DUE)}</p>\n'
    ground = f" ({escape(one.ground)})" if one.ground else ""
    return f'<p class="kept">{escape(one.data)}: {escape(one.becomes)}. {escape(one.why)}{ground}</p>\n'


def periods(verdicts: Verdicts) -> list[dict[str, Any]]:
    """Return one line for each kind of data and reason: how many records, until when the last is kept, and why (Art.
    15(1)(d))."""
    schedule = rules.load()
    alike: dict[tuple[str, str], list[Verdict]] = {}
    for per_record in verdicts.values():
        for verdict in per_record:
            alike.setdefault((verdict.envelope, _reason(verdict)), []).append(verdict)
    lines = []
    for (envelope, _why), found in sorted(alike.items(), key=lambda item: item[0]):
        last = max(found, key=_ends)
        lines.append(
            {"title": schedule[envelope].title, "records": len(found), "until": last.last_day, "why": _reason(last)}
        )
    log_class = schedule["access_log"]
    always = {"title": log_class.title, "records": None, "until": None, "why": log_class.reasons[0].plain}
    return [*lines, always]


def _ends(verdict: Verdict) -> tuple[bool, date]:
    """Return by what verdicts are put in the order in which they end: what has no day yet comes last."""
    return not verdict.is_erased and verdict.last_day is None, verdict.last_day or date.min


def _reason(verdict: Verdict) -> str:
    return contents.DUE if verdict.is_erased else verdict.sentence or verdict.ground


# The other files ------------------------------------------------------------------------------------------------------


def files(kinds: Sequence[Kind]) -> list[dict[str, str]]:
    """Return what each file of the archive is."""
    return [
        {
            "name": "index.html",
            "holds": _("Everything, to be read: the data first, then what the law wants said of them."),
        },
        {"name": "data.json", "holds": _("The same for programs: exact values, days as 2026-03-14, amounts as text.")},
        {"name": "README.txt", "holds": _("What each file is.")},
        *({"name": kind.file_name, "holds": kind.title} for kind in kinds),
    ]


def readme(request: Request, kinds: Sequence[Kind]) -> str:
    """Return README.txt: what each file is and how their rows belong together."""
    about: dict[str, Any] = {"request": request, "company": settings.COMPANY, "files": files(kinds)}
    return render_to_string("privacy/export/readme.txt", about)

"""What stands in the copy of everything: the page to read, the same for programs, and a table for each kind of record.

What must never happen: a record of another person in it, one left out in silence, a name in it taken from data. It is
written in one stream, compressed piece by piece; nobody has it in clear as a whole.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import IO, cast
from uuid import UUID

from django.conf import settings
from django.db.models import BooleanField, ExpressionWrapper, Q

from privacy import vault
from privacy.calendar import company_day
from privacy.gate import log
from privacy.gate.context import current
from privacy.requests import addresses, assessment, authorities, bound, contents, copypage, whose
from privacy.requests.contents import Verdicts
from privacy.requests.models import Request
from privacy.retention import jurisdiction
from privacy.retention.models import Decision
from privacy.retention.verdict import Verdict

#: Of data.json. 1 (until 0.1): the explanations of Art. 15 before the data, links without the numbers they lead to.
FORMAT = 2
NOBODY = UUID(int=0)
CHUNK = 1_000


def write(out: io.IOBase, request: Request, subject: UUID, now: datetime) -> None:
    """Write the archive of this request of `subject`'s, which is about a person, or about records. Raises
    contents.CopyIncomplete, bound.NotOurs, whose.NotYet."""
    if request.is_about_records:
        kinds = contents.kinds_of(addresses.records_of(request))
        verdicts = _alike(assessment.assess_these(assessment.facts_for(request), today=company_day(now), asked=False))
        # They lead to nobody, or to a subject of their own each, of whom the request opens nothing else: so they are
        # opened past the gate, exactly these, and the log is written first.
        _check_owners(kinds)
        whose.require_covered(addresses.covered(request), _held(kinds))
        _note(kinds, now)
        with vault.internal():
            _archive(out, request, kinds, verdicts, now)
        return
    kinds = contents.kinds(subject)
    for kind in kinds:
        if kind.declaration.model is Decision:
            # What this request decided is the copy itself: one line for each record that stands in it anyway.
            kind.rows = kind.rows.exclude(request=request)
            kind.count = kind.rows.count()
    kinds = [kind for kind in kinds if kind.count]
    # No row is read for that: a broken one keeps nobody from the copy.
    whose.require(subject, _held(kinds))
    verdicts = _alike(assessment.assess_all(subject, today=company_day(now), asked=False))
    _archive(out, request, kinds, verdicts, now)


def _held(kinds: list[contents.Kind]) -> set[whose.Pair]:
    """Return the envelopes that the rows of the copy hold, in one query for each kind."""
    found: set[whose.Pair] = set()
    for kind in kinds:
        if issubclass(kind.declaration.model, vault.SealedModel):
            names = kind.declaration.model.envelopes()
            held = {f"has_{name}": Q(**{f"sealed_{name}__isnull": False}) for name in names}
            asked = {name: ExpressionWrapper(one, BooleanField()) for name, one in held.items()}
            rows = kind.rows.annotate(**asked).values_list("pk", *asked)
            found |= {
                (pk, name) for pk, *there in rows for name, is_there in zip(names, there, strict=True) if is_there
            }
    return found


def _check_owners(kinds: list[contents.Kind]) -> None:
    """Raise bound.NotOurs where the key store says of a record of the copy that it is another's than its row says."""
    for kind in kinds:
        if issubclass(kind.declaration.model, vault.SealedModel):
            bound.require_owners({row.pk: row.vault_owner() for row in kind.rows.order_by("pk")})


def _note(kinds: list[contents.Kind], now: datetime) -> None:
    """Write into the access log that these records are opened for a copy, for each owner of them. Raises
    contents.CopyIncomplete where nobody acts, of whom it could tell."""
    actor = current()
    if actor is None:
        raise contents.CopyIncomplete
    opened: dict[tuple[str, UUID | None], dict[str, list[UUID]]] = {}
    for kind in kinds:
        for row in kind.rows:
            of_owner = opened.setdefault(row.vault_owner(), {})
            for envelope in kind.declaration.still_sealed(row):
                of_owner.setdefault(f"{kind.label}/{envelope}", []).append(row.pk)
    log.write([log.Opening(actor, owner, records) for owner, records in opened.items()], now=now)


def _archive(out: io.IOBase, request: Request, kinds: list[contents.Kind], verdicts: Verdicts, now: datetime) -> None:
    with zipfile.ZipFile(cast("IO[bytes]", out), "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        with _member(archive, "index.html", now) as file:
            for piece in copypage.written(request, kinds, verdicts, now=now):
                file.write(piece.encode())
        with _member(archive, "README.txt", now) as file:
            file.write(copypage.readme(request, kinds).encode())
        with _member(archive, "data.json", now) as file:
            for piece in _json(request, kinds, verdicts, now):
                file.write(piece.encode())
        for kind in kinds:
            with _member(archive, kind.file_name, now) as file:
                for table in _csv(kind, verdicts):
                    file.write(table)


def _member(archive: zipfile.ZipFile, name: str, now: datetime) -> IO[bytes]:
    member = zipfile.ZipInfo(name, date_time=now.timetuple()[:6])
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = 0o600 << 16
    return archive.open(member, "w", force_zip64=True)


def _alike(verdicts: Iterable[Verdict]) -> Verdicts:
    """Return by record how long its data are kept when nobody asks for their removal (Art. 15(1)(d)).

    Most records of a person are judged alike: they share one verdict, so that very many need little memory.
    """
    by_record: Verdicts = {}
    shared: dict[Verdict, Verdict] = {}
    for verdict in verdicts:
        alike = replace(verdict, record_id=NOBODY)
        by_record[verdict.record_id] = (*by_record.get(verdict.record_id, ()), shared.setdefault(alike, alike))
    return by_record


def _json(request: Request, kinds: list[contents.Kind], verdicts: Verdicts, now: datetime) -> Iterator[str]:
    """Yield data.json: the same as the page, for programs (docs/schemas/copy.json)."""
    head = {
        "format": FORMAT,
        "reference": request.reference,
        "made_at": now.isoformat(),
        "controller": dict(settings.COMPANY),
        "rights": [jurisdiction.told(one, request.country) for one in contents.RIGHTS],
        "complaint": authorities.complaint(request.country, request.region),
        "automated_decisions": jurisdiction.told(contents.AUTOMATED, request.country),
        "transfers": jurisdiction.told(contents.TRANSFERS, request.country),
        "files": copypage.files(kinds),
        "kinds": [
            {
                "label": k.label,
                "title": k.title,
                "life": k.declaration.life,
                "table": k.file_name,
                **k.facets(),
            }
            for k in kinds
        ],
    }
    yield json.dumps(head, ensure_ascii=False, indent=1)[:-2] + ',\n "records": ['
    separator = "\n"
    for kind in kinds:
        for row in contents.rows(kind, verdicts):
            record = {
                "label": row.label,
                "record": row.id,
                "title": row.title,
                "values": row.values,
                "kept": [{**k, "until": k["until"].isoformat() if k["until"] else None} for k in row.kept],
            }
            yield separator + "  " + json.dumps(record, ensure_ascii=False)
            separator = ",\n"
    yield "\n ]\n}\n"


def _csv(kind: contents.Kind, verdicts: Verdicts) -> Iterator[bytes]:
    """Yield one table, line by line; UTF-8 with a mark, so that spreadsheets read it right."""
    yield _line(["\ufeffrecord", *(contents.cell(_head(column)) for column in kind.columns)])
    for row in contents.rows(kind, verdicts):
        yield _line([row.id, *(contents.cell(row.values[column.title], column.words) for column in kind.columns)])


def _head(column: contents.Column) -> str:
    """Return the head of a column: its title, and of one with codes what they are codes of."""
    return f"{column.title} ({column.code})" if column.code else column.title


def _line(cells: Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()

"""The copy of everything: a sealed ZIP, written in one stream, fetched for seven days, then gone (Art. 15, 20).

What must never happen: a readable file on disk, a copy that outlives its week, a name in it taken from data. An erasure
leaves a finished copy its week: the person fetches it by reference and code, or has it destroyed at once. Neither the
archive nor any part of it is ever in memory or on disk as a whole and in clear: it is made, compressed and sealed piece
by piece. A copy that failed half-way is deleted and made again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import secrets
import stat
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from privacy import audit, gate, vault
from privacy.actor import Actor
from privacy.calendar import company_day
from privacy.files import regular
from privacy.gate import log
from privacy.gate.context import current
from privacy.requests import (
    addresses,
    assessment,
    authorities,
    bound,
    contents,
    copypage,
    procedures,
    sight,
    waits,
)
from privacy.requests.contents import Verdicts
from privacy.requests.models import PATH, Export, Request
from privacy.requests.states import BEGUN_STATES
from privacy.retention import jurisdiction
from privacy.retention.models import Decision
from privacy.retention.verdict import Verdict
from privacy.vault import stream
from privacy.work import apart
from privacy.work.broken import Findings, spared

logger = structlog.get_logger(__name__)

LIVES = bound.LIVES
SUFFIX = ".sealed"
LABEL = "privacy.export"
ENVELOPE = bound.FILE
#: Of data.json. 1 (until 0.1): the explanations of Art. 15 before the data, links without the numbers they lead to.
FORMAT = 2
# A file without a row that is older than any build is left over from a killed worker.
ORPHAN_AFTER = timedelta(hours=2)
NOBODY = UUID(int=0)
CHUNK = 1_000


class NoCopy(Exception):
    """There is no copy to fetch: not built yet, expired or erased, not the one that the site made for this request, or
    a second person has to look first."""


class _Counted(io.RawIOBase):
    """What zipfile writes to: passes everything on to the sealing writer, counting and hashing it."""

    def __init__(self, sealed: Any) -> None:
        self._sealed = sealed
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._sealed.write(piece)
        self._hash.update(piece)
        self.size += len(piece)
        return len(piece)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def folder() -> Path:
    """Return the folder of the sealed copies, readable by this program's user only."""
    path = Path(settings.EXPORT_DIR)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def build(request: Request, *, now: datetime) -> Export:
    """Make the sealed copy for an access request and return it; one that is there already is returned as it is.

    To be called under an actor that may open all of the person's envelopes. Raises contents.CopyIncomplete when
    something cannot be opened, OSError when the disk is full; nothing is left behind then.
    """
    there = live(request)
    if there is not None and bound.is_file_of(there, request.owner_id):
        return there
    _put_aside(request, now)
    export = Export(request=request, path=secrets.token_hex(16) + SUFFIX, expires_at=now + LIVES)
    target = _file(export)
    try:
        with target.open("xb") as file:
            os.chmod(target, 0o600)
            with stream.SealedWriter(file, export.pk, envelope=ENVELOPE, owner=request.vault_owner()) as sealed:
                counted = _Counted(sealed)
                _write(counted, request, now)
            file.flush()
            os.fsync(file.fileno())
        export.size, export.sha256, export.built_at = counted.size, counted.sha256, now
        bound.sign_file(export)
        with transaction.atomic():
            export.save(force_insert=True)
    except BaseException:
        target.unlink(missing_ok=True)
        vault.keys.destroy([(export.pk, ENVELOPE)], now=now)  # no collector knows the keys of files
        raise
    return export


def live(request: Request) -> Export | None:
    """Return the copy of this request that can be fetched, or None: the site made it, and its file lies there."""
    return next((one for one in Export.objects.filter(request=request, deleted_at=None) if _is_whole(one)), None)


def require_end(request: Request) -> None:
    """Raise bound.NotOurs where a copy was made for this request that can't be fetched and has not ended: its row was
    changed or taken away by another program, and nobody has been given anything.

    A copy ends with its key, which the key store knows of. To be asked where `live` finds none.
    """
    made = list(Export.objects.filter(request=request).values_list("pk", flat=True))
    if not made or not bound.have_ended(made):
        raise bound.NotOurs


def _is_whole(export: Export) -> bool:
    return export.built_at is not None and bound.is_our_file(export) and _file(export).exists()


def _put_aside(request: Request, now: datetime) -> None:
    """End the rows that stand in the way of a copy: the site did not write them, or their file is not there any
    more."""
    for one in Export.objects.filter(request=request, deleted_at=None).only("pk", "path"):
        logger.error("copy.put_aside", request=str(request.pk), copy=str(one.pk))
        delete(one, now=now)


def fetch(request: Request, *, actor: Actor, now: datetime, via: str = "portal") -> tuple[str, Iterator[bytes]]:
    """Return a file name and the ZIP's bytes as a stream; counted, audited and in the person's access log. Raises
    NoCopy.

    The stream enters the gate by itself: give it to StreamingHttpResponse as it is. Who may fetch has been decided by
    `sight.require_sight`, which this asks again. Raises NotYours.
    """
    sight.require_sight(request, actor)
    with transaction.atomic():
        export = Export.objects.select_for_update().filter(request=request, deleted_at=None, expires_at__gt=now).first()
        if export is None or not _is_whole(export) or waits.is_undecided(request):
            raise NoCopy
        if not (bound.is_ours(request) and bound.is_file_of(export, request.owner_id)):
            raise NoCopy
        Export.objects.filter(pk=export.pk).update(downloads=F("downloads") + 1)
        _wait_no_more(request, now)
        audit.record(
            "copy.fetched",
            actor=actor,
            now=now,
            subject=request.subject_id,
            reference=request.reference,
            reason=f"{via}: {actor.reason}" if actor.reason else via,
        )
        # The file is opened by its own key, past the envelopes: so its opening is noted here.
        log.write([log.Opening(actor, request.vault_owner(), {f"{LABEL}/{ENVELOPE}": [export.pk]})], now=now)
    return f"{request.reference}.zip", gate.streaming(actor, content(export))


def left(request: Request, *, now: datetime) -> list[Export]:
    """Return the copies that can still be fetched by who proved to have made `request`: its own.

    A removal that was carried out took the login away by which earlier copies are fetched: it leads to those that were
    finished before it, and to none that was made later. One about some records leads to no other request's copy.
    """
    if request.owner_id is None or not bound.is_ours(request):
        return []
    found = Export.objects.filter(deleted_at=None, built_at__isnull=False, expires_at__gt=now)
    if request.procedure.removes and request.state in BEGUN_STATES and not request.is_about_records:
        found = found.filter(request__owner_id=request.owner_id, built_at__lte=request.closed_at or now)
    else:
        found = found.filter(request=request)
    copies = found.select_related("request").order_by("expires_at")
    return [one for one in copies if _is_whole(one) and bound.is_file_of(one, request.owner_id)]


def has_left(owner: UUID | None, *, now: datetime) -> bool:
    """Return whether this person has a finished copy that can still be fetched; such a one outlives a removal."""
    found = Export.objects.filter(request__owner_id=owner, deleted_at=None, built_at__isnull=False, expires_at__gt=now)
    return owner is not None and any(map(_is_whole, found))


def destroy(request: Request, *, actor: Actor, now: datetime) -> None:
    """Destroy a finished copy at once, because its person wants it. Raises NotYours, NoCopy."""
    sight.require_sight(request, actor)
    with transaction.atomic():
        export = Export.objects.select_for_update().filter(request=request, deleted_at=None).first()
        if export is None:
            raise NoCopy
        audit.record("copy.destroyed", actor=actor, now=now, subject=request.subject_id, reference=request.reference)
        delete(export, now=now)
        _wait_no_more(request, now)


def _wait_no_more(request: Request, now: datetime) -> None:
    """Wake a request that only waits until its copy was fetched, or is gone."""
    Request.objects.filter(pk=request.pk, step=procedures.CLOSE.name).update(next_action_at=now)


def content(export: Export) -> Iterator[bytes]:
    """Yield the ZIP of a copy piece by piece; who may have it was decided before."""
    return stream.read(_file(export), export.pk)


def delete(export: Export, *, now: datetime) -> None:
    """End a copy: its key, then its row, then its file; safe to repeat. A row that names no file of ours has none.

    What lies there and cannot be deleted, or is no file, is named in the log: without its key it opens nothing, and
    `expire` comes back to it.
    """
    vault.keys.destroy([(export.pk, ENVELOPE)], now=now)
    Export.objects.filter(pk=export.pk, deleted_at=None).update(deleted_at=now)
    with suppress(NoCopy):
        path = _file(export)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            logger.error("copy.file_left", copy=str(export.pk), error=type(error).__name__)


def expire(*, now: datetime) -> int:
    """Delete the copies whose week is over, and files that no row knows; return how many went. What cannot be deleted
    keeps no other one."""
    old = bound.files_over()  # whatever their rows say, and where there is none
    done = apart.each(
        keys=lambda: vault.keys.destroy([(pk, ENVELOPE) for pk in old], now=now),
        rows=lambda: _end_over(old, now),
        files=lambda: _end_orphans(now),
    )
    return int(done["rows"] + done["files"])


def _end_over(old: Sequence[UUID], now: datetime) -> int:
    due = Q(expires_at__lte=now) | Q(pk__in=old)
    over = list(Export.objects.filter(due, deleted_at=None).values_list("pk", flat=True)[:500])

    def end(some: Sequence[UUID]) -> int:
        copies = Export.objects.filter(pk__in=some).only("pk", "path")
        with transaction.atomic():
            for one in copies:
                delete(one, now=now)
        return len(copies)

    return sum(spared(over, end, step="expire", label=LABEL, findings=Findings()))


def _end_orphans(now: datetime) -> int:
    """Delete the old files in the folder that no row knows. What is no regular file was put there by another program:
    it is left alone."""
    known = set(Export.objects.filter(deleted_at=None).values_list("path", flat=True))
    gone = 0
    with os.scandir(folder()) as entries:
        for one in entries:
            if not one.name.endswith(SUFFIX) or one.name in known:
                continue
            try:
                gone += _end_old(one, now - ORPHAN_AFTER)
            except OSError as error:
                _tell(one.inode(), type(error).__name__)
    return gone


def _end_old(one: os.DirEntry[str], before: datetime) -> bool:
    found = one.stat(follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode):
        raise regular.NotRegular
    if found.st_mtime >= before.timestamp():
        return False
    Path(one).unlink(missing_ok=True)
    return True


_told: set[tuple[int, str]] = set()


def _tell(inode: int, error: str) -> None:
    """Name in the log, once by each process, what stays in the folder: by its number on the disk, for what it is called
    may be anything."""
    if (inode, error) not in _told:
        _told.add((inode, error))
        logger.error("copies.left", inode=inode, error=error)


def _file(export: Export) -> Path:
    """Return where a copy lies. Raises NoCopy where its row leads out of the folder of copies, or to none of them: what
    stands there is written, read and deleted by this account."""
    if not PATH.fullmatch(export.path):
        raise NoCopy
    return folder() / export.path


# Writing --------------------------------------------------------------------------------------------------------------


def _write(out: io.IOBase, request: Request, now: datetime) -> None:
    if request.subject_id is None:
        raise NoCopy
    if request.is_about_records:
        kinds = contents.kinds_of(addresses.records_of(request))
        verdicts = _alike(assessment.assess_these(assessment.facts_for(request), today=company_day(now), asked=False))
        # They lead to nobody, or to a subject of their own each, of whom the request opens nothing else: so they are
        # opened past the gate, exactly these, and the log is written first.
        _check_owners(kinds, None)
        _note(kinds, now)
        with vault.internal():
            _archive(out, request, kinds, verdicts, now)
        return
    kinds = contents.kinds(request.subject_id)
    for kind in kinds:
        if kind.declaration.model is Decision:
            # What this request decided is the copy itself: one line for each record that stands in it anyway.
            kind.rows = kind.rows.exclude(request=request)
            kind.count = kind.rows.count()
    kinds = [kind for kind in kinds if kind.count]
    _check_owners(kinds, ("subject", request.subject_id))
    verdicts = _alike(assessment.assess_all(request.subject_id, today=company_day(now), asked=False))
    _archive(out, request, kinds, verdicts, now)


def _check_owners(kinds: list[contents.Kind], owner: vault.keys.Owner | None) -> None:
    """Raise bound.NotOurs where the key store says of a record of the copy that it is not `owner`'s.

    Without one it is to be whose its row says. With one no row is read: a broken one keeps nobody from the copy.
    """
    for kind in kinds:
        if not issubclass(kind.declaration.model, vault.SealedModel):
            continue
        rows = kind.rows.order_by("pk")
        some: Iterator[tuple[UUID, vault.keys.Owner]]
        if owner is not None:
            some = ((pk, owner) for pk in rows.values_list("pk", flat=True).iterator(chunk_size=CHUNK))
        else:
            some = ((row.pk, row.vault_owner()) for row in rows)
        while part := dict(islice(some, CHUNK)):
            bound.require_owners(part)


def _note(kinds: list[contents.Kind], now: datetime) -> None:
    """Write into the access log that these records are opened for a copy, for each owner of them."""
    actor = current()
    opened: dict[tuple[str, UUID | None], dict[str, list[UUID]]] = {}
    for kind in kinds:
        for row in kind.rows:
            of_owner = opened.setdefault(row.vault_owner(), {})
            for envelope in kind.declaration.held(row):
                of_owner.setdefault(f"{kind.label}/{envelope}", []).append(row.pk)
    if actor is not None:
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

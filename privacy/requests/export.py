"""The copy of everything: a sealed ZIP, written in one stream, fetched for seven days, then gone (Art. 15, 20).

What must never happen: a readable file on disk, a copy that outlives its week, a name in it taken from data. An erasure
leaves a finished copy its week: the person fetches it by reference and code, or has it destroyed at once. Neither the
archive nor any part of it is ever in memory or on disk as a whole and in clear: it is made, compressed and sealed piece
by piece. A copy that failed half-way is deleted and made again.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet

from privacy import audit, gate, vault
from privacy.actor import Actor
from privacy.calendar import undated
from privacy.files import regular
from privacy.gate import log
from privacy.requests import (
    archive,
    bound,
    doubt,
    given_out,
    history,
    procedures,
    sight,
    waits,
)
from privacy.requests.models import PATH, Export, Request
from privacy.requests.states import BEGUN_STATES, State
from privacy.vault import stream
from privacy.vault.results import KeyMissing, VaultError
from privacy.work import apart
from privacy.work.broken import Findings, spared

logger = structlog.get_logger(__name__)

LIVES = bound.LIVES
SUFFIX = ".sealed"
LABEL = "privacy.export"
ENVELOPE = bound.FILE
# A file without a row that is older than any build is left over from a killed worker.
ORPHAN_AFTER = timedelta(hours=2)
#: Lines of the audit that tell why a copy ended before its week: its person wanted it, or a second person ended the
#: request.
DESTROYED = "copy.destroyed"
DAMAGED = "copy.damaged"
_SAID_TO_END = (DESTROYED, "request.second_decided")


class NoCopy(Exception):
    """There is no copy to fetch: not built yet, expired or erased, not the one that the site made for this request, or
    a second person has to look first."""


class CopyDamaged(NoCopy):
    """The file of the copy is damaged, or is there no more: it is made anew."""


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
    if request.subject_id is None:
        raise NoCopy
    _put_aside(request, now)
    export = Export(request=request, path=secrets.token_hex(16) + SUFFIX, expires_at=now + LIVES)
    target = _file(export)
    try:
        with target.open("xb") as file:
            os.chmod(target, 0o600)
            with stream.SealedWriter(file, export.pk, envelope=ENVELOPE, owner=request.vault_owner()) as sealed:
                counted = _Counted(sealed)
                archive.write(counted, request, request.subject_id, now)
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


def require_end(request: Request, *, now: datetime) -> None:
    """Raise bound.NotOurs where a copy was made for this request that can't be fetched and has not ended, or ended
    before its time: its row was changed or taken away by another program, and nobody has been given anything.

    A copy ends with its key, which the key store knows of: after its week, or because it was given out, or the person
    or a second person said so, of which our lines of the audit tell. To be asked where `live` finds none.
    """
    made = list(Export.objects.filter(request=request))
    numbers = [one.pk for one in made]
    if not made or not bound.have_ended(numbers):
        raise bound.NotOurs
    if any(bound.is_our_file(one) and one.expires_at <= now for one in made) or bound.have_had_their_week(numbers):
        return
    told = audit.ours(audit.history(reference=request.reference).filter(action__in=_SAID_TO_END))
    is_said = any(one.action == DESTROYED or one.reason.startswith("end:") for one in told)
    is_posted = request.events.filter(kind="copy_posted").exists()
    if not is_said and not is_posted and not given_out.is_fetched(request):
        raise bound.NotOurs


def damaged(request: Request) -> Export | None:
    """Return the copy of this request, in its week, whose row says what the site wrote and whose file is damaged, is no
    file or is gone; else None. It is nowhere called ready, and answers nothing."""
    rows = Export.objects.filter(request=request, deleted_at=None)
    return next((one for one in rows if _is_ours(one) and _is_damaged(one)), None)


def is_owed(request: Request) -> bool:
    """Say whether the copy that was made last for this request is damaged, or ended so: another one is made then."""
    return is_noted(request) or damaged(request) is not None


def is_noted(request: Request) -> bool:
    """Say whether the copy that was made last for this request was found damaged by who asked for it, or by night."""
    last = request.exports.order_by("-pk").first()
    return last is not None and bool(audit.told_of([DAMAGED], [(LABEL, last.pk)]))


def _is_ours(export: Export) -> bool:
    return export.built_at is not None and bound.is_our_file(export)


def _is_whole(export: Export) -> bool:
    if not _is_ours(export):
        return False
    try:
        stream.look(_file(export), export.pk)
    except (VaultError, OSError, NoCopy):
        return False
    return True


def _is_damaged(export: Export) -> bool:
    try:
        stream.look(_file(export), export.pk)
    except (stream.StreamDamaged, KeyMissing, regular.NotRegular, FileNotFoundError):
        return True
    except (VaultError, OSError, NoCopy):  # ended, or out of reach: that says nothing about the file
        return False
    return False


def _put_aside(request: Request, now: datetime) -> None:
    """End the rows that stand in the way of a copy: the site did not write them, or their file is not there any
    more."""
    for one in Export.objects.filter(request=request, deleted_at=None).only("pk", "path"):
        logger.error("copy.put_aside", request=str(request.pk), copy=str(one.pk))
        delete(one, now=now)


def fetch(request: Request, *, actor: Actor, now: datetime, via: str = "portal") -> tuple[str, Iterator[bytes]]:
    """Return a file name and the ZIP's bytes as a stream: in the person's access log before the first byte, counted and
    audited as fetched after the last. Raises NoCopy, and CopyDamaged for one that is made anew now.

    The stream enters the gate by itself: give it to StreamingHttpResponse as it is. Who may fetch has been decided by
    `sight.require_sight`, which this asks again. Raises NotYours.
    """
    sight.require_sight(request, actor)
    if not waits.is_undecided(request) and (found := damaged(request)) is not None and found.expires_at > now:
        _note_damage(found, now)
        raise CopyDamaged
    with transaction.atomic():
        export = Export.objects.select_for_update().filter(request=request, deleted_at=None, expires_at__gt=now).first()
        if export is None or not _is_whole(export) or waits.is_undecided(request):
            raise NoCopy
        if not (doubt.is_clear(request) and bound.is_file_of(export, request.owner_id)):
            raise NoCopy
        given_out.begin(request, actor=actor, now=now, via=via)
        # The file is opened by its own key, past the envelopes: so its opening is noted here.
        log.write([log.Opening(actor, request.vault_owner(), {f"{LABEL}/{ENVELOPE}": [export.pk]})], now=now)
    return f"{request.reference}.zip", gate.streaming(actor, _handed_out(export, request, actor, now, via))


def _handed_out(export: Export, request: Request, actor: Actor, now: datetime, via: str) -> Iterator[bytes]:
    yield from content(export, now=now)
    # Asked for what comes after the last piece, the server has given that out.
    with transaction.atomic():
        Export.objects.filter(pk=export.pk).update(downloads=F("downloads") + 1)
        given_out.fetched(request, actor=actor, now=now, via=via)
        _wait_no_more(request, now)


def left(request: Request, *, now: datetime) -> list[Export]:
    """Return the copies that can still be fetched by who proved to have made `request`: its own.

    A removal that was carried out took the login away by which earlier copies are fetched: it leads to those that were
    finished before it, and to none that was made later. One about some records leads to no other request's copy.
    """
    if request.owner_id is None or not doubt.is_clear(request):
        return []
    found = Export.objects.filter(deleted_at=None, built_at__isnull=False, expires_at__gt=now)
    if request.procedure.removes and request.state in BEGUN_STATES and not request.is_about_records:
        found = found.filter(request__owner_id=request.owner_id, built_at__lte=history.ended_at(request) or now)
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
        audit.record(DESTROYED, actor=actor, now=now, subject=request.subject_id, reference=request.reference)
        delete(export, now=now)
        _wait_no_more(request, now)


def _wait_no_more(request: Request, now: datetime) -> None:
    """Wake a request that only waits until its copy was fetched, or is gone."""
    waiting = Request.objects.filter(pk=request.pk, step=procedures.CLOSE.name)
    waiting.exclude(state=State.PARKED).update(next_action_at=now)


def content(export: Export, *, now: datetime) -> Iterator[bytes]:
    """Yield the ZIP of a copy piece by piece; who may have it was decided before. Raises what `stream.read` raises; one
    that is damaged on the way is given out to nobody any more."""
    try:
        yield from stream.read(_file(export), export.pk)
    except stream.StreamDamaged:
        with suppress(OSError):
            _file(export).unlink(missing_ok=True)  # head and end of it may be whole
        _note_damage(export, now)
        raise


def _note_damage(export: Export, now: datetime) -> None:
    """Write down that a copy is damaged, once, and wake its request, which has it made anew if it waits for it."""
    request = export.request
    logger.error("copy.damaged", copy=str(export.pk), request=str(request.pk))
    with transaction.atomic():
        if not audit.told_of([DAMAGED], [(LABEL, export.pk)]):
            audit.record(
                DAMAGED, actor=None, now=now, subject=request.subject_id, record=(LABEL, export.pk),
                reference=request.reference,
            )  # fmt: skip
        _wait_no_more(request, now)


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
    """Delete the copies whose week is over, by the row where the site wrote it, else by the age of its key, and files
    that no row knows; return how many went. What cannot be deleted keeps no other one."""
    old = bound.files_over()  # whatever their rows say, and where there is none
    over = _over(old, now)
    done = apart.each(
        damage=lambda: _note_damaged(over, now),  # before their keys go
        keys=lambda: vault.keys.destroy([(pk, ENVELOPE) for pk in old], now=now),
        rows=lambda: _end_over(over, now),
        files=lambda: _end_orphans(now),
    )
    return int(done["rows"] + done["files"])


def _over(old: Sequence[UUID], now: datetime) -> list[UUID]:
    return over_by(Export.objects.filter(Q(expires_at__lte=now) | Q(pk__in=old), deleted_at=None), now=now)[:500]


def _note_damaged(over: Sequence[UUID], now: datetime) -> None:
    """Write down which of these copies were damaged: their week has given nobody anything."""

    def note(some: Sequence[UUID]) -> None:
        for one in Export.objects.filter(pk__in=some).select_related("request"):
            if _is_ours(one) and _is_damaged(one):
                _note_damage(one, now)

    for _ in spared(over, note, step="damage", label=LABEL, findings=Findings()):
        pass


def _end_over(over: Sequence[UUID], now: datetime) -> int:
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


def over_by(copies: QuerySet[Export], *, now: datetime) -> list[UUID]:
    """Return those of these copies that have ended, or are to end: their week is over by a row that the site wrote, or
    their key is gone or older than a week. What anybody wrote into a row ends nothing before."""
    old, living = set(bound.files_over()), set(bound.files_living())
    numbers = list(copies.values_list("pk", flat=True))
    ours = (one for one in undated.each(copies) if bound.is_our_file(one) and not undated.is_none(one.expires_at))
    due = {one.pk for one in ours if one.expires_at <= now}
    return [pk for pk in numbers if pk in due or pk in old or pk not in living]


def _file(export: Export) -> Path:
    """Return where a copy lies. Raises NoCopy where its row leads out of the folder of copies, or to none of them: what
    stands there is written, read and deleted by this account."""
    if not PATH.fullmatch(export.path):
        raise NoCopy
    return folder() / export.path

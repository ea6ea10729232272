"""The copy by post, on paper or on a USB stick, for whom no e-mail and no login reaches or who
wants it so (Art. 12(1), 15(3)).

What must never happen: a copy posted to an address that has not been on file for 14 days, one that somebody outside of
the privacy team has opened, one of which nobody can tell who had it in hand, one that stays here once it is posted.
What staff print is the page of the finished copy itself, what goes on a stick its archive: nothing is put together for
the paper. A letter that is ticked off cannot be taken back; the copy is made anew when the person asks again.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.template import Engine

from privacy import audit, gate, letters
from privacy.actor import Actor
from privacy.calendar import company_day
from privacy.gate import log
from privacy.letters.models import Letter
from privacy.requests import bound, doubt, export, history, planned, unjoined, waits, writing
from privacy.requests.history import NotAllowed
from privacy.requests.models import Export, Request
from privacy.requests.sight import NotYours, locked, require_hand

PRINTED, ON_STICK, POSTED = "copy_printed", "copy_on_stick", "copy_posted"
MOST_AT_ONCE = 1 << 20
_LOCAL_HEADER = struct.Struct("<26xHH")  # of a member of a ZIP file: the lengths of its name and of what follows that


def kind(request: Request) -> str:
    """Return the kind of the letter with which the copy of this right is posted, "" where none is."""
    return request.procedure.letters.answer_by_post


def goes_with(letter: Letter, request: Request) -> bool:
    """Say whether the copy goes with this letter of the request."""
    return bool(kind(request)) and letter.kind == kind(request)


def can_post(request: Request, *, now: datetime) -> bool:
    """Say whether a finished copy can be posted: it is there, no letter with it waits, and a postal address counts."""
    return (
        bool(kind(request))
        and export.live(request) is not None
        and not waiting(request).exists()
        and not waits.is_undecided(request)
        and writing.has_postal(request, now=now)
    )


def waiting(request: Request) -> Any:
    """Return the letters with a copy that wait to be posted."""
    return request.letters.filter(kind=kind(request), by=Letter.By.POST, sent_at=None, stopped_at=None)


def post(request: Request, *, actor: Actor, now: datetime) -> None:
    """Leave a letter with which the finished copy is posted to the postal address on file. Raises NotYours,
    NotAllowed."""
    _require_team(request, actor)
    with transaction.atomic():
        found = locked(request)
        if not can_post(found, now=now):
            raise NotAllowed("There is no copy to be posted, or no postal address has been on file for 14 days.")
        copy = export.live(found)
        key = f"copy-posted:{copy.pk if copy else ''}:{now:%Y%m%d%H%M%S}"
        write(found, key=key, records=len((planned.of(found) or {}).get("verdicts", ())), now=now)
        audit.record("copy.to_be_posted", actor=actor, now=now, subject=found.subject_id, reference=found.reference)


def write(request: Request, *, key: str, records: int, now: datetime) -> None:
    """Write the letter that goes with the copy, in the caller's transaction."""
    context = {"records": records, "unjoined": unjoined.of_request(request.subject_id, company_day(now))}
    writing.queue(kind(request), to="", context=context, key=key, request=request, now=now)


def page(letter: Letter, *, actor: Actor, now: datetime) -> Iterator[bytes]:
    """Return the page of the copy that goes with this letter, to be printed, as a stream; written into audit and access
    log.

    Raises NotYours, export.NoCopy.
    """
    copy = _taken(letter, PRINTED, actor=actor, now=now)
    return gate.streaming(actor, first_member(export.content(copy, now=now)))


def archive(letter: Letter, *, actor: Actor, now: datetime) -> tuple[str, Iterator[bytes]]:
    """Return name and bytes of the archive for a USB stick, as a stream: once for each letter,
    written into audit and access log.

    Raises NotYours, export.NoCopy, NotAllowed the second time.
    """
    copy = _taken(letter, ON_STICK, actor=actor, now=now)
    name = f"{letter.request.reference}.zip" if letter.request else "copy.zip"
    return name, gate.streaming(actor, export.content(copy, now=now))


def _taken(letter: Letter, what: str, *, actor: Actor, now: datetime) -> Export:
    """Write down that the copy of a letter was taken in hand, before a byte of it is read; return it."""
    if letter.request is None:
        raise export.NoCopy
    _require_team(letter.request, actor)
    with transaction.atomic():
        request = locked(letter.request)
        copy = export.live(request)
        if not waiting(request).filter(pk=letter.pk).exists() or copy is None or copy.expires_at <= now:
            raise export.NoCopy
        if waits.is_undecided(request) or not (doubt.is_clear(request) and bound.is_file_of(copy, request.owner_id)):
            raise export.NoCopy
        if what == ON_STICK and _was_taken(request, letter, copy, ON_STICK):
            raise NotAllowed(
                "The copy was taken for a stick before. Print it, or stop the letter and let it be made anew."
            )
        history.event(request, what, actor=actor, now=now, detail={"letter": str(letter.pk), "copy": str(copy.pk)})
        audit.record(
            f"copy.{what.removeprefix('copy_')}", actor=actor, now=now, subject=request.subject_id,
            record=(Letter.vault_label, letter.pk), reference=request.reference,
        )  # fmt: skip
        # The file is opened by its own key, past the envelopes: so its opening is noted here.
        opening = log.Opening(actor, request.vault_owner(), {f"{export.LABEL}/{export.ENVELOPE}": [copy.pk]})
        log.write([opening], now=now)
    return copy


def _was_taken(request: Request, letter: Letter, copy: Export, *what: str) -> bool:
    taken = request.events.filter(kind__in=what or (PRINTED, ON_STICK))
    return taken.filter(detail__letter=str(letter.pk), detail__copy=str(copy.pk)).exists()


def require_in_envelope(letter: Letter, request: Request, *, now: datetime) -> None:
    """Raise NotAllowed where a letter is to be ticked off whose copy nobody has printed or taken, or is not there any
    more."""
    copy = export.live(request)
    if copy is None or copy.expires_at <= now:
        raise NotAllowed(
            "The copy of this letter is not there any more: its week is over, or its file is damaged. Do not post it."
        )
    if not _was_taken(request, letter, copy):
        raise NotAllowed("The copy goes with this letter: first print it, or take it for a USB stick.")


def posted(letter: Letter, request: Request, *, actor: Actor, now: datetime) -> None:
    """Destroy the copy, and what its letter says, now that both are on their way, in the caller's transaction."""
    history.event(request, POSTED, actor=actor, now=now)
    copies = Export.objects.filter(request=request, deleted_at=None)  # one: `require_in_envelope` has seen it
    for copy in copies:
        Export.objects.filter(pk=copy.pk).update(downloads=F("downloads") + 1)
        export.delete(copy, now=now)
    letters.burn(Letter.objects.filter(pk=letter.pk), now=now)


def _require_team(request: Request, actor: Actor) -> None:
    require_hand(request, actor)
    if actor.kind != "staff":
        raise NotYours("Only the privacy team posts a copy.")


# The page in the archive ----------------------------------------------------------------------------------------------


def first_member(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the first file of a ZIP archive that comes in pieces, inflated, a piece at a time: of a copy that is its
    page."""
    head, wanted, is_open = bytearray(), _LOCAL_HEADER.size, False
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    for piece in pieces:
        data = piece
        if not is_open:
            head += piece
            if len(head) >= _LOCAL_HEADER.size:
                wanted = _LOCAL_HEADER.size + sum(_LOCAL_HEADER.unpack_from(head))
            is_open = len(head) >= max(wanted, _LOCAL_HEADER.size + 1)
            data = bytes(head[wanted:]) if is_open else b""
        while data and not inflate.eof:
            yield inflate.decompress(data, MOST_AT_ONCE)
            data = inflate.unconsumed_tail
        if inflate.eof:
            return


def style_of_page() -> str:
    """Return what the header of a response says to let the page's own style count and no other (CSP Level 2, hash)."""
    source = Engine.get_default().get_template("privacy/export/head.html").source
    style = re.search(r"<style>(.*?)</style>", source, re.DOTALL)
    digest = hashlib.sha256(style[1].encode() if style else b"").digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"

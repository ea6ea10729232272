"""Do the key store, the main database and the signed file know the same lines? If not, maintenance mode.

Normal are differences in one direction only: the key store may have lines the main database does not have yet, the main
database lines the file does not have yet (a task copies them every few seconds).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError

from privacy.restore import apply, signed, signed_file
from privacy.restore.models import LedgerCopy, LedgerWaiting
from privacy.vault.keystore import ledger
from privacy.vault.models import Tombstone
from privacy.vault.ring import RingRefused

log = structlog.get_logger(__name__)

PAGE = 200
# Rows that a killed worker can leave behind its keys: a batch of an erasure each. More are a restored database.
RESIDUE_MOST = 1000

SENTENCES = {
    "main_behind": "The main database is older than the ledger of erasures: it was restored from a backup.",
    "main_changed": "The newest filed line of the main database's copy of the ledger was changed by another program.",
    "keys_behind": "The key store is older than the ledger of erasures: it was restored from a backup.",
    "file_missing": "The signed file of the ledger is missing from CHECKPOINT_DIR.",
    "file_broken": "The signed file of the ledger was not written by this installation, or was changed.",
    "file_unreadable": (
        "The signed file of the ledger cannot be read here: look at owner and mode of CHECKPOINT_DIR and of what lies in it."
    ),
    "file_behind": "The signed file of the ledger lacks lines that the main database has filed.",
}


def problems() -> list[str]:
    """Return what is out of place, as codes of SENTENCES; empty when all is well. Raises DatabaseError."""
    found = []
    filed = signed.newest(LedgerCopy.objects.filter(filed_at__isnull=False))
    try:
        end = signed_file.last()
    except signed_file.FileUnreadable:
        end = None
        found.append("file_unreadable")
    except signed_file.FileBroken:
        end = None
        found.append("file_broken")
    else:
        if end is None and filed is not None:
            found.append("file_missing")
    newest = signed.newest(LedgerCopy.objects.all())
    known = {one for one in (end, newest.entry if newest else None) if one is not None}
    if known and Tombstone.objects.filter(entry__in=known).count() < len(known):
        found.append("keys_behind")
    if end is not None:
        at_end = LedgerCopy.objects.filter(entry=end)
        line = signed.newest(at_end)
        if line is None:
            found.append("main_changed" if at_end.exists() else "main_behind")
        elif filed is not None and filed.pk > line.pk:
            found.append("file_behind")
    if "main_behind" not in found and _standing() > RESIDUE_MOST:
        found.append("main_behind")
    return found


def waiting() -> Iterator[list[Tombstone]]:
    """Yield pages of lines that the main database does not have, newest first; last the old ones others were copied
    past. Of each only its number and its name are read: what else it says may be unreadable."""
    before: int | None = None
    page: list[Tombstone] = []
    while before is None or len(page) == PAGE:
        lines = Tombstone.objects.only("seq", "entry").order_by("-seq")
        page = list((lines if before is None else lines.filter(seq__lt=before))[:PAGE])
        copied = LedgerCopy.objects.filter(entry__in=[one.entry for one in page])
        have = {one.entry for one in signed.ours(copied)}
        missing = [one for one in page if one.entry not in have]
        if not missing:
            break
        yield missing
        before = page[-1].seq
    noted = list(LedgerWaiting.objects.values_list("entry", flat=True))
    past = Tombstone.objects.only("seq", "entry").filter(entry__in=noted).order_by("-seq")
    if passed := list(past if before is None else past.filter(seq__lt=before)):
        yield passed


def missing_entries() -> set[UUID]:
    """Return the entries of all lines that the main database does not have."""
    return {one.entry for page in waiting() for one in page}


def _standing() -> int:
    """Count rows whose keys are gone by lines that are not copied yet; stops counting above RESIDUE_MOST."""
    count = 0
    for page in waiting():
        went = ledger.gone([one.seq for one in page])
        count += apply.standing([one for listed in went.values() for one in listed])
        if count > RESIDUE_MOST:
            break
    return count


# Maintenance mode -----------------------------------------------------------------------------------------------------


class _Watch:
    """What this process saw last; looked at again every MAINTENANCE_CHECK_SECONDS."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.until = 0.0
        self.found: tuple[str, ...] = ()

    def look(self, *, afresh: bool = False) -> tuple[str, ...]:
        if not afresh and (not settings.MAINTENANCE_CHECK_SECONDS or time.monotonic() < self.until):
            return self.found
        if not self.lock.acquire(blocking=afresh):
            return self.found  # another thread is looking
        try:
            found = tuple(problems())
        except (DatabaseError, RingRefused):
            return self.found  # a database that is down says nothing about what it holds; without a ring nothing opens
        finally:
            self.until = time.monotonic() + settings.MAINTENANCE_CHECK_SECONDS
            self.lock.release()
        if found != self.found:
            log.error("maintenance", problems=list(found)) if found else log.warning("maintenance.over")
        self.found = found
        return found


_watch = _Watch()


def reasons(*, afresh: bool = False) -> tuple[str, ...]:
    """Return why nothing may be served now (codes of SENTENCES), empty in daily life; cheap to ask in each request."""
    return _watch.look(afresh=afresh)

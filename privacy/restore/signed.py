"""Which lines of the main database's copy of the ledger this program wrote.

What must never happen: a line that somebody put into the main database closes the site, is destroyed by, or gets into
the key store or the signed file. So each line carries a keyed hash, made as it is copied; one whose hash does not fit
counts as if it were not there, and so does one that cannot be read. If the key store has a line under its name, that
is copied anew in its place; otherwise `verify_audit` names it, and an operator deletes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import models

from privacy.restore.models import LedgerCopy
from privacy.vault.macs import mac_fits, mac_of
from privacy.work import broken

CHUNK = 200
_PURPOSE = "ledger.copy"


def sign(line: LedgerCopy) -> None:
    """Give the line the keyed hash over what it says; not over when it was filed."""
    line.mac = mac_of(_PURPOSE, *_parts(line))


def is_ours(line: LedgerCopy) -> bool:
    """Say whether this program wrote what the line says."""
    return mac_fits(line.mac, _PURPOSE, *_parts(line))


def _parts(line: LedgerCopy) -> list[Any]:
    told = [json.dumps(one, sort_keys=True) for one in (line.counts, line.content)]
    return [str(line.entry), line.kind, line.reference, line.at, *told]


def ours(lines: models.QuerySet[LedgerCopy]) -> Iterator[LedgerCopy]:
    """Yield those of the lines that this program wrote, in their order; not when they were filed, which no hash
    covers."""
    return filter(is_ours, broken.readable(lines.defer("filed_at"), chunk=CHUNK))


def newest(lines: models.QuerySet[LedgerCopy]) -> LedgerCopy | None:
    """Return the newest of the lines that this program wrote."""
    return next(ours(lines.order_by("-id")), None)


def others() -> Iterator[tuple[str, UUID]]:
    """Yield ("ledger_copy", name) of each line that another program wrote or changed: what `audit.verify` is told."""
    names = LedgerCopy.objects.order_by("id").values_list("pk", "entry").iterator(chunk_size=CHUNK)
    while some := dict(islice(names, CHUNK)):
        own = {line.pk for line in ours(LedgerCopy.objects.filter(pk__in=some))}
        yield from (("ledger_copy", entry) for pk, entry in some.items() if pk not in own)

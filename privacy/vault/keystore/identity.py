"""Ring, key store and main database belong together, or nothing is served.

Must never happen: a process that seals new data under a ring or into a key store that is not the one the
rest of the data needs. A restored or exchanged part is refused; it is undone by putting the right one back.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.apps import apps
from django.db import DatabaseError, connections, transaction

from privacy.vault import ring as rings
from privacy.vault.blob import BlobDamaged, open_blob, seal_blob
from privacy.vault.keystore.sql import KEYSTORE
from privacy.vault.models import DataKey, KeystoreIdentity

_PURPOSE = "installation"


def is_migrated() -> bool:
    """Tell whether both databases have the tables that are compared. Raises DatabaseError."""
    found = {table for alias in ("default", KEYSTORE) for table in connections[alias].introspection.table_names()}
    return {"privacy_installation", KeystoreIdentity._meta.db_table, DataKey._meta.db_table} <= found


def verify(*, bind: bool = True) -> list[str]:
    """Return what does not belong together, in sentences; empty when all is well.

    On a new installation (no data key, no identity yet) the three are bound to each other first, unless
    `bind` says only to look.
    """
    try:
        ring = rings.current()
    except rings.RingRefused as error:
        return [str(error)]
    try:
        here = _main_installation()
        identity = KeystoreIdentity.objects.first()
        if None in (identity, here) and here in (None, ring.installation) and not DataKey.objects.exists():
            if not bind:
                return []
            identity = identity or _bind_keystore(ring)
            here = here or _bind_main(ring.installation)
    except DatabaseError:
        return ["The key store or the main database cannot be reached, or was not migrated."]
    problems = []
    if identity is None:
        problems.append("The key store has no identity but data exists: it is empty or not the one that belongs here.")
    elif identity.installation != ring.installation or not _proved(identity, ring):
        problems.append("The key ring is not the one this key store was made with.")
    if here is None:
        problems.append("The main database has no installation id although keys exist: it does not belong here.")
    elif here != ring.installation:
        problems.append("The main database belongs to another installation than the key ring.")
    missing = _versions_missing(ring)
    if missing:
        problems.append(f"The key ring lacks versions that data keys need: {', '.join(map(str, missing))}.")
    return problems


def _main_installation() -> UUID | None:
    rows = apps.get_model("privacy", "Installation").objects.values_list("installation", flat=True)
    found: UUID | None = rows.first()
    return found


def _bind_keystore(ring: rings.KeyRing) -> KeystoreIdentity:
    proof = seal_blob(_PURPOSE, ring.installation.bytes, of=None)  # opens to its own contents
    with transaction.atomic(using=KEYSTORE):
        identity, _ = KeystoreIdentity.objects.get_or_create(
            id=1, defaults={"installation": ring.installation, "proof": proof}
        )
    return identity


def _bind_main(installation: UUID) -> UUID:
    row, _ = apps.get_model("privacy", "Installation").objects.get_or_create(
        id=1, defaults={"installation": installation}
    )
    found: UUID = row.installation
    return found


def _proved(identity: KeystoreIdentity, ring: rings.KeyRing) -> bool:
    try:
        return open_blob(_PURPOSE, bytes(identity.proof), of=None) == ring.installation.bytes
    except BlobDamaged:
        return False


def _versions_missing(ring: rings.KeyRing) -> list[int]:
    used = DataKey.objects.filter(wrapped__isnull=False).values_list("kek", flat=True).distinct()
    return sorted(set(used) - set(ring.versions))


def renewed_at() -> datetime | None:
    """Return when the ring was last renewed whole, None when it never was."""
    return KeystoreIdentity.objects.values_list("renewed_at", flat=True).first()


def note_renewed(now: datetime) -> None:
    """Note that the ring was renewed whole."""
    with transaction.atomic(using=KEYSTORE):
        KeystoreIdentity.objects.update(renewed_at=now)

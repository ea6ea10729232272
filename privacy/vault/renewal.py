"""The ring is renewed, so that destroyed keys end in the servers' own files too (design 12, P32, Art. 17).

A destroyed data key is NULL in its table, and still lies, wrapped, in dead rows and in the write-ahead log until the
server happens to write over them. What ends it for certain is the end of the key it was wrapped under: a new version of
the ring, every living key wrapped again, the old version gone.

What must never happen: a ring that is nowhere else when the only file of it is lost, or an old version taken away while
a living key needs it. So the new ring stands at its place *and* at KEY_RING_COPY and was read back from both, a fresh
backup of the key store was opened with it, key by key, and only then the old version goes. Each step looks at what is
there and does what is left: a renewal that was killed is done by the next one. Undone is nothing of it: backups of the
key store made before are worthless afterwards, which is its purpose.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings

from privacy.vault import ring as rings
from privacy.vault.keystore import identity, rotate
from privacy.vault.keystore.binding import NO_ID, bound
from privacy.vault.results import VaultError
from privacy.work import counted

# Not oftener than weekly, and so never later than a week after a destruction. An hour less,
# because a timer is never exact.
EVERY = timedelta(days=7)
SLACK = timedelta(hours=1)
# Who wrapped a key just before the new version was there has written it by then; later ones the database refuses.
SETTLE_SECONDS = 5.0
COLUMNS = ("id", "record", "owner_id", "owner_kind", "envelope", "kek", "wrapped")


class RenewalRefused(VaultError):
    """The ring cannot be renewed safely; one sentence, no secret. The old version is still in the ring."""


@dataclass(frozen=True)
class Need:
    """Whether the ring is to be renewed: since when a destroyed key waits for it, and when it was renewed last."""

    oldest: datetime | None
    renewed_at: datetime | None
    half_done: bool = False

    def is_due(self, now: datetime) -> bool:
        """Return whether to renew now: a killed renewal at once, else once a week and only after a destruction."""
        if self.half_done:
            return True
        return self.oldest is not None and (self.renewed_at is None or now - self.renewed_at >= EVERY - SLACK)


@dataclass(frozen=True)
class Renewed:
    """What a renewal did: the version in use, how many keys were wrapped again, how many a backup opened."""

    version: int
    retired: tuple[int, ...]
    wrapped: int
    opened: int

    def as_dict(self) -> dict[str, object]:
        """Return the numbers for an audit event or JSON."""
        return asdict(self)


def need() -> Need:
    """Return whether and why the ring is to be renewed. Raises RingRefused, DatabaseError."""
    renewed_at = identity.renewed_at()
    oldest = rotate.first_destroyed(renewed_at or datetime.fromtimestamp(0, UTC))
    return Need(oldest, renewed_at, half_done=len(rings.current().versions) > 1 and bool(settings.KEY_RING_COPY))


def renew(
    *,
    file: Path,
    copy: Path,
    backup: Sequence[str],
    now: datetime,
    told: Callable[[str], None] = lambda text: None,
    settle: float | None = None,
) -> Renewed:
    """Renew the ring in `file` and `copy`; `backup` is the command that backs the key store up and prints the dump's
    path.

    `told` hears each step in words. Raises RenewalRefused, RingRefused, VaultError or DatabaseError; then the old
    version is still in the ring, and running it again goes on where it stopped.
    """
    if problems := identity.verify():
        raise RenewalRefused(problems[0])
    ring = rings.read(file)
    if not copy.parent.is_dir():
        raise RenewalRefused("The folder of KEY_RING_COPY is not there: is its disk mounted?")
    if copy.parent.stat().st_dev == file.parent.stat().st_dev:
        raise RenewalRefused("KEY_RING_COPY is on the same disk as the ring: what takes one takes both.")
    _refuse_anothers(copy, ring)
    if len(ring.versions) == 1:
        ring = ring.added()
        told(f"writing version {ring.current} to both places")
        _put(ring, copy, file)  # the copy first: no key may hang on a version that stands in one place only
    else:
        _put(ring, copy)
    _same(ring, copy, file)
    time.sleep(SETTLE_SECONDS if settle is None else settle)
    told("wrapping the keys again")
    wrapped = sum(chunk.wrapped for chunk in rotate.rotate())
    shorter = ring
    for version in ring.versions[:-1]:
        shorter = shorter.without(version)
    told("backing the key store up, and opening the backup")
    opened = _opened(shorter, _back_up(backup))
    told("taking the old version away")
    if left := rotate.close(ring.current):
        raise RenewalRefused(f"An old version is still needed by {counted.of(left, 'key')}. Run it again.")
    _put(shorter, file, copy)
    _same(shorter, copy, file)
    identity.note_renewed(now)
    return Renewed(shorter.current, ring.versions[:-1], wrapped, opened)


def _refuse_anothers(copy: Path, ring: rings.KeyRing) -> None:
    """Raise RenewalRefused when something else lies at the place of the copy: it would be overwritten for good."""
    if not copy.exists():
        return
    try:
        found = rings.read(copy)
    except rings.RingRefused as error:
        raise RenewalRefused(f"What lies at KEY_RING_COPY is not taken for a copy of the ring. {error}") from None
    if found.installation != ring.installation or found.derive("copy") != ring.derive("copy"):
        raise RenewalRefused("The ring at KEY_RING_COPY belongs to another installation: choose another place.")


def _put(ring: rings.KeyRing, *places: Path) -> None:
    for place in places:
        try:
            rings.write(place, ring)
        except OSError as error:
            raise RenewalRefused(f"The ring cannot be written to {place}: {error.strerror}.") from None


def _same(ring: rings.KeyRing, *places: Path) -> None:
    for place in places:
        if rings.read(place) != ring:
            raise RenewalRefused(f"What was written to {place} is not what was read back.")


# The backup -----------------------------------------------------------------------------------------------------------


def _back_up(command: Sequence[str]) -> Path:
    """Run the backup and return the dump it names on its last line. Raises RenewalRefused."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  the operator's own
    except OSError as error:
        raise RenewalRefused(f"The backup of the key store did not start: {error.strerror}.") from None
    lines = done.stdout.split()
    if done.returncode != 0 or not lines or not Path(lines[-1]).is_file():
        raise RenewalRefused(f"The backup of the key store failed (exit code {done.returncode}).")
    return Path(lines[-1])


def _opened(ring: rings.KeyRing, dump: Path) -> int:
    """Open every living key of a dump with the ring; return how many. Raises RenewalRefused when one does not open."""
    count = 0
    for row in _rows(dump):
        if row["wrapped"] is None:
            continue
        owner = UUID(row["owner_id"]).bytes if row["owner_id"] else NO_ID
        both = int(row["id"]).to_bytes(8, "big", signed=True) + UUID(row["record"]).bytes  # type: ignore[arg-type]
        context = bound(both, str(row["envelope"]), str(row["owner_kind"]), owner)
        try:
            ring.unwrap(int(row["kek"] or 0), bytes.fromhex(row["wrapped"].removeprefix("\\\\x")), context)
        except (rings.VersionUnknown, rings.WrapBroken):
            raise RenewalRefused("The backup holds a key that the new ring does not open.") from None
        count += 1
    if count == 0 and rotate.waiting():
        raise RenewalRefused("The backup holds no key.")
    return count


def _rows(dump: Path) -> Iterator[dict[str, str | None]]:
    """Yield the rows of the table of keys in a dump of PostgreSQL's custom format."""
    command = ["pg_restore", "--data-only", "--table=vault_datakey", "--file=-", str(dump)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:  # noqa: S603
        names: list[str] = []
        assert process.stdout is not None  # noqa: S101  it is a pipe
        for line in process.stdout:
            if line.startswith("COPY "):
                names = [name.strip() for name in line[line.index("(") + 1 : line.index(")")].split(",")]
            elif line.startswith("\\."):
                names = []
            elif names:
                values = line.rstrip("\n").split("\t")
                yield {name: None if value == "\\N" else value for name, value in zip(names, values, strict=True)}
        if process.wait() != 0:
            raise RenewalRefused("The backup of the key store cannot be read.")

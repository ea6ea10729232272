"""Rotation: data keys wrapped again under a new version.

Crypto is the unwrapping and wrapping alone, of rows in memory. Online is the command as operators run it: chunk by
chunk, each committed to disk, while readers and writers go on.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from django.conf import settings

from benchmarks import harness
from benchmarks.harness import Goal, Table
from benchmarks.models import Sealed
from benchmarks.rows import empty, settle, write
from privacy.vault import ring as rings
from privacy.vault.keystore import rotate
from privacy.vault.keystore.sql import cursor

KEYS = 40_000
WHY = {
    "crypto": "Two AES-GCM calls a key and Python around them, on one core.",
    "online": "PostgreSQL writes a new version of each row and its index entries; the rest of the time is one query, one "
    "parameter list and the crypto.",
}


def run() -> list[Table]:
    """Measure re-wrapping, once without a database and once as a rotation of the key store."""
    rounds = harness.rounds(5)
    empty(Sealed)
    for _ in range(8):
        write(Sealed, KEYS // 8)
    settle(Sealed)
    with cursor() as cur:
        rows = rotate.waiting_rows(cur, 0, most=KEYS)  # no version is 0: all of them
    assert len(rows) == KEYS

    def online() -> None:
        done = [progress.wrapped for progress in rotate.rotate()]
        assert sum(done) == KEYS, sum(done)

    def before(name: str) -> None:
        settle(Sealed)
        if name == "online":
            path = Path(settings.KEY_RING_FILE)
            rings.write(path, rings.read(path).added())

    ring = rings.current()
    candidates = {"crypto": partial(rotate.rewrapped, ring, rows), "online": online}
    taken = harness.interleaved(candidates, rounds=rounds, before=before)
    speed = {name: KEYS / timing.median for name, timing in taken.items()}
    limits = {"crypto": 150_000, "online": 20_000}
    goals = [
        Goal(
            f"G11 {name}",
            f"at least {limit:,} keys wrapped again a second, {name}",
            limit,
            speed[name],
            f"{speed[name]:,.0f}/s",
            at_least=True,
            why=WHY[name],
        )
        for name, limit in limits.items()
    ]
    table = [[name, f"{each:,.0f}"] for name, each in speed.items()]
    notes = [f"Chunks of {rotate.CHUNK:,} keys, each a transaction of its own."]
    return [Table(f"{KEYS:,} data keys wrapped again", ["", "keys a second"], table, notes, rounds, goals)]

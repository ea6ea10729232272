"""Keys that are alive although a line of the ledger tells of their end.

What must never happen: a key that was put back, by somebody who can write to the key store or with a backup of one of
its tables, opens again what was removed, and nobody sees it: the lines still agree in all three places, and a renewal
of the ring wraps the key like any other. So the living keys are held against what the lines say: `replay_ledger` ends
them again, `verify_audit` and the sweep name them. The key store alone is not asked, because it was changed; the main
database's copy of a line is believed where its keyed hash fits, the signed file always.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from uuid import UUID

from privacy.restore import signed
from privacy.restore.models import LedgerCopy
from privacy.vault.keystore import ledger
from privacy.vault.keystore.sql import cursor
from privacy.work import counted, progress
from privacy.work.broken import NAMED, Findings, require_own

CHUNK = 5_000
#: So many hashes are held at a time, about 60 MB; more take one more walk through the keys.
MOST = 500_000
_START = ledger.WIDTH // 2  # bytes of a hash by which a key is looked up first
_FINAL, _REPLACED = b"p", b"k"


class Revived(NamedTuple):
    """One living key, and the line that tells of its end."""

    entry: UUID
    gone: ledger.Gone


def find(lines: Iterable[LedgerCopy]) -> Iterator[Revived]:
    """Yield the living keys of whose end one of these lines tells.

    The work is one walk through the living keys for each MOST hashes.
    """
    ended = _Ended()
    for line in lines:
        ended.add(line)
        if len(ended.starts) >= MOST:
            yield from ended.alive()
            ended = _Ended()
    yield from ended.alive()


def copies() -> Iterator[LedgerCopy]:
    """Yield the lines of the main database's copy that the program wrote."""
    return signed.ours(LedgerCopy.objects.order_by("pk"))


def told() -> Iterator[tuple[str, str]]:
    """Yield ("key_alive", how many) where there is any such key: what `audit.verify` is told."""
    if count := sum(1 for _ in find(copies())):
        yield "key_alive", counted.of(count, "key")


def note(findings: Findings) -> None:
    """Note the first hundred such keys by their numbers; one finding where it cannot be told."""
    try:
        for number, one in enumerate(find(copies())):
            if number < NAMED:
                findings.note("ledger", "vault.datakey", one.gone.number, "AliveAgain")
    except Exception as error:
        require_own(error)
        findings.note("ledger", "vault.datakey", "all", error)


class _Ended:
    """The hashes of what some lines say ended, and of which line each is."""

    def __init__(self) -> None:
        self.starts: set[int] = set()
        self.packed = bytearray()

    def add(self, line: LedgerCopy) -> None:
        for kind, name in ((_FINAL, "pairs"), (_REPLACED, "keys")):
            for whole in ledger.hashes(line.content, name):
                self.starts.add(_start(whole))
                self.packed += kind + whole + line.entry.bytes

    def alive(self) -> Iterator[Revived]:
        found: dict[bytes, list[ledger.Gone]] = defaultdict(list)
        for gone in _walk() if self.starts else ():
            whole = ledger.pair_hash(gone.record, gone.envelope)
            if _start(whole) in self.starts:
                found[_FINAL + whole].append(gone)
            whole = ledger.key_hash(gone.number)
            if _start(whole) in self.starts:
                found[_REPLACED + whole].append(gone._replace(is_final=False))
        size = 1 + 2 * ledger.WIDTH
        for at in range(0, len(self.packed) if found else 0, size):
            of_line = bytes(self.packed[at : at + size])
            for gone in found.pop(of_line[: 1 + ledger.WIDTH], ()):
                yield Revived(UUID(bytes=of_line[1 + ledger.WIDTH :]), gone)


def _start(whole: bytes) -> int:
    return int.from_bytes(whole[:_START], "big")


def _walk() -> Iterator[ledger.Gone]:
    """Yield the living keys, each as if it had ended for good."""
    last, done = -(2**63), 0
    while True:
        with cursor() as cur:
            cur.execute(
                "SELECT id, record, envelope, label, true FROM vault_datakey"
                " WHERE id > %s AND destroyed_at IS NULL ORDER BY id LIMIT %s",
                [last, CHUNK],
            )
            rows = [ledger.Gone(*row) for row in cur.fetchall()]
        if not rows:
            return
        yield from rows
        done += len(rows)
        progress.tell("keys held against the ledger", done)
        last = rows[-1].number

"""One value: sealed and opened in memory.

No database. The limit is one AES-GCM cipher, made once, with a random nonce and 24 bytes of associated data.
"""

from __future__ import annotations

from collections.abc import Callable
from os import urandom
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import connection

from benchmarks import harness
from benchmarks.harness import Goal, Table
from benchmarks.models import LIBRARIES, NAMES
from benchmarks.profiling import explained
from privacy.vault import envelope
from privacy.vault.ids import uuid7

TEXT = "Käthe Müller-Lüdenscheidt 001"  # 32 bytes, three letters of which take two
LOOPS = 2_000
RAW, ONE, FIVE = "raw AESGCM, one cached key", "the vault, one value", "the vault, envelope of five, per value"
LIMITS = {"G1 seal": 1.5, "G1 open": 1.75, "G2 seal": 7.0, "G2 open": 7.0}
WHY = {
    "G1": "Both are one call of AES-GCM; the vault adds the header, the context and a function around it.",
    "G2": "The libraries' time is Python around AES, ours nearly all AES and the nonce, so how far they are apart follows "
    "the processor and the moment; sealed five to a row, as models seal, a value costs about half.",
}
Work = Callable[[], object]


def run() -> list[Table]:
    """Measure sealing and opening one value, per value, and count the bytes stored."""
    candidates = {RAW: _raw(), ONE: _vault(1), FIVE: _vault(len(NAMES))}
    candidates |= {name: _library(model._meta.get_field("one")) for name, model in LIBRARIES.items()}
    rounds = harness.rounds(9)
    taken = {
        kind: harness.interleaved({name: _repeated(pair[i]) for name, pair in candidates.items()}, rounds=rounds)
        for i, kind in enumerate(("seal", "open"))
    }
    rows = []
    for name, pair in candidates.items():
        share = len(NAMES) if name == FIVE else 1
        cells: list[object] = [name]
        for timings in taken.values():
            each = timings[name].median / LOOPS / share
            cells += [f"{each * 1e6:.1f}", f"{timings[name].ratio(timings[RAW]) / share:.2f}"]
        rows.append([*cells, f"{pair[2] / share:.0f}"])
    fastest = {kind: min(timings[name].ratio(timings[ONE]) for name in LIBRARIES) for kind, timings in taken.items()}
    goals = []
    for i, (kind, timings) in enumerate(taken.items()):
        work = _repeated(candidates[ONE][i])
        ratio = timings[ONE].ratio(timings[RAW])
        limit = LIMITS[f"G1 {kind}"]
        text = f"{kind} one value in at most {limit}× raw AESGCM"
        goals.append(explained(Goal(f"G1 {kind}", text, limit, ratio, f"{ratio:.2f}×", why=WHY["G1"]), work))
        times, limit = fastest[kind], LIMITS[f"G2 {kind}"]
        text = f"{kind} one value at least {limit:g} times as fast as the fastest of the four libraries"
        goal = Goal(f"G2 {kind}", text, limit, times, f"{times:.1f} times", at_least=True, why=WHY["G2"])
        goals.append(explained(goal, work))
    over = candidates[ONE][2] - len(TEXT.encode())
    goals.append(Goal("G12", "at most 37 bytes over the sealed text", 37, over, f"{over} bytes"))
    return [
        Table(
            "A value of 32 bytes",
            ["", "seal µs", "× raw", "open µs", "× raw", "stored bytes"],
            rows,
            [f"{LOOPS:,} values each time.", "The envelope holds its five values as JSON under their names."],
            rounds,
            goals,
        )
    ]


def _repeated(work: Work) -> Work:
    def loop() -> None:
        for _ in range(LOOPS):
            work()

    return loop


def _raw() -> tuple[Work, Work, int]:
    cipher, data, text = AESGCM(urandom(32)), urandom(24), TEXT.encode()

    def seal() -> bytes:
        nonce = urandom(12)
        return nonce + cipher.encrypt(nonce, text, data)

    sealed = seal()
    return seal, lambda: cipher.decrypt(sealed[:12], sealed[12:], data), len(sealed)


def _vault(count: int) -> tuple[Work, Work, int]:
    cipher, record, number = AESGCM(urandom(32)), uuid7(), 2**60 + 1
    bound = envelope.context("benchmarks.sealed", "account")
    if count == 1:
        text = TEXT.encode()
        sealed = envelope.seal(cipher, number, bound, record, text)
        return (
            lambda: envelope.seal(cipher, number, bound, record, text),
            lambda: envelope.unseal(cipher, sealed, bound, record),
            len(sealed),
        )
    payload = dict.fromkeys(NAMES, TEXT)
    sealed = envelope.seal(cipher, number, bound, record, envelope.pack(payload))
    return (
        lambda: envelope.seal(cipher, number, bound, record, envelope.pack(payload)),
        lambda: envelope.unpack(envelope.unseal(cipher, sealed, bound, record)),
        len(sealed),
    )


def _library(field: Any) -> tuple[Work, Work, int]:
    stored = bytes_of(field.get_db_prep_save(TEXT, connection))
    if isinstance(field.get_db_prep_save(TEXT, connection), str):
        column: Any = stored.decode()
    else:
        column = memoryview(stored)
    return (
        lambda: field.get_db_prep_save(TEXT, connection),
        lambda: field.from_db_value(column, None, connection),
        len(stored),
    )


def bytes_of(value: Any) -> bytes:
    """Return what a library gives the driver as the bytes that are stored."""
    value = getattr(value, "adapted", value)
    return value.encode() if isinstance(value, str) else bytes(value)

"""Blocks: an erased or suppressed person is not created again by an import or a form.

A block is a keyed hash in the key store with an end date; it confirms a value that somebody already has
and tells nothing else (P-clauses on erasure: listed in the plan with its end).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from datetime import date, datetime

from django.db import transaction

from privacy.vault import ring as rings
from privacy.vault.index import NORMALISERS, spellings
from privacy.vault.keystore.sql import KEYSTORE, cursor
from privacy.vault.typecasts import array

_NORMALISED_AS = {"email": "email", "username": "username"}


def _tokens(kind: str, value: str) -> list[bytes]:
    """Return the tokens under which a value may be blocked; a new block is placed under the first.

    A number counts letter by letter: FXS1 is another customer than FXS-1. A version before left dashes out; its blocks
    stand under the second token until they end, since nothing says what number they were made of.
    """
    normaliser = _NORMALISED_AS.get(kind, "reference")
    found = [(f"{normaliser}.{NORMALISERS[normaliser][0]}", text) for text in spellings(normaliser, value) or [""]]
    if normaliser == "reference":
        found.insert(0, ("exact.1", value.strip()))
    keys = {scheme: rings.current().derive(f"block:{kind}:{scheme}") for scheme in {scheme for scheme, _ in found}}
    return [hmac.digest(keys[scheme], text.encode(), "sha256")[:16] for scheme, text in found]


def add(kind: str, value: str, *, until: date | None, now: datetime) -> None:
    """Block a value until the end of a day, or for good; the later of two ends counts."""
    with transaction.atomic(using=KEYSTORE), cursor() as cur:
        cur.execute(
            """INSERT INTO vault_block AS b (kind, value, until, created_at) VALUES (%s, %s, %s, %s)
               ON CONFLICT (kind, value) DO UPDATE SET until =
                   CASE WHEN b.until IS NULL OR EXCLUDED.until IS NULL THEN NULL
                        ELSE greatest(b.until, EXCLUDED.until) END""",
            [kind, _tokens(kind, value)[0], until, now],
        )


def is_blocked(kind: str, value: str) -> bool:
    """Tell whether a value is blocked today, by the key store's clock."""
    return bool(are_blocked(kind, [value]))


def are_blocked(kind: str, values: Iterable[str]) -> set[str]:
    """Return those of the values that are blocked today, with one query."""
    tokens = {value: {token.hex() for token in _tokens(kind, value)} for value in set(values)}
    if not tokens:
        return set()
    with cursor() as cur:
        cur.execute(
            """SELECT t.hex FROM unnest(%s::text[]) AS t(hex)
               JOIN vault_block b ON b.kind = %s AND b.value = decode(t.hex, 'hex')
               WHERE b.until IS NULL OR b.until >= current_date""",
            [array({token for found in tokens.values() for token in found}), kind],
        )
        found = {row[0] for row in cur.fetchall()}
    return {value for value, of_it in tokens.items() if of_it & found}


def ends(kind: str, value: str) -> list[date | None]:
    """Return the ends of the blocks that hit a value today (None: for good), [] when none does."""
    with cursor() as cur:
        cur.execute(
            "SELECT until FROM vault_block WHERE kind = %s AND value = ANY(%s::bytea[]) "
            "AND (until IS NULL OR until >= current_date)",
            [kind, _tokens(kind, value)],
        )
        return [row[0] for row in cur.fetchall()]


def remove(kind: str, value: str) -> bool:
    """Lift a block, because the person asked to come back; tell whether there was one."""
    with transaction.atomic(using=KEYSTORE), cursor() as cur:
        cur.execute(
            "DELETE FROM vault_block WHERE kind = %s AND value = ANY(%s::bytea[])", [kind, _tokens(kind, value)]
        )
        return bool(cur.rowcount)


def expire() -> int:
    """Delete the blocks whose day is over; return how many."""
    with transaction.atomic(using=KEYSTORE), cursor() as cur:
        cur.execute("DELETE FROM vault_block WHERE until < current_date")
        return int(cur.rowcount)

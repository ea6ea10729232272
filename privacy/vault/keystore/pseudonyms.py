"""A name for a person that means nothing once the person is erased.

The audit log needs one word for one subject; the key behind it is destroyed with the subject, and the
word cannot be worked out again from the id (P-clauses on erasure; Art. 4(5)).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from uuid import UUID

from privacy.vault.keystore import keys
from privacy.vault.keystore.sql import cursor
from privacy.vault.results import RecordErased
from privacy.vault.typecasts import array

ENVELOPE = "pseudonym"
LABEL = "vault.pseudonym"


def pseudonym(subject: UUID) -> str:
    """Return the subject's pseudonym, making its key when there is none. Raises RecordErased after the erasure."""
    found = pseudonyms([subject])
    if subject not in found:
        raise RecordErased("The subject was erased; it has no pseudonym any more.")
    return found[subject]


def pseudonyms(subjects: Iterable[UUID]) -> dict[UUID, str]:
    """Return the pseudonyms of many subjects; those erased are left out."""
    wanted = set(subjects)
    found = keys.load_named(wanted, ENVELOPE)
    missing = wanted - found.keys()
    if missing:
        new = missing - {record for record, _ in keys.destroyed([(subject, ENVELOPE) for subject in missing])}
        made = [keys.Wanted(subject, ENVELOPE, LABEL, ("subject", subject)) for subject in sorted(new)]
        keys.make(made)
        found.update({want.record: want.key for want in made})
    return {subject: _word(key) for subject, key in found.items() if isinstance(key, keys.OpenKey)}


def _word(key: keys.OpenKey) -> str:
    # a cipher is all that a key gives: a fixed nonce makes its keystream a keyed constant;
    # this key seals nothing else, so the nonce is used for this one message only
    mark = key.cipher.encrypt(bytes(12), bytes(16), b"pseudonym")
    return "p" + base64.b32encode(mark[:10]).decode().lower()


def joined_to(subject: UUID) -> set[UUID]:
    """Return whose names belong to `subject`: its own, and those of subjects that were joined to it."""
    with cursor() as cur:
        cur.execute(
            "SELECT record FROM vault_datakey WHERE owner_id = %s AND envelope = %s AND destroyed_at IS NULL",
            [str(subject), ENVELOPE],
        )
        return {row[0] for row in cur.fetchall()}


def of_owners(owners: Iterable[UUID]) -> dict[UUID, set[str]]:
    """Return the words by which the audit knows these people, and those who were joined to them; who has none is left
    out. Two queries."""
    with cursor() as cur:
        cur.execute(
            """SELECT record, owner_id FROM vault_datakey
               WHERE owner_id = ANY(%s::uuid[]) AND envelope = %s AND destroyed_at IS NULL""",
            [array(owners), ENVELOPE],
        )
        named = dict(cur.fetchall())
    found: dict[UUID, set[str]] = {}
    for subject, word in (pseudonyms(named) if named else {}).items():
        found.setdefault(named[subject], set()).add(word)
    return found

"""The decision at the moment of decryption: the vault asks it before it opens anything.

One pass for a whole batch. Without an actor, in a context that ended, or when the decision itself fails, nothing opens.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from privacy.gate import context, matrix
from privacy.vault.guard import Opening


def decide(openings: Sequence[Opening]) -> set[tuple[UUID, str]]:
    """Return the (record id, envelope) pairs that may be opened now, and note them for the access log (P40)."""
    here = context.here()
    if here is None or here.closed:
        return set()
    actor = here.actor
    if actor is None:
        return set()
    anybody, own = matrix.allows(actor)
    allowed: set[tuple[UUID, str]] = set()
    for opening in openings:
        pair = (opening.label, opening.envelope)
        owner = (opening.owner_kind, opening.owner_id)
        if pair in anybody or (pair in own and matrix.is_own(actor, opening.envelope, owner)):
            allowed.add((opening.record_id, opening.envelope))
            here.note(owner, opening.label, opening.envelope, opening.record_id)
    return allowed

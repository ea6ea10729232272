"""The decision at the moment of decryption: the vault asks it before it opens anything.

Without an actor, in a context that ended, or when the decision itself fails, nothing opens.
"""

from __future__ import annotations

from privacy.gate import context, matrix
from privacy.vault.guard import Opening


def decide(opening: Opening) -> bool:
    """Tell whether this envelope may be opened now, and note it for the access log if so (P40)."""
    here = context.here()
    if here is None or here.closed:
        return False
    actor = here.actor
    if actor is None:
        return False
    label, envelope, record, *_ = opening
    owner = (opening.owner_kind, opening.owner_id)
    pair = (label, envelope)
    anybody, own = matrix.allows(actor)
    if pair not in anybody and not (pair in own and matrix.is_own(actor, envelope, owner)):
        return False
    here.note(owner, label, envelope, record)
    return True

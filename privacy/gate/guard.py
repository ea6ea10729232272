"""The decision at the moment of decryption: the vault asks it before it opens anything.

Without an actor, in a context that ended, or when the decision itself fails, nothing opens.
"""

from __future__ import annotations

from privacy.gate import context, matrix
from privacy.vault import Restricted
from privacy.vault.results import Unreadable
from privacy.vault.unit import Opening


def decide(opening: Opening) -> bool | Unreadable:
    """Tell whether this envelope may be opened now, and note it for the access log if so (P40).

    A restricted one opens, and is written, only for what keeps it; else its mask says for what, until when and to whom
    (design 10). It is asked before a write only of those that have a restriction or a hold.
    """
    if opening.mode == "add":
        return _may_add(opening)
    if opening.mode == "write" and not matrix.kept_for(opening.restriction):
        return True  # a hold alone forbids no correction
    here, actor = context.here(), context.current()
    if here is None or actor is None:
        return False
    label, envelope, record = opening.label, opening.envelope, opening.record_id
    owner = (opening.owner_kind, opening.owner_id)
    pair = (label, envelope)
    anybody, own = matrix.allows(actor, opening.mode)
    if pair not in anybody and not (pair in own and matrix.is_own(actor, envelope, owner)):
        return False
    if opening.restriction and not matrix.opens_restricted(actor, pair, opening.restriction, opening.mode, owner):
        return Restricted(matrix.restricted_sentence(opening.restriction, pair))
    if opening.mode == "write":
        return True
    here.note(owner, label, envelope, record)
    return True


def _may_add(opening: Opening) -> bool:
    """Tell whether who acts may write a new record of this kind: of staff the matrix says so (P40).

    A person writes by pages that are narrowed to what is their own, a program what its task is, and where nobody acts
    there is nobody to ask.
    """
    actor = context.current()
    if actor is None or actor.kind != "staff":
        return True
    owner = (opening.owner_kind, opening.owner_id)
    return matrix.may(actor, opening.label, opening.envelope, "write", owner)

"""Who acts: the one description of a person or program that every service takes as `actor`.

What must never happen: a member of staff, who may be a customer as well, decides or does something as staff about
herself. A decision made that way is undone by a colleague, by the step that undoes it for anybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args
from uuid import UUID

from django.core.exceptions import PermissionDenied

Kind = Literal["customer", "staff", "task", "operator", "anonymous"]

#: Who acts, as people read it: one table for the access log, the history of a request, the desk, the letters and the
#: copy. A colleague is named by role, never by name (C-579/21).
WORDS: dict[str, str] = {
    "customer": "the person",
    "staff": "our staff",
    "task": "one of our programs",
    "operator": "an operator of our server",
    "anonymous": "somebody who was not signed in",
    "sales": "sales staff",
    "service": "laboratory and service staff",
    "accounting": "accounting staff",
    "privacy": "privacy team",
    "manager": "a manager",
}


def kinds() -> list[tuple[str, str]]:
    """Return the kinds of actor with their words, as choices of a field."""
    return [(kind, WORDS[kind]) for kind in get_args(Kind)]


def in_words(kind: str, role: str = "", *, own: str = "you") -> str:
    """Return who acted: staff by their roles ("accounting+sales" reads "accounting staff, sales
    staff"), the person as `own`.

    A program and an operator at the shell act under the same roles of the system; the kind tells them apart.
    """
    if kind == "customer":
        return own
    roles = [WORDS[one] for one in role.split("+") if one in WORDS] if kind == "staff" else []
    return ", ".join(roles) or WORDS.get(kind, kind)


STAFF_ROLES = frozenset({"sales", "service", "accounting", "privacy"})
#: Decides as second person and manages logins; the access matrix gives it nothing.
MANAGER = "manager"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, as what, and why.

    `id` is an opaque identifier (a user's UUID, a purpose); never a name or an address. `subject` is the actor's
    own subject; for a task, the only subject whose envelopes it may open (None: as its roles say).
    """

    kind: Kind
    id: str | None
    subject: UUID | None
    roles: frozenset[str]
    purpose: str
    reason: str = ""
    companies: frozenset[UUID] = field(default_factory=frozenset)

    @property
    def role(self) -> str:
        """The roles in one word for logs: "accounting+sales", or the kind when there is none."""
        return "+".join(sorted(self.roles)) or self.kind

    @property
    def noted(self) -> str:
        """Who it was where that is noted beside an act: the number of a member of staff, of anybody else the kind."""
        return (self.id or self.kind) if self.kind == "staff" else self.kind


ANONYMOUS = Actor(kind="anonymous", id=None, subject=None, roles=frozenset(), purpose="web")


#: What who tries reads. In the portal they act for themselves like any other person.
YOURSELF = "This is about you yourself: a colleague has to do it."


class AboutYourself(PermissionDenied):
    """A member of staff was about to decide or do something about themselves; the text is one sentence for them."""

    def __init__(self) -> None:
        super().__init__(YOURSELF)


def is_own(actor: Actor | None, *, about: Iterable[UUID | None] = (), by: Iterable[tuple[str, str]] = ()) -> bool:
    """Return whether something is about the member of staff who acts, or was done by them (design 9).

    `about` are the people it is about, `by` who had a part in it: (kind, id). One login acts as staff at the desk and
    as a customer in the portal, so the number counts whichever kind stands beside it. Of nobody else than staff: people
    act for themselves, programs are nobody, and operators cannot be told from each other.
    """
    if actor is None or actor.kind != "staff":
        return False
    if actor.subject is not None and actor.subject in about:
        return True
    return bool(actor.id) and any(number == actor.id and kind in ("staff", "customer") for kind, number in by)


def require_another(
    actor: Actor | None, *, about: Iterable[UUID | None] = (), by: Iterable[tuple[str, str]] = ()
) -> None:
    """Raise AboutYourself for a member of staff where something is about them or was done by them (`is_own`)."""
    if is_own(actor, about=about, by=by):
        raise AboutYourself

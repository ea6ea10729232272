"""Who acts: the one description of a person or program that every service takes as `actor`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

Kind = Literal["customer", "staff", "task", "operator", "anonymous"]

# How a person reads it, in the record of who opened their data.
KINDS: list[tuple[Kind, str]] = [
    ("customer", "a signed-in customer"),
    ("staff", "our staff"),
    ("task", "one of our programs"),
    ("operator", "whoever runs our server"),
    ("anonymous", "somebody not signed in"),
]

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


ANONYMOUS = Actor(kind="anonymous", id=None, subject=None, roles=frozenset(), purpose="web")

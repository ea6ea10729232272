"""The program as an actor. Importable by tasks, management commands, the login adapter and execute code only.

    with system("export", subject=request.subject_id):
        ...

import-linter holds who may import this module; ilt_site/access.toml holds what each purpose may open.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Literal
from uuid import UUID

from privacy.actor import Actor
from privacy.gate import matrix
from privacy.gate.context import acting


class UnknownPurpose(LookupError):
    """The access matrix has no such system purpose."""


def system_actor(
    purpose: str,
    *,
    subject: UUID | None = None,
    companies: Iterable[UUID] = (),
    reason: str = "",
    kind: Literal["task", "operator"] = "task",
    id: str = "",
) -> Actor:
    """Return the program as an actor for `purpose`; with `subject` it opens that subject's envelopes only.

    A purpose that the matrix binds to one subject opens nobody's when none is given. Raises UnknownPurpose for a
    purpose the access matrix does not name.
    """
    role = f"system:{purpose}"
    page = matrix.matrix()
    if role not in page.roles:
        raise UnknownPurpose(f"The access matrix has no system purpose {purpose!r}.")
    return Actor(
        kind=kind,
        id=id or purpose,
        subject=subject,
        roles=frozenset({role}),
        purpose=purpose,
        reason=reason,
        companies=frozenset(companies),
    )


def system(
    purpose: str,
    *,
    subject: UUID | None = None,
    companies: Iterable[UUID] = (),
    reason: str = "",
    kind: Literal["task", "operator"] = "task",
    id: str = "",
) -> AbstractContextManager[None]:
    """Let the program act for `purpose` until the end of the block. Raises as `system_actor` and `gate.acting` do."""
    return acting(system_actor(purpose, subject=subject, companies=companies, reason=reason, kind=kind, id=id))

"""The access matrix: which role may open and change which envelope, read from one page (settings.ACCESS_MATRIX).

Four tables: `staff` roles see every owner's envelopes, `own` roles only those of the actor's own subject and
companies, `task` gives each system purpose what it needs (its role is "system:<purpose>"), `bound` the same for
purposes that work for one subject and open nobody else's. Patterns are expanded against the sealed models that exist,
once; a decision is then two look-ups in a set.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Literal
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, PermissionDenied

from privacy import datamap
from privacy.gate.actor import Actor
from privacy.vault import SealedModel

Pair = tuple[str, str]
Owner = tuple[str, UUID | None]
Mode = Literal["read", "write"]

SELF = "self"
COMPANY_ENVELOPE = "company"


class Refused(PermissionDenied):
    """The actor has no right to this envelope. The message names the envelope, never a value."""


@dataclass(frozen=True)
class Rule:
    """One line of the matrix: role, pattern "label/envelope", and what it allows."""

    role: str
    pattern: str
    read: bool
    write: bool

    def matches(self, pair: Pair) -> bool:
        """Whether the pattern covers this label and envelope."""
        label, _, envelope = self.pattern.partition("/")
        return fnmatchcase(pair[0], label) and fnmatchcase(pair[1], envelope)


@dataclass(frozen=True)
class Matrix:
    """The compiled page: role -> what it may read and write; `own` roles are limited to the actor's own."""

    rules: tuple[Rule, ...]
    reads: Mapping[str, frozenset[Pair]]
    writes: Mapping[str, frozenset[Pair]]
    own: frozenset[str]

    @property
    def roles(self) -> frozenset[str]:
        """All roles the page names."""
        return frozenset(self.reads)


def parse(text: str) -> tuple[tuple[Rule, ...], frozenset[str]]:
    """Read a matrix page; return its rules and the roles limited to their own. Raises ImproperlyConfigured."""
    try:
        page = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ImproperlyConfigured(f"The access matrix is not valid TOML: {error}") from error
    if unknown := set(page) - {"staff", "own", "task", "bound"}:
        raise ImproperlyConfigured(f"The access matrix has tables nobody reads: {', '.join(sorted(unknown))}.")
    rules: list[Rule] = []
    own: set[str] = set()
    for table, roles in page.items():
        for name, lines in roles.items():
            role = f"system:{name}" if table in {"task", "bound"} else name
            if table in {"own", "bound"}:
                own.add(role)
            if not lines:
                raise ImproperlyConfigured(f"The access matrix gives the role {role!r} nothing.")
            rules.extend(_rule(role, line) for line in lines)
    return tuple(rules), frozenset(own)


def _rule(role: str, line: str) -> Rule:
    pattern, _, flags = line.partition(":")
    if pattern.count("/") != 1 or flags not in {"r", "w", "rw"}:
        raise ImproperlyConfigured(f'The access matrix says {line!r} of {role!r}; it must read "label/envelope:rw".')
    return Rule(role=role, pattern=pattern, read="r" in flags, write="w" in flags)


def known_pairs() -> frozenset[Pair]:
    """Return every (label, envelope) of the installed sealed models."""
    return frozenset(
        (model.vault_label, envelope)
        for model in datamap.installed_models()
        if issubclass(model, SealedModel)
        for envelope in model.envelopes()
    )


def compiled(rules: Iterable[Rule], own: frozenset[str], pairs: Iterable[Pair]) -> Matrix:
    """Expand the patterns of `rules` against `pairs`."""
    rules = tuple(rules)
    pairs = tuple(pairs)
    reads: dict[str, set[Pair]] = {rule.role: set() for rule in rules}
    writes: dict[str, set[Pair]] = {rule.role: set() for rule in rules}
    for rule in rules:
        covered = [pair for pair in pairs if rule.matches(pair)]
        if rule.read:
            reads[rule.role].update(covered)
        if rule.write:
            writes[rule.role].update(covered)
    return Matrix(
        rules=rules,
        reads={role: frozenset(found) for role, found in reads.items()},
        writes={role: frozenset(found) for role, found in writes.items()},
        own=own,
    )


@cache
def matrix() -> Matrix:
    """Return the matrix of this installation, read and compiled once."""
    rules, own = parse(Path(settings.ACCESS_MATRIX).read_text(encoding="utf-8"))
    return compiled(rules, own, known_pairs())


@cache
def rights(roles: frozenset[str], limited: bool, mode: Mode) -> tuple[frozenset[Pair], frozenset[Pair]]:
    """Return (pairs of any owner, pairs of the own subject only) that these roles allow.

    `limited` says that every role counts for the actor's own subject only (a task bound to one subject).
    A role the page does not name allows nothing.
    """
    page = matrix()
    table = page.reads if mode == "read" else page.writes
    anybody: set[Pair] = set()
    own: set[Pair] = set()
    for role in roles:
        (own if limited or role in page.own else anybody).update(table.get(role, ()))
    return frozenset(anybody), frozenset(own)


def allows(actor: Actor, mode: Mode = "read") -> tuple[frozenset[Pair], frozenset[Pair]]:
    """Return what `actor` may open of anybody, and of the own subject and companies only."""
    roles = actor.roles
    if actor.subject is not None and actor.kind in {"customer", "staff"}:
        roles = roles | {SELF}
    return rights(roles, actor.kind in {"task", "operator"} and actor.subject is not None, mode)


def is_own(actor: Actor, envelope: str, owner: Owner) -> bool:
    """Whether an envelope of `owner` is the actor's own: same subject, or envelope `company` of an own company."""
    kind, number = owner
    if kind == "subject":
        return number is not None and number == actor.subject
    if kind == "company":
        return envelope == COMPANY_ENVELOPE and number in actor.companies
    # Records of nobody (a message not yet matched to a person) are open to a bound task, never to a person.
    return kind == "none" and actor.kind in {"task", "operator"}


def may(actor: Actor | None, label: str, envelope: str, mode: Mode = "read", owner: Owner | None = None) -> bool:
    """Whether `actor` may read or write this envelope; without `owner` the answer is for somebody else's (P28, P40)."""
    if actor is None:
        return False
    anybody, own = allows(actor, mode)
    pair = (label, envelope)
    return pair in anybody or (owner is not None and pair in own and is_own(actor, envelope, owner))


def require(actor: Actor | None, label: str, envelope: str, mode: Mode = "read", owner: Owner | None = None) -> None:
    """Raise Refused unless `actor` may read or write this envelope."""
    if not may(actor, label, envelope, mode, owner):
        raise Refused(f"No right to {mode} {label}/{envelope}.")


def forget() -> None:
    """Forget the compiled page (tests that change settings.ACCESS_MATRIX)."""
    matrix.cache_clear()
    rights.cache_clear()

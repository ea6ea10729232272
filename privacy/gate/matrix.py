"""The access matrix: which role may open and change which envelope, read from one page (settings.ACCESS_MATRIX).

Four tables: `staff` roles see every owner's envelopes, `own` roles only those of the actor's own subject and
companies, `task` gives each system purpose what it needs (its role is "system:<purpose>"), `bound` the same for
purposes that work for one subject and open nobody else's. Patterns are expanded against the sealed models that exist,
once; a decision is then two look-ups in a set.

What carries out a right brings its purpose along, bound like those of `bound` (`purposes`); the page goes first.

A fifth table, `restricted`, says for what a restricted record still opens and is written (design 10): for each thing
that keeps it, which roles do that work. A role needs its line in the other tables as well.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, PermissionDenied

from privacy import datamap
from privacy.actor import STAFF_ROLES, Actor
from privacy.files import regular
from privacy.gate import purposes as beside
from privacy.vault import Restricted, SealedModel

Pair = tuple[str, str]
Owner = tuple[str, UUID | None]
Mode = Literal["read", "write"]

SELF = "self"
#: Envelopes that no pattern covers: whoever may open one is named with it (live links and codes, design 9).
BY_NAME_ONLY = frozenset({"credentials"})
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
        if pair[1] in BY_NAME_ONLY and envelope != pair[1]:
            return False
        return fnmatchcase(pair[0], label) and fnmatchcase(pair[1], envelope)


@dataclass(frozen=True)
class Purpose:
    """What keeps a restricted record: in words, until what happens (where it has no day), and whose work it is."""

    kept_for: str
    until: str
    roles: frozenset[str]


@dataclass(frozen=True)
class Matrix:
    """The compiled page: role -> what it may read and write; `own` roles are limited to the actor's own.

    `purposes`: what keeps a restricted record; `always`: the roles to which it opens all the same.
    """

    rules: tuple[Rule, ...]
    reads: Mapping[str, frozenset[Pair]]
    writes: Mapping[str, frozenset[Pair]]
    own: frozenset[str]
    purposes: Mapping[str, Purpose]
    always: frozenset[str]

    @property
    def roles(self) -> frozenset[str]:
        """All roles the page names."""
        return frozenset(self.reads)


Page = tuple[tuple[Rule, ...], frozenset[str], Mapping[str, Purpose], frozenset[str]]


def parse(text: str) -> Page:
    """Read a matrix page; return rules, roles limited to their own, purposes of restricted
    records, roles they always open to.

    Raises ImproperlyConfigured.
    """
    try:
        page = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ImproperlyConfigured(f"The access matrix is not valid TOML: {error}") from error
    if unknown := set(page) - {"staff", "own", "task", "bound", "restricted"}:
        raise ImproperlyConfigured(f"The access matrix has tables nobody reads: {', '.join(sorted(unknown))}.")
    restricted = dict(page.pop("restricted", {}))
    always = frozenset(restricted.pop("always", ()))
    purposes = {name: _purpose(name, line) for name, line in restricted.items()}
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
    return tuple(rules), frozenset(own), purposes, always


def _purpose(name: str, line: Any) -> Purpose:
    if not isinstance(line, dict) or set(line) - {"kept_for", "until", "roles"} or not line.get("kept_for"):
        raise ImproperlyConfigured(f"The access matrix must say of {name!r} what it is kept_for, and the roles.")
    roles = frozenset(line.get("roles", ()))
    if not roles or roles - STAFF_ROLES:
        raise ImproperlyConfigured(f"The access matrix opens {name!r} to no role, or to one that does not exist.")
    return Purpose(kept_for=line["kept_for"], until=line.get("until", ""), roles=roles)


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


def compiled(
    rules: Iterable[Rule],
    own: frozenset[str],
    pairs: Iterable[Pair],
    purposes: Mapping[str, Purpose] = MappingProxyType({}),
    always: frozenset[str] = frozenset(),
) -> Matrix:
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
        purposes=purposes,
        always=always,
    )


@cache
def matrix() -> Matrix:
    """Return the matrix of this installation with the purposes that rights bring along, read and compiled once."""
    rules, own, purposes, always = parse(regular.text(settings.ACCESS_MATRIX))
    on_page = {rule.role for rule in rules}
    brought = {f"system:{code}": one for code, one in beside.brought().items() if f"system:{code}" not in on_page}
    return compiled(
        (*rules, *(_rule(role, line) for role, one in brought.items() for line in one.opens)),
        own | brought.keys(),
        known_pairs(),
        purposes,
        always | brought.keys(),
    )


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


def may(
    actor: Actor | None,
    label: str,
    envelope: str,
    mode: Mode = "read",
    owner: Owner | None = None,
    restriction: str = "",
) -> bool:
    """Whether `actor` may read or write this envelope; without `owner` the answer is for somebody else's (P28, P40).

    `restriction` is what the key store says of it (`SealedModel.restriction`).
    """
    if actor is None:
        return False
    anybody, own = allows(actor, mode)
    pair = (label, envelope)
    if not (pair in anybody or (owner is not None and pair in own and is_own(actor, envelope, owner))):
        return False
    return opens_restricted(actor, pair, restriction, mode, owner)


def opens_restricted(actor: Actor, pair: Pair, restriction: str, mode: Mode, owner: Owner | None) -> bool:
    """Whether `actor`, who has a right to `pair`, may use it although it is restricted (design 10).

    That is: for the own person and the programs that always may, and for a role that does the work it is kept for.
    """
    found = kept_for(restriction)
    if not found:
        return True
    page = matrix()
    if owner is not None and is_own(actor, pair[1], owner) and (actor.roles | {SELF}) & page.always & page.own:
        return True
    purposes = (page.purposes.get(one.purpose) for one in found)
    roles = page.always.union(*(one.roles for one in purposes if one is not None))
    anybody, _ = rights(actor.roles & roles, False, mode)
    return pair in anybody


@dataclass(frozen=True, slots=True)
class Kept:
    """One thing that keeps a restricted envelope: a key of the table `restricted`, and its last day where it has
    one."""

    purpose: str
    until: date | None


#: A mark among the codes that restricts nothing: a legal hold is in force, so that old values are kept.
ON_HOLD = "held"


#: What stands for a restriction that cannot be read: no table of the page has this name, so that no role of staff does
#: the work that it is kept for.
UNREADABLE = Kept("unreadable", None)


@lru_cache(maxsize=4096)
def kept_for(restriction: str) -> tuple[Kept, ...]:
    """Return what alone a restricted envelope is kept for; () when it is not restricted. One that cannot be read is
    kept for nothing that any role of staff does."""
    found = []
    for code in restriction.split(";") if restriction else ():
        purpose, _, until = code.partition(":")
        if purpose != ON_HOLD:
            try:
                found.append(Kept(purpose, date.fromisoformat(until) if until else None))
            except ValueError:
                return (UNREADABLE,)
    return tuple(found)


def is_readable(restriction: str) -> bool:
    """Whether this is what the site may have written: each thing that keeps it has its line on the page, each day
    stands in a calendar."""
    return all(one.purpose in matrix().purposes for one in kept_for(restriction))


def is_on_hold(restriction: str) -> bool:
    """Whether a legal hold forbids to destroy what the envelope says."""
    return ON_HOLD in restriction.split(";")


@lru_cache(maxsize=4096)
def restricted_sentence(restriction: str, pair: Pair) -> str:
    """Say for what a restricted envelope is kept, until when, and who opens it: "locked: kept for claims until …"."""
    page = matrix()
    parts: list[str] = []
    roles: set[str] = set()
    for one in kept_for(restriction):
        purpose = page.purposes.get(one.purpose)
        if purpose is None:
            if one is UNREADABLE:
                parts.append("a reason that cannot be read")
            continue
        until = f"{one.until:%-d %B %Y}" if one.until else purpose.until
        parts.append(f"{purpose.kept_for} until {until}" if until else purpose.kept_for)
        roles |= {role for role in purpose.roles if pair in page.reads.get(role, ())}
    who = sorted(ROLE_NAMES.get(role, role) for role in roles)
    opens = f"{_listed(who)} open{'s' if len(who) == 1 else ''} it" if who else "no role of staff opens it"
    return f"{Restricted.begins}{_listed(list(dict.fromkeys(parts))) or 'a reason of its own'}; {opens}"


ROLE_NAMES = {"privacy": "the privacy team"}


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def require(
    actor: Actor | None,
    label: str,
    envelope: str,
    mode: Mode = "read",
    owner: Owner | None = None,
    restriction: str = "",
) -> None:
    """Raise Refused unless `actor` may read or write this envelope."""
    if not may(actor, label, envelope, mode, owner, restriction):
        raise Refused(f"No right to {mode} {label}/{envelope}.")


def require_record(actor: Actor | None, record: SealedModel, envelopes: Iterable[str], mode: Mode) -> None:
    """Raise Refused unless `actor` may use these envelopes of a record, restricted or not; opens nothing."""
    for envelope in envelopes:
        restriction = "" if record._state.adding else record.restriction(envelope)
        require(actor, record.vault_label, envelope, mode, record.vault_owner(), restriction)


def forget() -> None:
    """Forget the compiled page (tests that change settings.ACCESS_MATRIX or the table of rights)."""
    matrix.cache_clear()
    rights.cache_clear()
    restricted_sentence.cache_clear()

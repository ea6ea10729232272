"""Why a value is covered, in one sentence for staff."""

from __future__ import annotations

from collections.abc import Iterable

from privacy import gate
from privacy.gate import matrix
from privacy.requests import ended
from privacy.vault import Erased, KeyUnavailable, Restricted, Unreadable

_WHY = "your confidentiality acknowledgement is missing or has run out, or you have no role yet."
UNSIGNED = f"Covered: {_WHY}"
ERASED = "Not to be changed any more: the data of this record was erased."
UNCHANGED = f"Not to be changed now: {_WHY}"


def reason(value: Unreadable, label: str, envelope: str | None) -> str:
    """Return the sentence that says why a value of this envelope is covered for who acts now (P28, P40, P41)."""
    if isinstance(value, Erased):
        said = ended.told(value)
        return f"{said[0].upper()}{said[1:]}: its key was destroyed, so nobody can read this here any more."
    if isinstance(value, KeyUnavailable):
        return "Not available at the moment: the key store does not answer, or does not know this record."
    if isinstance(value, Restricted):
        return f"{value[:1].upper()}{value[1:]}."
    actor = gate.current()
    if actor is not None and not actor.roles:
        return UNSIGNED
    readers = sorted(role for role in gate.STAFF_ROLES if _reads(role, label, envelope))
    if not readers:
        return "Covered: no role of staff may read this."
    return f"Covered: your role does not need this. It is open to {_list(readers)}."


def shown(value: Erased) -> Erased:
    """Return the same result, still no value of anybody, that reads "erased on 3 March 2026, by request"."""
    made: Erased = str.__new__(type(value), ended.told(value))
    made.at, made.pair = value.at, value.pair
    return made


def locked(restriction: str, label: str, envelope: str) -> str:
    """Return the sentence that says why a restricted record is not to be changed by who acts now."""
    text = matrix.restricted_sentence(restriction, (label, envelope))
    return f"{text[:1].upper()}{text[1:]}."


def _reads(role: str, label: str, envelope: str | None) -> bool:
    anybody, _ = matrix.rights(frozenset({role}), False, "read")
    return (label, envelope) in anybody


def _list(words: Iterable[str]) -> str:
    words = list(words)
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))

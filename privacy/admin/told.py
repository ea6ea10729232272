"""What the audit tells of a record, in the words of the desk: which data, and why.

What must never happen: a name of a column, a code or a hash on a page of staff. The audit keeps them as they are,
because its bytes never change; a code that no table here knows is shown with spaces, so that nothing is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import FieldDoesNotExist

from privacy import datamap
from privacy.admin.correspondence import title_of_kind
from privacy.audit import AuditEvent
from privacy.gate import matrix
from privacy.letters.models import Letter
from privacy.requests import deadline, procedures
from privacy.requests.models import SecondLook
from privacy.requests.states import Channel, Proof
from privacy.retention import rules
from privacy.retention.models import Hold
from privacy.sweep import notices

_HASH = re.compile(r"[0-9a-f]{64}")
_CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_RESTRICTION = re.compile(r"\b(\w+)=(\S+)")
_BETWEEN = re.compile(r"(: |, | → )")
#: The audit blots out what might be a number of a person, and with it a day in a code.
_BLOTTED = re.compile(r":\[[a-z ]+\]")

#: Codes in reasons, by the action that writes them; under "" those that mean the same in all.
_WORDS: dict[str, Mapping[str, str]] = {
    "request.identified": dict(Proof.choices),
    "request.filed": dict(Channel.choices),
    "request.second_asked": dict(SecondLook.Why.choices),
    "request.second_decided": dict(SecondLook.Outcome.choices) | dict(SecondLook.Why.choices),
    "request.second_ended": dict(SecondLook.Why.choices),
    "request.refusal_decided": dict(SecondLook.Outcome.choices),
    "request.extended": deadline.REASONS,
    "request.extension_too_late": deadline.REASONS,
    "request.breach_assessed": {"breach": "a breach", "no_breach": "no breach"},
    "account.kept": notices.WAYS,
    "hold.placed": dict(Hold.Reason.choices),
    "hold.lifted": dict(Hold.Reason.choices),
    "letter.posted": dict(Letter.By.choices),
    "letter.returned": dict(Letter.By.choices),
}


def data(event: AuditEvent) -> str:
    """Return the names of the data that an event is about, as the data map calls them; "" for none."""
    try:
        declared = datamap.for_label(event.label)
    except KeyError:
        return ", ".join(_spaced(name) for name in event.fields)
    titles = (declared.data[name].title if name in declared.data else _column(declared, name) for name in event.fields)
    return ", ".join(dict.fromkeys(titles))


def reason(event: AuditEvent, own: Mapping[str, str]) -> str:
    """Return why something was done, in words; "" for none. `own` are the words of the record's kind for its codes."""
    text = event.reason
    if _HASH.fullmatch(text):
        return f"the plan with the fingerprint {text[:8]}…"
    if event.action in ("record.restricted", "record.released"):
        return _restriction(event.label, text)
    if event.action == "request.filed" and " by " in text:
        kind, _, channel = text.partition(" by ")
        return f"{procedures.of(kind).words.title}, by {dict(Channel.choices).get(channel, channel)}"
    if event.action == "letter.opened":
        return title_of_kind(text)
    known = {**own, **_WORDS.get(event.action, {})}
    return "".join(one if _BETWEEN.fullmatch(one) else _code(one, known) for one in _BETWEEN.split(text))


def _restriction(label: str, text: str) -> str:
    """Say of each envelope what it is kept for, or that it opens as before."""
    said = []
    for envelope, code in _RESTRICTION.findall(text):
        what = rules.load()[envelope].title if envelope in rules.load().classes else _spaced(envelope)
        said.append(f"{what}: {_how_it_opens(_BLOTTED.sub('', code), label, envelope)}")
    return ". ".join(said)


def _how_it_opens(code: str, label: str, envelope: str) -> str:
    if code == "open":
        return "opens as before"
    if not matrix.is_readable(code):
        return "locked"  # cut off in the middle: the audit keeps 200 characters
    return matrix.restricted_sentence(code, (label, envelope))


def _code(text: str, known: Mapping[str, str]) -> str:
    return str(known[text]) if text in known else _spaced(text) if _CODE.fullmatch(text) else text


def _column(declared: Any, name: str) -> str:
    try:
        return str(datamap.field_named(declared.model, name).verbose_name).capitalize()
    except (FieldDoesNotExist, AttributeError):
        return _spaced(name)


def _spaced(name: str) -> str:
    return name.replace("_", " ")

"""Plain words for codes of the data map and decisions (the access log has its own, `gate.told`). One place, so
that one thing has one name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from privacy import datamap, letters
from privacy.requests import answer, in_words, procedures
from privacy.requests.models import Request
from privacy.requests.states import State
from privacy.retention import rules

#: What a decision means, in one sentence (law: the closed list of codes).
CODES: dict[str, str] = {
    "GIVE": "Given in the copy.",
    "KEEP_CONTRACT": "Stays while something between you and us is not finished.",
    "KEEP_LAW": "Stays because a law obliges us to keep it.",
    "KEEP_LI": "Stays because we need it for duties and reasons that outweigh its removal for now.",
    "KEEP_CLAIMS": "Stays because it may be needed for a legal claim.",
    "TOKEN": "Only a keyed fingerprint stays, from which nothing can be read.",
}


#: What is to go and what went: with the key of an envelope, and what has none.
REMOVING = frozenset({"ERASE", "MINIMISE"})
HOW_IT_GOES = (
    "Goes: its key is destroyed; backups of the keys are overwritten in turn.",
    "Goes: it is deleted; backups have it for 35 days.",
)
HOW_IT_WENT = (
    "Removed. Its key is destroyed; backups of the keys are overwritten in turn.",
    "Deleted. Backups have it for 35 days.",
)


#: In the reason why a column stands outside of the envelopes: it is sealed all the same, by another key.
SEALED_OTHERWISE = "sealed under"


def collected() -> list[dict[str, Any]]:
    """Return the data map by category, for the published list of what is held and what for (P11)."""
    groups: dict[str, dict[str, Any]] = {}
    for record in datamap.as_json()["records"]:
        for datum in record["data"]:
            group = groups.setdefault(datum["category"], _empty(datum["category"]))
            group["titles"][datum["title"]] = None
            group["records"][record["title"]] = None
            group["purposes"].update(dict.fromkeys(datum["purposes"]))
            group["sources"][datamap.from_whom(datum["source"])] = None
            group["recipients"].update(dict.fromkeys(datum["recipients"]))
            group["sealed"].add(datum["sealed"] or SEALED_OTHERWISE in datum["plain"])
    return [_listed(groups[name]) for name in sorted(groups, key=_place)]


def stores() -> list[str]:
    """Return what is held outside the tables and how long, in sentences for the published list (P11)."""
    return [one.told for one in datamap.stores() if one.told]


def kept() -> list[dict[str, Any]]:
    """Return how long each kind of sealed data is kept and why, from the schedule that the sweep itself follows."""
    schedule = rules.load()
    used = sorted({name for declaration in datamap.declarations() for name in declaration.envelopes()})
    return [
        {
            "title": schedule[name].title,
            "holds": schedule[name].holds,
            "reasons": _sentences(reason.plain for reason in schedule.reasons(name)),
        }
        for name in used
        if name in schedule.classes
    ]


def _empty(category: str) -> dict[str, Any]:
    title = datamap.CATEGORIES[category]
    return {
        "title": title,
        "titles": {},
        "records": {},
        "purposes": {},
        "sources": {},
        "recipients": {},
        "sealed": set(),
    }


def _listed(group: dict[str, Any]) -> dict[str, Any]:
    lists = {name: list(found) for name, found in group.items() if isinstance(found, dict)}
    return {
        "title": group["title"],
        **lists,
        "is_sealed": group["sealed"] == {True},
        "is_partly_sealed": True in group["sealed"],
    }


def _place(category: str) -> tuple[int, str]:
    return list(datamap.CATEGORIES).index(category), category


def _sentences(found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(text for text in found if text))


POSTED = _("Answer posted")
#: What an answered request still waits for whose copy is there.
COPY_OVER = _("Copy fetched or destroyed, or its week over")


def fate(label: str, envelope: str, code: str, *, is_done: bool) -> str:
    """Return what a decision means for one envelope, in a sentence: of what goes also how, by its key or out of the
    table."""
    if code not in REMOVING:
        return CODES.get(code, code)
    sealed, deleted = HOW_IT_WENT if is_done else HOW_IT_GOES
    return sealed if datamap.is_sealed(label, envelope) else deleted


def step(about: Request, name: str) -> str:
    """Return what a step of a request does, in words. An answer by post is posted; a demo without a mail server sends
    nothing, and says so. Once the answer is out, what still waits is the end of its copy."""
    if name == procedures.CLOSE.name:
        if answer.is_posted(about):
            return str(POSTED)
        if about.state == State.REPLIED and about.procedure.gives:
            return str(COPY_OVER)
        if letters.is_read_by_outbox():
            return in_words.NOT_SENT
    found = about.procedure.named(name)
    return str(found.words) if found is not None and found.words else name


def answered(about: Request) -> str:
    """Return that the answer has gone out; where a demo sends no mail, where it lies instead."""
    if letters.is_read_by_outbox() and not answer.is_posted(about):
        return f"{in_words.NOT_SENT}."
    return str(_("The answer has gone out."))


def steps(about: Request, shown: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the steps of a request as `services.show` gives it: words, and when each was done."""
    return [
        {
            "title": step(about, one["name"]),
            "at": datetime.fromisoformat(one["done_at"]) if one["done_at"] else None,
        }
        for one in shown["steps"]
    ]


def by_title(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return decisions grouped by the record they are about, in the order given."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        found.setdefault(line["title"], []).append(line)
    return [{"title": title, "lines": of_title} for title, of_title in found.items()]

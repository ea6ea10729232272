"""The answer of a request, left in the outbox once (P10, Art. 12(3) and (4)).

What must never happen: an answer that says more was done than was done. It is made from the decisions as they stand
after the execution (privacy/requests/outcome.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from privacy import datamap, letters, people, vault
from privacy.calendar import company_day
from privacy.letters.models import Letter
from privacy.requests import addresses, codes, export, links, outcome, paper, planned, unjoined, writing
from privacy.requests.models import OneTimeLink, Request
from privacy.retention import decided, rules
from privacy.retention.models import Decision

CODE_MOVED = (
    "code_moved"  # in the file of the request: its outcome code went to an address that does not count any more
)
PRINTED = "printed, or a week old, as this demo sends no mail"  # when a letter of a demo has gone out
KEY = "answer:"
_Lines = dict[str, list[dict[str, Any]]]
OF_KEYS = "restore the keys"  # the reason of the schedule that says how long a backup of the key store is kept


def key(request: Request) -> str:
    """Return the key under which the answer exists once in the outbox."""
    return f"{KEY}{request.pk}"


def is_posted(request: Request) -> bool:
    """Return whether the answer goes by post; False as long as there is none."""
    return Letter.objects.filter(request=request, key=key(request), by=Letter.By.POST).exists()


def is_to_post(request: Request) -> bool:
    """Return whether the answer waits to be printed and posted."""
    waiting = Letter.objects.filter(request=request, key=key(request), by=Letter.By.POST)
    return waiting.filter(sent_at=None, stopped_at=None).exists()


def leave(request: Request, *, now: datetime) -> None:
    """Leave the answer in the outbox, once: its letter, with what was erased, kept and given, and, of a right that
    tells it, who else has the data (Art. 19).

    For whom no e-mail or login reaches a copy goes with the letter that is posted. To be called under an actor that may
    open the file.
    """
    if request.procedure.removes:
        planned.require(request)
    to, about = _answered(request, now)
    if request.procedure.gives:
        _leave_with_copy(request, to, about, now=now)
        return
    context = _told(request, to) | about | {"recipients": recipients(request, request.decisions.all())}
    if request.procedure.removes:
        context |= _of_removal(request, to, about, now)
    _queue(request, to, context, now=now)


def _leave_with_copy(request: Request, to: str, about: _Lines, *, now: datetime) -> None:
    copy, has_login = export.live(request), _has_login(request)
    if not to and not has_login and paper.kind(request) and writing.has_postal(request, now=now):
        paper.write(request, key=key(request), records=len(about["given"]), now=now)
        return
    context = _told(request, to) | {
        "records": len(about["given"]),
        # As it is now: what staff joined since the plan was made stands in the copy.
        "unjoined": unjoined.of_request(request.subject_id, company_day(now)),
        "has_login": has_login,
        "expires_at": copy.expires_at if copy else now,
    }
    link = "" if has_login or not to else _result_link(request, to, now)
    _queue(request, to, context, now=now, credentials={"link": link}, until=now + links.RESULT_LINK_LIVES)


def _of_removal(request: Request, to: str, about: _Lines, now: datetime) -> dict[str, Any]:
    """Return what the answer says besides where data ended: since when, until when what is left of it is kept."""
    leftovers = {one["name"]: date.fromisoformat(one["until"]) for one in outcome.read(request)["plan"]["leftovers"]}
    done = [d for d in (one["done_at"] for one in about["erased"]) if d]
    if moved := _code_went_elsewhere(request, to):  # later letters say the same
        request.outcome = {**outcome.read(request), CODE_MOVED: True}
        request.save(update_fields=["outcome"])  # type: ignore[misc]  # a sealed field is no column
    return {
        CODE_MOVED: moved,
        # As it was planned: the addresses by which it was found are gone.
        "unjoined": outcome.unjoined_of(request),
        "done_on": max(done) if done else now,
        "file_until": leftovers.get("request_file"),
        "token_until": leftovers.get("block_token"),
        "backups_until": backups_until(now),
        "copies": export.left(request, now=now),
    }


def _answered(request: Request, now: datetime) -> tuple[str, _Lines]:
    """Return where the answer goes and what became of the records; letters that say less are posted no more."""
    about = outcome.lines(request, today=company_day(now))
    to = addresses.address_for_answer(request, now=now)
    writing.end_unposted(request, now=now)
    return to, about


def _told(request: Request, to: str) -> dict[str, Any]:
    by_mail = PRINTED if letters.is_read_by_outbox() else "sent"
    return {"by_post": not to, "gone": by_mail if to else "posted", "was_code_given": was_code_given(request)}


def _queue(request: Request, to: str, context: Mapping[str, Any], *, now: datetime, **given: Any) -> None:
    kind = request.procedure.letters.answer
    writing.queue(kind, to=to, context=context, key=key(request), request=request, now=now, **given)


def was_code_given(request: Request) -> bool:
    """Say whether a letter that gave the outcome code has gone out, or still goes."""
    return codes.gave_code(request).filter(stopped_at=None).exists()


def _code_went_elsewhere(request: Request, to: str) -> bool:
    """Say whether the outcome code was mailed to another address than `to`, where the answer goes:
    it opens nothing alone then."""
    last = codes.gave_code(request).filter(by=Letter.By.EMAIL).order_by("queued_at", "pk").last()
    with vault.internal():  # compared only
        went_to = last.to if last is not None else ""
    if not to or not isinstance(went_to, str) or not went_to:
        return False
    return bool(vault.index.normalise("email", went_to) != vault.index.normalise("email", to))


def _result_link(request: Request, to: str, now: datetime) -> str:
    OneTimeLink.objects.filter(request=request, purpose=OneTimeLink.Purpose.RESULT, used_at=None).update(expires_at=now)
    return links.address_of_link(links.make_link(request, OneTimeLink.Purpose.RESULT, to=to, now=now))


def _has_login(request: Request) -> bool:
    return request.subject_id is not None and people.ask().has_login(request.subject_id)


def backups_until(now: datetime) -> date:
    """Return the last day on which a backup of keys destroyed now can still exist."""
    day = company_day(now)
    # Other schedules may name no life of their own for the keys: then that of every backup counts.
    reasons = [one for one in rules.load()["backup"].reasons if one.period is not None]
    of_keys = [one for one in reasons if one.name == OF_KEYS] or reasons
    return max(one.period.after(day) for one in of_keys if one.period is not None)


def recipients(request: Request, decisions: Iterable[Decision]) -> list[str]:
    """Return who gets the data that these decisions of a request ended, or that the right is about where it ends none,
    by name from the data map (Art. 19); [] for a right that does not tell it."""
    if not request.procedure.tells_recipients:
        return []
    is_ended = request.procedure.removes
    found: set[str] = set()
    for label, envelope in {
        (one.label, one.envelope)
        for one in decisions
        if not is_ended or one.action == Decision.Action.ERASE or decided.ended_at(one)
    }:
        declaration = datamap.for_label(label)
        for name in declaration.envelopes().get(envelope, ()):
            found.update(declaration.data[name].recipients)
    return sorted(found)

"""Rows of earlier versions put under the keyed hash of this one, each kind once in the life of an installation
(accounts.upgrades, privacy.vault.keystore.once), in the caller's transaction.

What must never happen: a row that somebody wrote into before is signed as the site's. So one that did not fit its keyed
hash of before still does not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, Q

from privacy import vault
from privacy.requests import bound, hashed
from privacy.requests.models import Export, RequestEvent

# What the keyed hash stood over before all events did: these kinds, and in the first version the last of them alone.
_STAGES_FIRST = frozenset(
    {
        "received", "identity", "planned", "confirmed", "executing", "executed", "replied", "closed", "refused", "withdrawn",
        "expired", "restored", "second_asked", "second_asked_again", "second_decided", "second_ended", "refusal_proposed", "refusal_decided",
    }
)  # fmt: skip
_STAGES = _STAGES_FIRST | {"extended", "address_changed", "name_changed"}


def bind_all() -> int:
    """Sign requests and files of before; return how many."""
    return bound.sign_all(Q(mac="")) + bound.sign_files(Export.objects.filter(mac=""))


def bind_weeks() -> int:
    """Put the week of files of before under their keyed hashes, but of one that would end later; return how many."""
    live = Export.objects.filter(deleted_at=None)
    fitted = [one for one in live if vault.mac_fits(one.mac, *_file_said(one)) and bound.is_in_its_week(one)]
    return bound.sign_files(fitted)


def bind_steps(is_supported: Callable[[Mapping[str, Any]], bool]) -> int:
    """Put the next step of requests of before under their keyed hashes; return how many.

    Not of one whose history does not support the step that it names (`is_supported`): until then anybody could have
    written it.
    """
    return _bind(lambda row: vault.mac_fits(row["mac"], *_said_without_step(row)) and is_supported(row))


def bind_histories(is_contradicted: Callable[[UUID], Any]) -> int:
    """Put the whole history of requests of before, and their due dates, under their keyed hashes; return how many.

    Not of one that history, audit or key store contradict: until then anybody could have written a due date or an
    event.
    """
    return _bind(lambda row: vault.mac_fits(row["mac"], *_said_of_stages(row)) and not is_contradicted(row["pk"]))


def bind_events(is_contradicted: Callable[[UUID], Any]) -> int:
    """Put what the events of requests of before say under their keyed hashes; return how many.

    As `bind_histories`: until then who could write past the triggers could have changed an event.
    """
    return _bind(lambda row: vault.mac_fits(row["mac"], *_said_of_count(row)) and not is_contradicted(row["pk"]))


def bind_parked(is_contradicted: Callable[[UUID], Any]) -> int:
    """Put whether requests of before are parked, and the events that say so, under their keyed hashes; return how many.

    Not of one that is or was parked and that history, audit or key store contradict: until then anybody could have
    parked an ended one, or let a parked one go on.
    """
    was_parked = set(RequestEvent.objects.filter(kind=bound.PARKED).values_list("request", flat=True))

    def fits(row: Mapping[str, Any]) -> bool:
        if not vault.mac_fits(row["mac"], *_said_of_stop(row)):
            return False
        return not (row["state"] == bound.PARKED or row["pk"] in was_parked) or not is_contradicted(row["pk"])

    return _bind(fits)


def _bind(fits: Callable[[Mapping[str, Any]], bool]) -> int:
    return bound.sign_all(Q(pk__in=[row["pk"] for row, _ in bound.judged(Q()) if fits(row)]))


def _file_said(export: Export) -> tuple[Any, ...]:
    # What the keyed hash stood over until 0.1, which said nothing of its week.
    return "request-file", export.pk, export.request_id, export.path


def _said_of_stop(row: Mapping[str, Any]) -> tuple[Any, ...]:
    # What the keyed hash stood over until the end of November: a parked one was where it stopped.
    columns = (row[name] for name in (*bound.COLUMNS, *bound.DATED))
    return "request", *columns, bound.stopped_at(row), hashed.history_but(row["pk"], bound.PARKED)


def _said_of_count(row: Mapping[str, Any]) -> tuple[Any, ...]:
    # What the keyed hash stood over in the first days of 0.2: the last of the events and how many there were.
    events = RequestEvent.objects.filter(request=row["pk"]).exclude(kind=bound.PARKED)
    found = events.aggregate(last=Max("pk"), count=Count("pk"))
    columns = (row[name] for name in (*bound.COLUMNS, *bound.DATED))
    return "request", *columns, bound.stopped_at(row), found["last"], found["count"] or None


def _said_of_stages(row: Mapping[str, Any]) -> tuple[Any, ...]:
    # What the keyed hash stood over until 0.1.
    last, count = _stages(row, _STAGES)
    return "request", *(row[name] for name in bound.COLUMNS), bound.stopped_at(row), last, count


def _said_without_step(row: Mapping[str, Any]) -> tuple[Any, ...]:
    # The same of a version before.
    last, _ = _stages(row, _STAGES_FIRST)
    return "request", *(row[name] for name in bound.COLUMNS if name != "step"), bound.stopped_at(row), last


def _stages(row: Mapping[str, Any], kinds: Collection[str]) -> tuple[int | None, int | None]:
    events = RequestEvent.objects.filter(request=row["pk"], kind__in=kinds)
    found = events.aggregate(last=Max("pk"), count=Count("pk"))
    return found["last"], found["count"] or None

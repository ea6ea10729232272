"""Show how a request stands: decisions, steps, dates, in words; with --json in codes. No personal data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from privacy import called, datamap
from privacy.calendar import company_day, undated
from privacy.management.one_request import RequestCommand, named
from privacy.requests import listing, reading
from privacy.requests.models import Request
from privacy.views import words

DONE = {"erase": "erased", "keep": "kept", "give": "given in the copy"}


class Command(RequestCommand):
    help = (
        "Shows a request: state, dates, decisions, steps; in words, or with --json in codes. Changes nothing, and names nobody. "
        "Exit codes: 0 done, 1 no such request, 2 usage."
    )

    def handle(self, *args: Any, reference: str, **options: Any) -> None:
        with undated.leniently():  # the rest of it is shown all the same
            request = named(reference)
            shown = reading.show(request)
        if options["json"]:
            self.stdout.write(json.dumps(shown))
            return
        self.stdout.write(f"{request.reference}: {request.title}, {listing.told(request)}.")
        if request.is_in_doubt:
            self.stdout.write("It is not as the site wrote it: `seal_requests --dry-run` says why (docs/runbook.md).")
        elif request.is_open and request.needs_second:
            self.stdout.write("A second person has to decide about it: `request_second`.")
        for line in (*_dates(request), *_decisions(request.stage, shown), *_steps(request, shown)):
            self.stdout.write(line)


def _dates(request: Request) -> list[str]:
    unpaused = f"; without the pause by {_day(request.unpaused_due_on)}" if request.unpaused_due_on else ""
    said = [
        f"Received on {_day(request.received_on)} by {request.get_channel_display()}, from {request.get_asked_by_display()}.",
        f"Ended on {_day(request.closed_at)}."
        if request.closed_at
        else f"Answer by {_day(request.due_on)}, at the latest {_day(request.legal_due_on)}{unpaused}.",
        f"Who is asking: {request.get_identity_display()}.",
    ]
    if request.is_about_records:
        said.append(f"It covers {request.get_scope_display()}.")
    if request.last_error:
        said.append(f"Last failure: {request.last_error}.")
    return said


def _decisions(how_far: str, shown: Mapping[str, Any]) -> list[str]:
    """Return a line for each record and fate: what of it is, or was to be, erased, kept or given, and why."""
    keys = {id(one): (one["label"], UUID(one["record"]) if one["record"] else None) for one in shown["decisions"]}
    names = called.names(keys.values())
    lines = []
    for record in shown["decisions"]:
        fates: dict[str, list[str]] = {}
        for datum in record["data"]:
            fates.setdefault(_fate(datum, how_far), []).append(_title(record["label"], datum["name"]))
        lines += [f"  {names[keys[id(record)]]}: {', '.join(data)}: {fate}" for fate, data in fates.items()]
    return lines


def _fate(datum: Mapping[str, Any], how_far: str) -> str:
    if datum["done_at"] and datum["action"] != "give":
        return f"erased on {_day(company_day(datetime.fromisoformat(datum['done_at'])))}"
    if how_far == "ended":
        return f"was to be {DONE[datum['action']]}; the request ended before"
    if datum["action"] == "keep":
        why = f" ({datum['authority']})" if datum["authority"] else ""
        return f"{'kept' if how_far in ('begun', 'done') else 'to be kept'} {_until(datum)}{why}"
    is_given = datum["action"] == "give" and how_far == "done"
    return DONE["give"] if is_given else f"to be {DONE[datum['action']]}"


def _until(datum: Mapping[str, Any]) -> str:
    if not datum["until"]:
        return "until what holds it has ended"
    day = _day(date.fromisoformat(datum["until"]))
    # Whether another reason keeps it afterwards stands in the sealed file, which this command does not open.
    is_open = datum["code"] == "KEEP_CONTRACT"
    return f"until {day}, or until it is finished, if nothing else keeps it then" if is_open else f"until {day}"


def _title(label: str, name: str) -> str:
    try:
        return datamap.for_label(label).data[name].title.lower()
    except KeyError:  # of an earlier release
        return name


def _steps(request: Request, shown: Mapping[str, Any]) -> list[str]:
    lines = []
    for step in shown["steps"]:
        done = datetime.fromisoformat(step["done_at"]) if step["done_at"] else None
        to_do = "not done" if request.stage == "ended" else "to do"
        when = f"done on {timezone.localtime(done):%-d %B %Y, %H:%M %Z}" if done else to_do
        tried = f"; tried {step['attempts']} times" if step["attempts"] > 1 and request.last_error and not done else ""
        lines.append(f"  {words.step(request, step['name'])}: {when}{tried}")
    return lines


def _day(day: date) -> str:
    return undated.said(day, "%-d %B %Y")

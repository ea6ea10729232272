"""What the pages of the back office ask for: who is at work, and what waits for them."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import template
from django.contrib import admin
from django.contrib.admin.helpers import Fieldset
from django.db import OperationalError
from django.utils import timezone
from django.utils.text import capfirst

from privacy.actor import WORDS, in_words
from privacy.admin import groups, lists
from privacy.admin.waiting import WorkList
from privacy.admin.work import WorkAdmin, acting
from privacy.audit import AuditEvent
from privacy.calendar import company_day
from privacy.gate import Actor
from privacy.sweep.models import SweepState

register = template.Library()

BY_LINK = "somebody with the link of a letter"


@register.simple_tag
def worker() -> Actor:
    """Return who is at work; without a current confidentiality acknowledgement an actor without roles."""
    return acting()


@register.simple_tag
def work_lists() -> list[WorkList]:
    """Return what waits for who is at work, app by app, the lists with something in them first.

    One that takes too long is stopped and says so.
    """
    actor, today = acting(), company_day(timezone.now())
    found: list[WorkList] = []
    with lists.within(lists.LONGEST):
        for one in admin.site._registry.values():
            if not isinstance(one, WorkAdmin):
                continue
            try:
                found += list(one.work_lists(actor, today))
            except OperationalError as error:
                if not lists.is_stopped(error):
                    raise
                title = capfirst(str(one.opts.verbose_name_plural))
                found.append(WorkList(title, one.url_of_list(), [], 0, is_stopped=True))
    return sorted(found, key=lambda one: not one.tasks and not one.is_stopped)


@register.simple_tag
def unarmed_sweep() -> dict[str, Any]:
    """Return for the privacy team, while the nightly sweep is not armed, what it last counted as due: {due, on}; {}
    else.

    `on` is None where it has not counted yet.
    """
    if "privacy" not in acting().roles:
        return {}
    state = SweepState.objects.filter(pk=SweepState.ONLY).first()
    if state is not None and state.armed_at is not None:
        return {}
    report = (state.last_report if state is not None else None) or {}
    # What a run that erased had found says nothing of what is due now.
    on = date.fromisoformat(report["on"]) if report.get("dry_run") else None
    return {"due": report.get("due", 0), "on": on}


@register.filter
def parts(fieldset: Fieldset) -> list[groups.Part]:
    """Return a group of a record's fields in parts, so that a reason which several share is said once."""
    return groups.parts(fieldset)


@register.filter
def doer(event: AuditEvent) -> str:
    """Return who did what an event of the audit tells of, in the words that the person reads, too.

    An event without an actor was found or done by the site itself, but for an objection by the link of a letter: who
    used that is not known.
    """
    if not event.actor_kind:
        return BY_LINK if event.action.endswith(".disputed") else WORDS["task"]
    return in_words(event.actor_kind, event.role, own=WORDS["customer"])

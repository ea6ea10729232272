"""What the pages of the back office ask for: who is at work, and what waits for them."""

from __future__ import annotations

from django import template
from django.contrib import admin
from django.utils import timezone

from privacy.admin.work import WorkAdmin, WorkList, acting
from privacy.gate import Actor
from privacy.requests import assessment

register = template.Library()


@register.simple_tag
def worker() -> Actor:
    """Return who is at work; without a current confidentiality acknowledgement an actor without roles."""
    return acting()


@register.simple_tag
def work_lists() -> list[WorkList]:
    """Return what waits for who is at work, app by app."""
    actor, today = acting(), assessment.today(timezone.now())
    ours = [one for one in admin.site._registry.values() if isinstance(one, WorkAdmin)]
    return [found for one in ours for found in one.work_lists(actor, today)]


@register.filter
def action(name: str) -> str:
    """Return an action of the audit in words: "request.filed" becomes "Request filed"."""
    return name.replace(".", " ").replace("_", " ").capitalize()

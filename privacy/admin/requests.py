"""The work list of the privacy team: what was asked, until when, what was decided, what is to be done next."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from privacy.admin.records import ReadOnlyInline, RecordAdmin
from privacy.requests.models import Decision, Request, RequestEvent


class EventInline(ReadOnlyInline):
    model = RequestEvent
    verbose_name_plural = "history"
    fields = ("at", "on", "kind", "state", "step", "actor_kind")


class DecisionInline(ReadOnlyInline):
    model = Decision
    fields = ("label", "envelope", "data", "action", "code", "ground", "authority", "until", "done_at")


@admin.register(Request)
class RequestAdmin(RecordAdmin):
    list_display = ("reference", "kind", "state", "received_on", "due_on", "identity", "channel")
    list_filter = ("state", "kind", "channel")
    ordering = ("due_on", "reference")
    columns = ("reference",)
    search_help = "Reference, or the e-mail address the answer goes to. What you type is not kept."
    inlines = (DecisionInline, EventInline)
    fields = (
        "reference", "kind", "state", "channel", "asked_by", "identity", "identity_at", "received_on", "due_on",
        "legal_due_on", "requester_name", "requester_email", "note", "plan_hash", "plan_at", "step", "attempts",
        "last_error", "closed_at",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("subject")

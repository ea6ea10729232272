"""Legal holds in the admin: what is under one and why, placed by the number of a record, lifted one by one."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from privacy import audit, datamap, gate
from privacy.admin import holding
from privacy.admin.steps import Step
from privacy.admin.tables import MOST_ROWS
from privacy.admin.work import WorkAdmin
from privacy.gate import Actor, Refused
from privacy.models import Hold
from privacy.requests import in_words, said
from privacy.retention import holds, in_force


class HoldList(ChangeList):
    """A list in which each hold has the name of its record, in one query per kind of record."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        holding.name_records(self.result_list)


class InForce(admin.SimpleListFilter):
    """Holds in force, or those that were lifted."""

    title = "state"
    parameter_name = "in_force"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "In force"), ("no", "Lifted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Hold]) -> QuerySet[Hold]:
        return queryset.filter(lifted_at__isnull=self.value() == "yes") if self.value() in ("yes", "no") else queryset


@admin.register(Hold)
class HoldAdmin(WorkAdmin):
    readers = frozenset({"privacy"})
    adding = holding.HoldRecord
    tells = ("hold.",)
    list_display = ("record", "reason", "reference", "placed_at", "lifted_at", "standing")
    list_filter = (InForce, "reason")
    ordering = ("-placed_at",)
    fields = ("record", "reason", "reference", "placed_at", "lifted_at", "standing")
    refusals: ClassVar[dict[type[Exception], str]] = {
        holds.RecordNotFound: "",
        holds.NothingOnHold: "",
        holds.BadHold: "",
    }

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Return the list; above it those holds that are in force while the table has no row of them any more."""
        lost = in_force.lost() if self.may_see(request.user) else []
        holding.name_records(lost)
        return super().changelist_view(request, {"lost": lost, **(extra_context or {})})

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return HoldList

    @admin.display(description="record")
    def record(self, hold: Hold) -> str:
        """Return which record is under the hold, by the name people know."""
        if not hasattr(hold, "title"):
            holding.name_records([hold])
        return str(hold.title)  # type: ignore[attr-defined]

    @admin.display(description="state")
    def standing(self, hold: Hold) -> str:
        """Return whether it is in force or lifted, and whether it says what this program wrote; looked up with the
        name of its record, which both pages show before it."""
        return str(hold.standing)  # type: ignore[attr-defined]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may_see(request.user)

    def whose(self, record: Hold) -> dict[str, Any]:
        return {"about": datamap.people_of(record.label, [record.record_id])}

    def history_of(self, record: Hold) -> QuerySet[audit.AuditEvent]:
        return audit.history(record=(record.label, record.record_id)).filter(action__startswith="hold.")

    def ask_why(self, request: HttpRequest, record: Hold) -> None:
        """Tell the access log that the hold itself is why what it keeps is opened."""
        gate.because("legal hold", record.reference)

    def details(self, record: Hold, actor: Actor) -> dict[str, Any]:
        """Show what was corrected in the record while it is held: to the privacy team alone, and each look is
        logged."""
        found = list(holds.values_of(record)[:MOST_ROWS]) if record.is_in_force else []
        when, _record, said_before = in_words.HELD_VALUES
        cells = [[said.value(one[when]), said.value(one[said_before])] for one in in_words.held_values(found)]
        return {
            "tables": [
                {
                    "title": "What it said before it was corrected",
                    "headings": ["Corrected", "Until then"],
                    "rows": cells,
                    "covered": [],
                    "has_more": False,
                }
            ]
        }

    def steps(self, record: Hold, actor: Actor) -> dict[str, type[Step]]:
        return {"lift": holding.LiftHold} if record.is_in_force and "privacy" in actor.roles else {}

    def take(self, name: str, record: Hold, data: dict[str, Any], *, actor: Actor, now: datetime) -> str:
        if name != "lift":
            return super().take(name, record, data, actor=actor, now=now)
        holds.lift(record.label, record.record_id, reference=record.reference, actor=actor, now=now)
        return "The hold is lifted."

    def add(self, data: dict[str, Any], *, actor: Actor, now: datetime) -> tuple[Hold, str]:
        if "privacy" not in actor.roles:
            raise Refused("Holds are placed by the privacy team.")
        found = data["found"]
        label, number = found.declaration.label, found.record_id
        hold = holds.place(label, number, reason=data["reason"], reference=data["reference"], actor=actor, now=now)
        return hold, "The record is under a hold."

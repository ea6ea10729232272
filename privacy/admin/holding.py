"""What is filled in to place a legal hold and to lift it."""

from __future__ import annotations

from typing import Any

from django import forms

from privacy import called
from privacy.admin.steps import Step, to_choose
from privacy.models import Hold
from privacy.requests import assessment
from privacy.retention import holds, in_force


class PlaceHold(Step):
    """Place a hold on a record of the person; the answers have its `label` besides its number."""

    title = "Place a hold"
    help = (
        "A record under a hold is not removed, whatever is asked, until the hold is lifted; what is corrected in it stays "
        "readable for the privacy team. It stays in use as long as something else keeps it, and is locked after that."
    )
    record_id = forms.ChoiceField(label="Record")
    reason = forms.ChoiceField(choices=to_choose(Hold.Reason.choices))
    reference = forms.CharField(
        required=False, max_length=60, label="Number of the case", help_text="A docket or a ticket, never a name.",
        validators=Hold._meta.get_field("reference").validators,
    )  # fmt: skip

    def prepare(self) -> None:
        """Offer the records of the person, by what people call them."""
        facts = assessment.facts_of(self.record.subject_id)
        self.labels = {str(one.record_id): one.label for one in facts}
        self.fields["record_id"].choices = to_choose((str(one.record_id), one.title) for one in facts)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Return the answers with the label of the record, "" where none was chosen."""
        self.cleaned_data["label"] = self.labels.get(self.cleaned_data.get("record_id", ""), "")
        return self.cleaned_data


class HoldRecord(PlaceHold):
    """Place a hold on any record, by its number."""

    record_id = None  # type: ignore[assignment]
    number = forms.CharField(max_length=40, label="Number of the record", help_text="Order, RMA or customer number.")
    field_order = ("number", "reason", "reference")

    def prepare(self) -> None:
        """Nothing to choose from: the record is named by its number."""

    def clean(self) -> dict[str, Any]:
        """Return the answers with the record as `found`; a number of no record, or of several, is an error beside
        it."""
        if number := self.cleaned_data.get("number"):
            try:
                self.cleaned_data["found"] = holds.find(number)
            except (holds.RecordNotFound, holds.ReferenceNotUnique) as error:
                self.add_error("number", str(error))
        return self.cleaned_data


class LiftHold(Step):
    title = "Lift this hold"
    help = "What an erasure left because of it is due from then on: the next sweep carries it out, where it is armed."
    is_destructive = True


def name_records(found: list[Hold]) -> None:
    """Give each hold the name of its record as `title`: order and RMA numbers, in one query per kind of record; and
    whether it stands, as `standing`. One that is not saved is one of which only the audit tells."""
    names = called.names((hold.label, hold.record_id) for hold in found)
    doubted = in_force.doubtful([one for one in found if not one._state.adding])
    for hold in found:
        hold.title = names[hold.label, hold.record_id]  # type: ignore[attr-defined]
        hold.is_lost = hold._state.adding  # type: ignore[attr-defined]
        if hold._state.adding:
            hold.standing = in_force.LOST_HERE  # type: ignore[attr-defined]
            continue
        state = "In force" if hold.is_in_force else "Lifted"
        hold.standing = f"{state}; {in_force.IN_DOUBT}" if hold.pk in doubted else state  # type: ignore[attr-defined]

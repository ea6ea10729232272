"""Records whose data staff set right by the same function as the person in the portal."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.core.exceptions import ValidationError

from accounts import corrections, correspondence, regions
from privacy.admin.records import MaskingForm, RecordAdmin
from privacy.gate import Actor


class CorrectableAdmin(RecordAdmin):
    """A record whose data staff may set right: the same function as in the portal."""

    refusals: ClassVar[dict[type[Exception], str]] = {correspondence.AlreadyClosed: "It was closed in the meantime."}

    def write(self, record: Any, changes: dict[str, Any], *, actor: Actor, now: datetime) -> None:
        current = self.model._default_manager.get(pk=record.pk)
        try:
            reason = getattr(record, "change_reason", "") or "by staff"
            corrections.correct(current, changes, actor=actor, now=now, reason=reason)
        except corrections.NothingToCorrect:
            return


class PlacedForm(MaskingForm):
    """A form with a region: one of before that no list knows stands as it is until it or the country changes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if (region := self.fields.get("region")) and not region.help_text:
            region.help_text = regions.HINT

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() | {"region"}  # type: ignore[misc]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        region, country = data.get("region"), data.get("country")
        if isinstance(region, str) and isinstance(country, str) and {"region", "country"} & set(self.changed_data):
            try:
                region = self.instance._meta.get_field("region").clean(region, None)
                data["region"] = regions.clean(country, region)
            except ValidationError as error:
                self.add_error("region", error)
        return data

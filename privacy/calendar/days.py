"""The days on which something can have happened, and those on which something can fall due.

What must never happen: one day like 31 December 9999 stops the night for everybody, because a period after it has no
end. So a day before the company existed, or one that has not come, is refused wherever one is typed or read in; the
database refuses what no calendar of ours reaches; and a period that would end after the last day of all ends there. A
refused day is cured by typing the right one.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from privacy.calendar.workdays import company_day

EARLIEST = date(1965, 1, 1)  # the year in which the company was founded
LATEST = date(2199, 12, 31)  # the longest period of the schedule after it is still a day
DUE_WITHIN = 10 * 366  # days

TOO_EARLY = "That day is before the company existed."
NOT_COME = "That day has not come yet."
TOO_LATE = "That day is more than ten years away."


def check(day: date | None, *, today: date) -> None:
    """Raise ValidationError unless `day`, on which something happened, is none or lies between 1965 and tomorrow.

    Tomorrow, because it has begun for people to the west of the Pacific.
    """
    _check(day, today + timedelta(days=1), NOT_COME, "not_come")


def check_due(day: date | None, *, today: date) -> None:
    """Raise ValidationError unless `day`, on which something falls due, is none or lies between 1965 and ten years
    on."""
    _check(day, today + timedelta(days=DUE_WITHIN), TOO_LATE, "too_late")


def _check(day: date | None, last: date, says: str, code: str) -> None:
    if day is not None and day < EARLIEST:
        raise ValidationError(TOO_EARLY, code="too_early")
    if day is not None and day > last:
        raise ValidationError(says, code=code)


def require(*, now: datetime, **named: date | None) -> None:
    """Raise ValidationError, by field, for each day on which nothing can have happened by `now`; for services."""
    _require(check, company_day(now), named)


def require_due(*, now: datetime, **named: date | None) -> None:
    """Raise ValidationError, by field, for each day on which nothing can fall due; for services."""
    _require(check_due, company_day(now), named)


def _require(refuse: Any, today: date, named: dict[str, date | None]) -> None:
    wrong: dict[str, ValidationError] = {}
    for name, day in named.items():
        try:
            refuse(day, today=today)
        except ValidationError as error:
            wrong[name] = error
    if wrong:
        raise ValidationError(wrong)


def happened(day: date) -> None:
    """Refuse a day on which nothing can have happened by now (validator of forms: it reads the clock)."""
    check(day, today=company_day(timezone.now()))


def falls_due(day: date) -> None:
    """Refuse a day on which nothing can fall due (validator of forms: it reads the clock)."""
    check_due(day, today=company_day(timezone.now()))


class Within(models.CheckConstraint):
    """Let the database refuse a day that no calendar of ours reaches."""

    @classmethod
    def on(cls, model: type[models.Model], column: str) -> Within:
        name = f"{model._meta.app_label}_{model._meta.model_name}_{column}_day"[:60]
        return cls(name=name, condition=models.Q(**{f"{column}__range": (EARLIEST, LATEST)}))

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the field's own validators say the same, in words."""

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        _, args, kwargs = super().deconstruct()
        return "django.db.models.CheckConstraint", tuple(args), kwargs  # migrations import nothing of ours


class PastDateField(models.DateField):
    """The day on which something happened: not before 1965, and where it is typed not after tomorrow."""

    default_validators = [MinValueValidator(EARLIEST, TOO_EARLY), MaxValueValidator(LATEST, NOT_COME)]
    on_forms = staticmethod(happened)

    def contribute_to_class(self, cls: Any, name: str, private_only: bool = False, **kwargs: Any) -> None:
        super().contribute_to_class(cls, name, private_only=private_only, **kwargs)
        options = cls._meta
        options.constraints = [*options.constraints, Within.on(cls, name)]
        options.original_attrs["constraints"] = options.constraints

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.DateField", args, kwargs

    def formfield(self, **kwargs: Any) -> Any:
        field: Any = super().formfield(**kwargs)
        field.validators = [*field.validators, self.on_forms]
        return field


class DueDateField(PastDateField):
    """The day on which something falls due or ends: not before 1965, and where it is typed at most ten years on."""

    default_validators = [MinValueValidator(EARLIEST, TOO_EARLY), MaxValueValidator(LATEST, TOO_LATE)]
    on_forms = staticmethod(falls_due)

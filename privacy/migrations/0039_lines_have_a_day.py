"""No new line of an append-only table names a day that no calendar has, and no decision; what stands there already is
not looked at."""

from datetime import UTC, date, datetime

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations
from django.db.models import CheckConstraint, Q

MOMENT = {"at__gte": datetime(1900, 1, 1, tzinfo=UTC), "at__lt": datetime(2200, 1, 1, tzinfo=UTC)}
UNTIL = {"until__gte": date(1, 1, 2), "until__lt": date(9999, 12, 31)}
DAY = {"on__gte": date(1900, 1, 1), "on__lt": date(2200, 1, 1)}


class Migration(migrations.Migration):
    dependencies = [("privacy", "0038_actors_in_words")]

    operations = [
        AddConstraintNotValid("auditevent", CheckConstraint(condition=Q(**MOMENT), name="audit_event_has_a_day")),
        AddConstraintNotValid("accessentry", CheckConstraint(condition=Q(**MOMENT), name="access_entry_has_a_day")),
        AddConstraintNotValid(
            "requestevent", CheckConstraint(condition=Q(**MOMENT) & Q(**DAY), name="request_event_has_a_day")
        ),
        AddConstraintNotValid(
            "decision",
            CheckConstraint(condition=Q(until__isnull=True) | Q(**UNTIL), name="decision_until_is_a_day"),
        ),
    ]

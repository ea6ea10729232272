"""Days lie between 1965 and 2199. A day beyond is moved to the nearest of them: the sweep then reports it, and goes on."""

import datetime

from django.db import migrations, models

FIRST, LAST = datetime.date(1965, 1, 1), datetime.date(2199, 12, 31)
DAYS = {
    "communication": ("received_on", "last_message_on", "closed_on", "notice_given_on"),
    "company": ("last_active_on",),
    "customer": ("since", "last_active_on", "notice_given_on"),
    "freightaccount": ("added_on", "last_shipment_on"),
    "taxidentifier": ("last_used_on",),
}


def move(apps, schema_editor):
    """Move days outside to the nearest day inside; all of a row at once, so that none is ever before another's."""
    for name, columns in DAYS.items():
        outside = models.Q(
            *((f"{c}__lt", FIRST) for c in columns), *((f"{c}__gt", LAST) for c in columns), _connector="OR"
        )
        moved = {
            c: models.Case(
                models.When(**{f"{c}__lt": FIRST}, then=models.Value(FIRST)),
                models.When(**{f"{c}__gt": LAST}, then=models.Value(LAST)),
                default=models.F(c),
                output_field=models.DateField(),
            )
            for c in columns
        }
        apps.get_model("accounts", name)._base_manager.filter(outside).update(**moved)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_lists"),
        ("privacy", "0009_days"),
    ]

    operations = [
        migrations.RunPython(move, migrations.RunPython.noop),
        *(
            migrations.AddConstraint(
                model_name=name,
                constraint=models.CheckConstraint(
                    condition=models.Q((f"{column}__range", (FIRST, LAST))), name=f"accounts_{name}_{column}_day"
                ),
            )
            for name, columns in DAYS.items()
            for column in columns
        ),
    ]

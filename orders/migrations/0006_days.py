"""Days lie between 1965 and 2199. A day beyond is moved to the nearest of them: the sweep then reports it, and goes on."""

import datetime

from django.db import migrations, models

FIRST, LAST = datetime.date(1965, 1, 1), datetime.date(2199, 12, 31)
DAYS = {
    "invoice": ("issued_on", "due_on", "paid_on"),
    "order": ("placed_on", "invoiced_on", "paid_on", "shipped_on", "closed_on"),
    "payment": ("charged_on",),
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
        apps.get_model("orders", name)._base_manager.filter(outside).update(**moved)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_days"),
        ("orders", "0005_lists"),
    ]

    operations = [
        migrations.RunPython(move, migrations.RunPython.noop),
        *(
            migrations.AddConstraint(
                model_name=name,
                constraint=models.CheckConstraint(
                    condition=models.Q((f"{column}__range", (FIRST, LAST))), name=f"orders_{name}_{column}_day"
                ),
            )
            for name, columns in DAYS.items()
            for column in columns
        ),
    ]

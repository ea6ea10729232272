"""Instruments without a serial number, and what customers wrote instead.

What stands in the column of before and is no serial number stays there until `prepare` settles it: a migration cannot
seal anything.
"""

import django.core.validators
from django.db import migrations, models

import accounts.validators


class Migration(migrations.Migration):
    dependencies = [
        ("rma", "0004_days"),
    ]

    operations = [
        migrations.AddField(
            model_name="rma",
            name="is_serial_open",
            field=models.BooleanField(db_default=False, default=False, verbose_name="serial number to settle"),
        ),
        migrations.AlterField(
            model_name="instrument",
            name="serial",
            field=models.CharField(
                blank=True,
                max_length=60,
                null=True,
                unique=True,
                validators=[
                    django.core.validators.RegexValidator(
                        "^(?=[A-Z./-]*[0-9])[A-Z0-9./-]{1,20}\\Z",
                        "A serial number has at most 20 letters, digits, dots, dashes or slashes, and at least one digit.",
                    ),
                    accounts.validators.no_card_number,
                ],
                verbose_name="serial number",
            ),
        ),
        migrations.AddIndex(
            model_name="rma",
            index=models.Index(
                condition=models.Q(("is_serial_open", True)), fields=["opened_on"], name="rma_serial_open"
            ),
        ),
    ]

"""Which numbers of an instrument are no card numbers: changes checks alone, and no table."""

import django.core.validators
from django.db import migrations, models

import accounts.validators


class Migration(migrations.Migration):
    dependencies = [
        ("rma", "0007_names_of_lists"),
    ]

    operations = [
        migrations.AlterField(
            model_name="instrument",
            name="model_name",
            field=models.CharField(
                max_length=60,
                validators=[
                    django.core.validators.RegexValidator(
                        "^[A-Za-z]{0,8}[ -]?[0-9][A-Za-z0-9 ./+-]{0,40}\\Z",
                        "A model has letters and a number, such as ILT2400.",
                    ),
                    accounts.validators.no_card_for_identifier,
                ],
                verbose_name="model",
            ),
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
                    accounts.validators.no_card_for_identifier,
                ],
                verbose_name="serial number",
            ),
        ),
    ]

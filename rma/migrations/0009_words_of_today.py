"""Words of today for how something reached us. Nothing in the database changes."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("rma", "0008_own_numbers"),
    ]

    operations = [
        migrations.AlterField(
            model_name="rma",
            name="channel",
            field=models.CharField(
                choices=[
                    ("web", "website"),
                    ("phone", "phone"),
                    ("fax", "fax"),
                    ("email", "e-mail"),
                    ("mail", "mail"),
                    ("in_person", "in person"),
                ],
                default="web",
                max_length=20,
            ),
        ),
    ]

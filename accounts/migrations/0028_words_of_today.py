"""Words of today for how something reached us. Nothing in the database changes."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0027_messages_are_activity"),
    ]

    operations = [
        migrations.AlterField(
            model_name="communication",
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
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="customer",
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
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="customer",
            name="notice_given_on",
            field=models.DateField(blank=True, help_text="When the privacy notice was handed over.", null=True),
        ),
    ]

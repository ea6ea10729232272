from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("privacy", "0023_names_signed"),
    ]

    operations = [
        migrations.AlterField(
            model_name="acknowledgement",
            name="kind",
            field=models.CharField(
                choices=[
                    ("confidentiality", "Confidentiality acknowledgement"),
                    ("training", "Data protection training"),
                ],
                max_length=20,
            ),
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("privacy", "0032_another_name"),
    ]

    operations = [
        migrations.AddField(
            model_name="decision",
            name="mac",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=64),
        ),
    ]

"""A keyed hash in each request and each file of one; `prepare` signs those of before (privacy.requests.bound)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("privacy", "0029_changed_names")]

    operations = [
        migrations.AddField(
            model_name="request",
            name="mac",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name="export",
            name="mac",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=64),
        ),
    ]

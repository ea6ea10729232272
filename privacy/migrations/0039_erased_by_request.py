"""Find what a request erased by its record: one number among all decisions of an installation."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("privacy", "0038_actors_in_words")]

    operations = [
        migrations.AddIndex(
            model_name="decision",
            index=models.Index(
                condition=models.Q(("action", "erase"), ("done_at__isnull", False)),
                fields=["record_id"],
                name="decision_erased",
            ),
        ),
    ]

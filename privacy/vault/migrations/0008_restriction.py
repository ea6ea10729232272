"""Beside each key, for what alone a restricted envelope still opens: so the gate knows it with the key, without a query."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("vault", "0007_no_key_under_an_old_version")]
    operations = [
        migrations.AddField(
            "datakey",
            "restriction",
            models.CharField(db_default="", default="", max_length=400),
        ),
        migrations.AddIndex(
            "datakey",
            models.Index(
                condition=models.Q(models.Q(("restriction", ""), _negated=True), ("destroyed_at", None)),
                fields=["record"],
                name="vault_key_restricted",
            ),
        ),
    ]

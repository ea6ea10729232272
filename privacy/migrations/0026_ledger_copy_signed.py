"""A keyed hash in each line of the ledger's copy; `prepare` signs those of before (privacy.restore.replay.sign_old)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("privacy", "0025_where_a_link_went")]

    operations = [
        migrations.AddField(
            model_name="ledgercopy",
            name="mac",
            field=models.CharField(
                default="", help_text="Keyed hash over what the line says (restore.signed).", max_length=64
            ),
        ),
    ]

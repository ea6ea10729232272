"""Sign the names in the log of who looked as they are found, and let one stay, empty, when its person goes."""

from typing import Any

from django.db import migrations, models

import privacy.gate.log


def sign(apps: Any, schema_editor: Any) -> None:
    """Needs the key ring if there are any."""
    privacy.gate.log.sign_old(apps.get_model("privacy", "AccessName"), apps.get_model("privacy", "AccessEntry"))


class Migration(migrations.Migration):
    dependencies = [("privacy", "0022_confirmed_by_staff")]

    operations = [
        migrations.AlterField(
            model_name="accessname", name="subject_id", field=models.UUIDField(db_index=True, null=True)
        ),
        migrations.AlterField(
            model_name="accessname",
            name="secret",
            field=models.BinaryField(default=privacy.gate.log.new_secret, null=True),
        ),
        migrations.AddField(
            model_name="accessname",
            name="mac",
            field=models.CharField(default="", help_text="Keyed hash over all of the above.", max_length=64),
        ),
        migrations.RunPython(sign, migrations.RunPython.noop),
    ]

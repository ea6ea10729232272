"""Whether whoever is signed in typed a return: what was typed is no claim, and stays none when the login has ended.

Of before: every return that came by the website, which only who is signed in can open there.
"""

from typing import Any

from django.db import migrations, models


def note_typed(apps: Any, schema_editor: Any) -> None:
    returns = apps.get_model("rma", "RMA")._base_manager.using(schema_editor.connection.alias)
    returns.filter(channel="web", is_typed=False).update(is_typed=True)


class Migration(migrations.Migration):
    dependencies = [
        ("rma", "0005_serials"),
    ]

    operations = [
        migrations.AddField(
            model_name="rma",
            name="is_typed",
            field=models.BooleanField(
                db_default=False, default=False, editable=False, verbose_name="typed by the person"
            ),
        ),
        migrations.RunPython(note_typed, migrations.RunPython.noop),
    ]

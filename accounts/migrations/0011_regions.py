"""The readable column of a region becomes that of a code. It keeps its name in the database, so that processes of the version
before go on meanwhile. What was typed into it stays there until `prepare` settles it: a migration cannot seal anything."""

from django.db import migrations, models

MODELS = ("customer", "company", "address")


class Migration(migrations.Migration):
    dependencies = [("accounts", "0010_contacts_taken_out")]

    operations = [
        operation
        for model in MODELS
        for operation in (
            migrations.AlterField(
                model_name=model,
                name="region",
                field=models.CharField(blank=True, db_column="region", default="", editable=False, max_length=40),
            ),
            migrations.RenameField(model_name=model, old_name="region", new_name="state"),
        )
    ]

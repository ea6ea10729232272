"""The desk calls a communication a message. Nothing in the database changes."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0025_messages")]

    operations = [
        migrations.AlterModelOptions(
            name="communication", options={"base_manager_name": "objects", "verbose_name": "message"}
        ),
    ]

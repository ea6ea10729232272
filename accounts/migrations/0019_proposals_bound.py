"""A keyed hash in each proposal to link a login; `prepare` signs those that wait from before (accounts.joining)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0018_logins_given_back")]

    operations = [
        migrations.AddField(
            model_name="claimreview",
            name="mac",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=64),
        ),
    ]

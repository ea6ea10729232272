"""Which objection a proposal to give a login back follows, a keyed hash over the proposal, and since when the login was taken."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0021_objections_outlive_addresses")]

    operations = [
        migrations.AddField(
            model_name="contactpoint",
            name="back_link",
            field=models.BigIntegerField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="contactpoint",
            name="mac",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name="contactpoint",
            name="taken_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]

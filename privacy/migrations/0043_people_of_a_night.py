from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("privacy", "0042_holds_under_a_hash")]

    operations = [
        migrations.AddField("sweepstate", "night", models.DateField(blank=True, null=True)),
        migrations.AddField("sweepstate", "people", models.PositiveIntegerField(db_default=0, default=0)),
    ]

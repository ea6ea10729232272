from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("privacy", "0030_requests_bound"),
    ]

    operations = [
        migrations.AddField(
            model_name="request",
            name="region",
            field=models.CharField(blank=True, default="", db_default="", max_length=10),
        ),
        migrations.AddField(
            model_name="request",
            name="unpaused_due_on",
            field=models.DateField(blank=True, null=True),
        ),
    ]

from django.db import migrations, models


def mac() -> models.CharField:
    return models.CharField(blank=True, db_default="", default="", editable=False, max_length=64)


class Migration(migrations.Migration):
    dependencies = [
        ("privacy", "0020_written_evidence"),
    ]

    operations = [
        migrations.AddField(model_name="onetimelink", name="mac", field=mac()),
        migrations.AddField(model_name="endnotice", name="mac", field=mac()),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0012_told_of_joinings"),
    ]

    operations = [
        migrations.AddField(
            model_name="contactlink",
            name="mac",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=64),
        ),
    ]

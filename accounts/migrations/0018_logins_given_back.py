from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0017_joinings_bound"),
    ]

    operations = [
        migrations.AddField(
            model_name="contactpoint",
            name="gives_back",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="contactpoint",
            name="given_back_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="contactlink",
            name="was_login",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]

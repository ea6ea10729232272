from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("privacy", "0027_where_a_code_went"),
    ]

    operations = [
        migrations.AddField(
            model_name="endnotice",
            name="told_on",
            field=models.DateField(blank=True, null=True),
        ),
    ]

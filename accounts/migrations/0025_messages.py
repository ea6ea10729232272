from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0024_confirmed_addresses"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="communication",
            options={"verbose_name": "message"},
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0013_links_bound"),
    ]

    operations = [
        migrations.AlterField(
            model_name="contactpoint",
            name="channel",
            field=models.CharField(
                choices=[("email", "e-mail"), ("phone", "phone"), ("post", "post"), ("login", "login address")],
                max_length=5,
            ),
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0019_proposals_bound"),
    ]

    operations = [
        migrations.AlterField(
            model_name="contactlink",
            name="purpose",
            field=models.CharField(
                choices=[
                    ("confirm", "confirm the new address"),
                    ("not_me", "say that it was somebody else"),
                    ("code", "a code by post, to have a login given back"),
                ],
                max_length=7,
            ),
        ),
    ]

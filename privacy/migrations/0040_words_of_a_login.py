from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("privacy", "0039_lines_have_a_day"),
    ]

    operations = [
        migrations.AlterField(
            model_name="request",
            name="identity",
            field=models.CharField(
                choices=[
                    ("pending", "not proved yet"),
                    ("login", "signed in, and password or sign-in code entered again"),
                    ("link", "one-time link to the address on file"),
                    ("callback", "called back on a number on file for 14 days, two facts confirmed"),
                    ("post", "code sent by post to an address on file for 14 days"),
                    ("in_person", "known in person, or document seen and not copied"),
                    ("staff", "written evidence"),
                ],
                default="pending",
                max_length=20,
            ),
        ),
    ]

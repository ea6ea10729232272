from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("vault", "0008_restriction"),
    ]

    operations = [
        migrations.CreateModel(
            name="Once",
            fields=[
                ("step", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("done_at", models.DateTimeField()),
            ],
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("privacy", "0043_people_of_a_night"),
    ]

    operations = [
        migrations.AlterField(
            model_name="request",
            name="parked_from",
            field=models.CharField(
                blank=True,
                choices=[
                    ("received", "received"),
                    ("identity", "identity proved"),
                    ("planned", "plan made"),
                    ("confirmed", "about to be carried out"),
                    ("executing", "being carried out"),
                    ("executed", "carried out"),
                    ("replied", "answered"),
                    ("closed", "closed"),
                    ("refused", "refused"),
                    ("withdrawn", "taken back"),
                    ("expired", "ended because identity was not proved or the plan not confirmed in time"),
                    ("parked", "parked until our staff have looked at it"),
                ],
                default="",
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="request",
            name="state",
            field=models.CharField(
                choices=[
                    ("received", "received"),
                    ("identity", "identity proved"),
                    ("planned", "plan made"),
                    ("confirmed", "about to be carried out"),
                    ("executing", "being carried out"),
                    ("executed", "carried out"),
                    ("replied", "answered"),
                    ("closed", "closed"),
                    ("refused", "refused"),
                    ("withdrawn", "taken back"),
                    ("expired", "ended because identity was not proved or the plan not confirmed in time"),
                    ("parked", "parked until our staff have looked at it"),
                ],
                default="received",
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="requestevent",
            name="state",
            field=models.CharField(
                choices=[
                    ("received", "received"),
                    ("identity", "identity proved"),
                    ("planned", "plan made"),
                    ("confirmed", "about to be carried out"),
                    ("executing", "being carried out"),
                    ("executed", "carried out"),
                    ("replied", "answered"),
                    ("closed", "closed"),
                    ("refused", "refused"),
                    ("withdrawn", "taken back"),
                    ("expired", "ended because identity was not proved or the plan not confirmed in time"),
                    ("parked", "parked until our staff have looked at it"),
                ],
                max_length=20,
            ),
        ),
    ]

from django.db import migrations, models

OPEN = ("received", "identity", "planned", "confirmed", "executing", "executed", "replied", "parked")


class Migration(migrations.Migration):
    dependencies = [
        ("privacy", "0033_decisions_bound"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="request", name="one_open_request_per_kind"),
        migrations.AddConstraint(
            model_name="request",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", OPEN), ("subject__isnull", False), ("scope", "whole")),
                fields=("subject", "kind"),
                name="one_open_request_per_kind",
            ),
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    """A refund may be known without the way in which it was paid: no table changes, only what may be chosen."""

    dependencies = [("orders", "0006_days")]

    operations = [
        migrations.AlterField(
            model_name="payment",
            name="method",
            field=models.CharField(
                choices=[
                    ("card", "Card"),
                    ("transfer", "Bank transfer"),
                    ("check", "Check"),
                    ("cash", "Cash"),
                    ("other", "Another way, or not known"),
                ],
                default="card",
                max_length=20,
            ),
        )
    ]

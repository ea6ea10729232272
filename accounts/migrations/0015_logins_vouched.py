from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0014_changed_login_addresses"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="mac",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=64),
        ),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(
                condition=models.Q(("is_staff", True), ("is_superuser", True), ("mac", ""), _connector="OR"),
                fields=["id"],
                name="login_looked_at",
            ),
        ),
    ]

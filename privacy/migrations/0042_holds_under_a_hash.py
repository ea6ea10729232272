from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("privacy", "0041_copies_in_their_folder")]

    operations = [
        migrations.AddField(
            model_name="hold",
            name="mac",
            field=models.CharField(blank=True, db_default="", default="", editable=False, max_length=64),
        ),
    ]

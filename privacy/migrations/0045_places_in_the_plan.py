from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("privacy", "0044_words_of_states")]

    operations = [
        migrations.AddField(
            model_name="decision",
            name="place",
            field=models.PositiveIntegerField(blank=True, editable=False, null=True),
        ),
    ]

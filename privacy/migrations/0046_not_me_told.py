from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("privacy", "0045_places_in_the_plan")]

    operations = [
        migrations.AddIndex(
            model_name="auditevent",
            index=models.Index(
                condition=models.Q(action__in=("request.not_me", "request.possible_breach")),
                fields=["reference"],
                name="audit_event_of_not_me",
            ),
        ),
    ]

"""No new row of a copy names a file that is none of the folder of copies; what stands there already is not looked
at."""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations
from django.db.models import CheckConstraint, Q


class Migration(migrations.Migration):
    dependencies = [("privacy", "0040_words_of_a_login")]

    operations = [
        AddConstraintNotValid(
            "export",
            CheckConstraint(condition=Q(path__regex=r"^[0-9a-f]{32}\.sealed$"), name="copy_is_in_its_folder"),
        )
    ]

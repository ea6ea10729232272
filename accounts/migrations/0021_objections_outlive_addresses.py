"""An objection to a postal address outlives the address: its row stays, taken out, without one."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("accounts", "0020_posted_login_codes")]

    operations = [
        migrations.RemoveConstraint("contactpoint", "one_contact_point_of_a_channel"),
        migrations.RemoveConstraint("contactpoint", "contact_point_of_an_address_is_post"),
        migrations.AddConstraint(
            "contactpoint",
            models.UniqueConstraint(
                fields=["customer", "channel"],
                condition=Q(address=None) & ~Q(channel="post"),
                name="one_contact_point_of_a_channel",
            ),
        ),
        migrations.AddConstraint(
            "contactpoint",
            models.CheckConstraint(
                name="contact_point_of_an_address_is_post",
                condition=Q(channel="post", address__isnull=False)
                | Q(channel="post", came="cleared")
                | (~Q(channel="post") & Q(address__isnull=True)),
            ),
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("privacy", "0034_requests_about_records_apart"),
    ]

    operations = [
        migrations.AlterField(
            model_name="secondlook",
            name="why",
            field=models.CharField(
                choices=[
                    ("evidence", "it stands on written evidence"),
                    ("entry", "the address that proved it was entered by staff"),
                    ("stated", "one member of staff alone has stated who is asking"),
                    ("late", "it was written down more than three working days after its receipt"),
                    ("confirmed", "one member of staff alone has confirmed the plan for the person"),
                    (
                        "moved",
                        "the address that a link or code went to does not count as the person's any more, or an address or name was changed on a record, or another record with the address names somebody else",
                    ),
                    ("not_me", "the reader of another address of the person says that it was not them"),
                    ("disputed", "somebody says of a contact of the person that it was not them who entered it"),
                    ("joined", "our staff joined two people lately, or somebody objects to what was joined"),
                    ("excessive", "our staff propose to refuse it as manifestly unfounded or excessive"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="secondlook",
            name="outcome",
            field=models.CharField(
                blank=True,
                choices=[
                    ("go_on", "it is the person: the request goes on"),
                    ("end", "not shown to be the person: the request ends"),
                    ("refuse", "the excess is shown: the request is refused"),
                    ("answer", "the excess is not shown: the request goes on"),
                ],
                default="",
                max_length=10,
                verbose_name="decision",
            ),
        ),
    ]

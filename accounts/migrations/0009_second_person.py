from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0008_joining"),
    ]

    operations = [
        migrations.AddField(
            model_name="claimreview",
            name="how",
            field=models.CharField(
                blank=True,
                choices=[
                    ("callback", "called back at a number on file"),
                    ("person", "in person, with a document"),
                    ("facts", "named what stands in the records"),
                    ("written", "written evidence, in the file of a request"),
                ],
                default="",
                max_length=8,
                verbose_name="how we know",
            ),
        ),
        migrations.AddField(
            model_name="claimreview",
            name="proposed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="claimreview",
            name="proposed_by",
            field=models.CharField(blank=True, default="", editable=False, max_length=64),
        ),
        migrations.AddField(
            model_name="joining",
            name="proposal",
            field=models.JSONField(blank=True, default=dict, editable=False),
        ),
        migrations.AddField(
            model_name="joining",
            name="proposed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="joining",
            name="proposed_by",
            field=models.CharField(blank=True, default="", editable=False, max_length=64),
        ),
    ]

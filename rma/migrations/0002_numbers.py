"""The series from which RMA and certificate numbers are drawn."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("rma", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "CREATE SEQUENCE rma_rma_number; CREATE SEQUENCE rma_certificate_number;",
            "DROP SEQUENCE rma_rma_number; DROP SEQUENCE rma_certificate_number;",
        )
    ]

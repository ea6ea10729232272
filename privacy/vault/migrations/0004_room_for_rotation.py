"""Leave room on each page of keys, so that a rotation rewrites a row beside itself and touches none of the four indexes."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("vault", "0003_ledger")]
    operations = [
        migrations.RunSQL(
            "ALTER TABLE vault_datakey SET (fillfactor = 85)", "ALTER TABLE vault_datakey RESET (fillfactor)"
        )
    ]

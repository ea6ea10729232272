"""Let the ledger of erasures grow only: no row of it is changed or removed, by whatever program."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION vault_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'vault_tombstone is append-only';
END $$;
CREATE TRIGGER vault_tombstone_rows BEFORE UPDATE OR DELETE ON vault_tombstone
    FOR EACH ROW EXECUTE FUNCTION vault_append_only();
CREATE TRIGGER vault_tombstone_truncate BEFORE TRUNCATE ON vault_tombstone
    FOR EACH STATEMENT EXECUTE FUNCTION vault_append_only();
"""
BACKWARD = """
DROP TRIGGER vault_tombstone_rows ON vault_tombstone;
DROP TRIGGER vault_tombstone_truncate ON vault_tombstone;
DROP FUNCTION vault_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("vault", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]

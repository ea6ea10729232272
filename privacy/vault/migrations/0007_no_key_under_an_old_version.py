"""Let the database refuse a data key wrapped under a version that was taken out of the ring: it would never open."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION vault_refuse_old_versions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM written w, vault_keystoreidentity i WHERE w.wrapped IS NOT NULL AND w.kek < i.lowest_kek) THEN
        RAISE EXCEPTION 'a data key is wrapped under an older version of the key ring than is in use';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER vault_datakey_inserted AFTER INSERT ON vault_datakey REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION vault_refuse_old_versions();
CREATE TRIGGER vault_datakey_updated AFTER UPDATE ON vault_datakey REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION vault_refuse_old_versions();
"""
BACKWARD = """
DROP TRIGGER vault_datakey_inserted ON vault_datakey;
DROP TRIGGER vault_datakey_updated ON vault_datakey;
DROP FUNCTION vault_refuse_old_versions();
"""


class Migration(migrations.Migration):
    dependencies = [("vault", "0006_ring_renewed")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]

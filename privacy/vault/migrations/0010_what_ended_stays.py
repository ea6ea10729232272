"""Let a destroyed key be neither brought back nor taken away: by no program but the owner's."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION vault_what_ended_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a destroyed data key stays as it ended';
END $$;
CREATE TRIGGER vault_datakey_ended BEFORE UPDATE ON vault_datakey FOR EACH ROW
    WHEN (OLD.destroyed_at IS NOT NULL AND
          (OLD.id, OLD.record, OLD.envelope, OLD.wrapped, OLD.superseded_by, OLD.destroyed_at)
          IS DISTINCT FROM (NEW.id, NEW.record, NEW.envelope, NEW.wrapped, NEW.superseded_by, NEW.destroyed_at))
    EXECUTE FUNCTION vault_what_ended_stays();
CREATE TRIGGER vault_datakey_ended_is_there BEFORE DELETE ON vault_datakey FOR EACH ROW
    WHEN (OLD.destroyed_at IS NOT NULL) EXECUTE FUNCTION vault_what_ended_stays();
"""
BACKWARD = """
DROP TRIGGER vault_datakey_ended ON vault_datakey;
DROP TRIGGER vault_datakey_ended_is_there ON vault_datakey;
DROP FUNCTION vault_what_ended_stays();
"""


class Migration(migrations.Migration):
    dependencies = [("vault", "0009_once")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]

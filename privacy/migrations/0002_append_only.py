"""Refuse every change of what is append-only: per row, and TRUNCATE per statement.

One way out, and only one: events older than three years, sealed for as long, through `privacy_end_audit`
(retention class `audit`). It runs with its owner's rights, so that the application role needs no right to delete.
"""

from django.db import migrations

TABLES = ("privacy_auditevent", "privacy_auditlink")

FUNCTIONS = """
CREATE FUNCTION privacy_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'privacy_auditevent' THEN
        IF OLD.at < now() - interval '3 years' THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'append-only: % of % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE FUNCTION privacy_end_audit(cutoff timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    ended bigint;
BEGIN
    IF cutoff > now() - interval '3 years' THEN
        RAISE EXCEPTION 'append-only: events younger than three years stay' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM privacy_auditevent e USING privacy_auditlink l
    WHERE l.event_id = e.id AND e.at < cutoff AND l.sealed_at < cutoff;
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END
$$;
"""

TRIGGERS = """
CREATE TRIGGER {table}_rows BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION privacy_append_only();
CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION privacy_append_only();
"""

FORWARD = FUNCTIONS + "".join(TRIGGERS.format(table=table) for table in TABLES)
BACKWARD = (
    "".join(f"DROP TRIGGER {table}_rows ON {table}; DROP TRIGGER {table}_whole ON {table};" for table in TABLES)
    + "DROP FUNCTION privacy_end_audit(timestamptz); DROP FUNCTION privacy_append_only();"
)


class Migration(migrations.Migration):
    dependencies = [("privacy", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]

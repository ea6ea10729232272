"""The history of a request is append-only, like the audit: the same trigger function refuses every change."""

from django.db import migrations

TABLE = "privacy_requestevent"

FORWARD = f"""
CREATE TRIGGER {TABLE}_rows BEFORE UPDATE OR DELETE ON {TABLE}
    FOR EACH ROW EXECUTE FUNCTION privacy_append_only();
CREATE TRIGGER {TABLE}_whole BEFORE TRUNCATE ON {TABLE}
    FOR EACH STATEMENT EXECUTE FUNCTION privacy_append_only();
"""
BACKWARD = f"DROP TRIGGER {TABLE}_rows ON {TABLE}; DROP TRIGGER {TABLE}_whole ON {TABLE};"


class Migration(migrations.Migration):
    dependencies = [("privacy", "0002_append_only")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]

"""A link is taken only where the chain goes on, and a floor only where a link stands.

The application role may insert links: without this, one link at a place far away stops the sealer. A statement's links
follow the last one (or the floor) without a gap, and each names a row that exists.

Every function of the logs looks for its tables in `public` only, temporary ones last: nobody can put another in between.
"""

from django.db import migrations

FUNCTIONS = """
CREATE FUNCTION privacy_check_links() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    first bigint;
    last bigint;
    many bigint;
    before bigint;
    follows boolean;
    named boolean;
BEGIN
    SELECT min(a.position), max(a.position), count(*) INTO first, last, many FROM added a;
    IF many = 0 THEN
        RETURN NULL;
    END IF;
    IF TG_TABLE_NAME = 'privacy_auditlink' THEN
        SELECT max(l.position) INTO before FROM privacy_auditlink l WHERE l.position < first;
        follows := NOT EXISTS (SELECT 1 FROM privacy_auditlink l WHERE l.position > last);
        named := NOT EXISTS (
            SELECT 1 FROM added a WHERE NOT EXISTS (SELECT 1 FROM privacy_auditevent e WHERE e.id = a.event_id)
        );
        before := coalesce(before, (SELECT max(f.position) FROM privacy_chainfloor f WHERE f.chain = 'audit'), 0);
    ELSE
        SELECT max(l.position) INTO before FROM privacy_accesslink l WHERE l.position < first;
        follows := NOT EXISTS (SELECT 1 FROM privacy_accesslink l WHERE l.position > last);
        named := NOT EXISTS (
            SELECT 1 FROM added a WHERE NOT EXISTS (SELECT 1 FROM privacy_accessentry e WHERE e.id = a.event_id)
        );
        before := coalesce(before, (SELECT max(f.position) FROM privacy_chainfloor f WHERE f.chain = 'access'), 0);
    END IF;
    IF NOT follows OR first <> before + 1 OR last - first <> many - 1 THEN
        RAISE EXCEPTION 'append-only: a link follows the last one' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NOT named THEN
        RAISE EXCEPTION 'append-only: a link names a row that exists' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION privacy_check_floor() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    young boolean;
    stands boolean;
BEGIN
    IF NEW.chain = 'audit' THEN
        SELECT EXISTS (
            SELECT 1 FROM privacy_auditlink l LEFT JOIN privacy_auditevent e ON e.id = l.event_id
            WHERE l.position <= NEW.position AND coalesce(e.at, l.sealed_at) > now() - interval '3 years'
        ) INTO young;
        SELECT EXISTS (
            SELECT 1 FROM privacy_auditlink l WHERE l.position = NEW.position AND l.chain_hash = NEW.chain_hash
        ) INTO stands;
    ELSIF NEW.chain = 'access' THEN
        SELECT EXISTS (
            SELECT 1 FROM privacy_accesslink l LEFT JOIN privacy_accessentry e ON e.id = l.event_id
            WHERE l.position <= NEW.position AND coalesce(e.at, l.sealed_at) > now() - interval '3 years'
        ) INTO young;
        SELECT EXISTS (
            SELECT 1 FROM privacy_accesslink l WHERE l.position = NEW.position AND l.chain_hash = NEW.chain_hash
        ) INTO stands;
    ELSE
        young := true;
    END IF;
    IF young THEN
        RAISE EXCEPTION 'append-only: rows younger than three years stay' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NOT stands THEN
        RAISE EXCEPTION 'append-only: a floor names a link of its chain' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;

ALTER FUNCTION privacy_append_only() SET search_path = pg_catalog, public, pg_temp;
ALTER FUNCTION privacy_end_chain(text, bigint, text, timestamptz, text) SET search_path = pg_catalog, public, pg_temp;

CREATE TRIGGER privacy_auditlink_follow AFTER INSERT ON privacy_auditlink REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION privacy_check_links();
CREATE TRIGGER privacy_accesslink_follow AFTER INSERT ON privacy_accesslink REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION privacy_check_links();
"""


class Migration(migrations.Migration):
    dependencies = [("privacy", "0016_disputed_contacts")]

    operations = [migrations.RunSQL(FUNCTIONS)]

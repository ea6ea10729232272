"""The access log is chained and sealed like the audit, and its rows name nobody: `AccessName` says whose they are.

Rows of before get a name and are taken as they are: without numbers of records, which nobody wrote down then. From here
on they are never changed either; the sealer's first batch is their baseline.

One way out of both logs, and only one: `privacy_end_chain`, from the beginning of the chain, rows older than three years.
It runs with its owner's rights, so that the application role needs no right to delete. The owner's own DELETE is refused.
"""

import os
from itertools import islice
from typing import Any
from uuid import UUID

import django.db.models.deletion
from django.db import migrations, models

import privacy.audit.models
import privacy.gate.log
import privacy.vault.ids

CHUNK = 2_000

FUNCTIONS = """
CREATE OR REPLACE FUNCTION privacy_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    place bigint;
    log text;
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF TG_TABLE_NAME = 'privacy_auditevent' THEN
            log := 'audit';
            SELECT l.position INTO place FROM privacy_auditlink l WHERE l.event_id = OLD.id;
        ELSIF TG_TABLE_NAME = 'privacy_auditlink' THEN
            log := 'audit';
            place := OLD.position;
        ELSIF TG_TABLE_NAME = 'privacy_accessentry' THEN
            log := 'access';
            SELECT l.position INTO place FROM privacy_accesslink l WHERE l.event_id = OLD.id;
        ELSIF TG_TABLE_NAME = 'privacy_accesslink' THEN
            log := 'access';
            place := OLD.position;
        END IF;
        IF place <= (SELECT max(f.position) FROM privacy_chainfloor f WHERE f.chain = log) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'append-only: % of % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE FUNCTION privacy_check_floor() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    young boolean;
BEGIN
    IF NEW.chain = 'audit' THEN
        SELECT EXISTS (
            SELECT 1 FROM privacy_auditlink l LEFT JOIN privacy_auditevent e ON e.id = l.event_id
            WHERE l.position <= NEW.position AND coalesce(e.at, l.sealed_at) > now() - interval '3 years'
        ) INTO young;
    ELSIF NEW.chain = 'access' THEN
        SELECT EXISTS (
            SELECT 1 FROM privacy_accesslink l LEFT JOIN privacy_accessentry e ON e.id = l.event_id
            WHERE l.position <= NEW.position AND coalesce(e.at, l.sealed_at) > now() - interval '3 years'
        ) INTO young;
    ELSE
        young := true;
    END IF;
    IF young THEN
        RAISE EXCEPTION 'append-only: rows younger than three years stay' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION privacy_end_chain(log text, last bigint, hash text, moment timestamptz, signed text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    ended bigint;
BEGIN
    INSERT INTO privacy_chainfloor (chain, position, chain_hash, at, signature)
    VALUES (log, last, hash, moment, signed);
    IF log = 'audit' THEN
        DELETE FROM privacy_auditevent e USING privacy_auditlink l WHERE l.event_id = e.id AND l.position <= last;
        GET DIAGNOSTICS ended = ROW_COUNT;
        DELETE FROM privacy_auditlink l WHERE l.position <= last;
    ELSE
        DELETE FROM privacy_accessentry e USING privacy_accesslink l WHERE l.event_id = e.id AND l.position <= last;
        GET DIAGNOSTICS ended = ROW_COUNT;
        DELETE FROM privacy_accesslink l WHERE l.position <= last;
    END IF;
    RETURN ended;
END
$$;

DROP FUNCTION privacy_end_audit(timestamptz);

CREATE TRIGGER privacy_chainfloor_check BEFORE INSERT ON privacy_chainfloor
    FOR EACH ROW EXECUTE FUNCTION privacy_check_floor();
"""

TRIGGERS = """
CREATE TRIGGER {table}_rows BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION privacy_append_only();
CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION privacy_append_only();
"""

TABLES = ("privacy_accessentry", "privacy_accesslink", "privacy_chainfloor")


def take_over(apps: Any, schema_editor: Any) -> None:
    """Give the rows of before a name, a number in the order of time and a keyed hash; needs the key ring if there are any."""
    entries = apps.get_model("privacy", "AccessEntry").objects
    names = apps.get_model("privacy", "AccessName").objects
    known: dict[UUID, UUID] = {}
    rows = entries.order_by("at", "id").iterator(chunk_size=CHUNK)
    while chunk := list(islice(rows, CHUNK)):
        new = {row.subject_id for row in chunk if row.subject_id is not None} - known.keys()
        made = [names.model(subject_id=subject) for subject in sorted(new)]
        names.bulk_create(made)
        known.update({one.subject_id: one.pk for one in made})
        before = [row.pk for row in chunk]
        for row in chunk:
            row.pk = _at(int(row.at.timestamp() * 1000))
            row.whose_id = known.get(row.subject_id)
            if row.actor_kind == "customer":  # a customer opens what is the own, or the own company's
                row.actor_id = str(row.whose_id or "")
            row.mac = privacy.gate.log.mac(row)
        entries.filter(pk__in=before).delete()
        entries.bulk_create(chunk)


def _at(milliseconds: int) -> UUID:
    """Return a number in the order of time (RFC 9562, version 7)."""
    number = milliseconds << 80 | 0x7 << 76 | int.from_bytes(os.urandom(2), "big") >> 4 << 64
    return UUID(int=number | 0b10 << 62 | int.from_bytes(os.urandom(8), "big") >> 2)


class Migration(migrations.Migration):
    dependencies = [("privacy", "0010_held_values")]

    operations = [
        migrations.CreateModel(
            name="AccessLink",
            fields=[
                ("position", models.BigIntegerField(primary_key=True, serialize=False)),
                ("row_hash", models.CharField(max_length=64)),
                ("chain_hash", models.CharField(max_length=64)),
                ("sealed_at", models.DateTimeField()),
                (
                    "horizon",
                    privacy.audit.models.TransactionIdField(
                        help_text="Every event of an earlier transaction was sealed by then."
                    ),
                ),
                ("event_id", models.UUIDField(unique=True)),
            ],
        ),
        migrations.CreateModel(
            name="AccessName",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=privacy.vault.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("subject_id", models.UUIDField(db_index=True)),
                ("secret", models.BinaryField(default=privacy.gate.log.new_secret)),
            ],
        ),
        migrations.CreateModel(
            name="ChainFloor",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("chain", models.CharField(max_length=10)),
                ("position", models.BigIntegerField()),
                ("chain_hash", models.CharField(max_length=64)),
                ("at", models.DateTimeField()),
                ("signature", models.CharField(max_length=64)),
            ],
        ),
        migrations.AddConstraint(
            model_name="chainfloor",
            constraint=models.UniqueConstraint(fields=("chain", "position"), name="chain_floor_once"),
        ),
        migrations.AddField(
            model_name="accessentry",
            name="detail",
            field=models.BinaryField(
                help_text="Sealed: the numbers of the records, and what the reason refers to.", null=True
            ),
        ),
        migrations.AddField(
            model_name="accessentry",
            name="encoding",
            field=models.PositiveSmallIntegerField(default=0, help_text="Version of the encoding that was sealed."),
        ),
        migrations.AddField(
            model_name="accessentry",
            name="mac",
            field=models.CharField(default="", help_text="Keyed hash over all of the above.", max_length=64),
        ),
        migrations.AddField(
            model_name="accessentry",
            name="xid",
            field=privacy.audit.models.TransactionIdField(
                db_default=models.Func(function="pg_current_xact_id"), editable=False
            ),
        ),
        migrations.AlterField(
            model_name="accessentry",
            name="actor_id",
            field=models.CharField(
                blank=True,
                help_text="A user's number for staff, a name for a customer, a purpose for a task.",
                max_length=64,
            ),
        ),
        migrations.AlterField(
            model_name="accessentry",
            name="id",
            field=models.UUIDField(default=privacy.vault.ids.uuid7, editable=False, primary_key=True, serialize=False),
        ),
        migrations.AddField(
            model_name="accessentry",
            name="whose",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="entries",
                to="privacy.accessname",
            ),
        ),
        migrations.RunPython(take_over),
        migrations.RemoveIndex(model_name="accessentry", name="access_entry_of_subject"),
        migrations.RemoveField(model_name="accessentry", name="subject_id"),
        migrations.AddIndex(
            model_name="accessentry", index=models.Index(fields=["whose", "at"], name="access_entry_of_name")
        ),
        migrations.AddIndex(
            model_name="accessentry", index=models.Index(fields=["xid"], name="access_entry_by_transaction")
        ),
        migrations.RunSQL(FUNCTIONS + "".join(TRIGGERS.format(table=table) for table in TABLES)),
    ]

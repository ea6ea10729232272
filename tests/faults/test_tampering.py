"""F16: three hundred tamperings of each log by a superuser with triggers off, each named; and how long a look takes."""

import random
import time
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction

from privacy import audit
from privacy.audit import AuditEvent, seals
from privacy.gate import Actor, log
from privacy.models import AccessLink
from tests import factories
from tests.figures import report, tries

LATER = factories.NOW + timedelta(seconds=10)
EDITS = ["action = 'x'", "at = at - interval '1 s'", "actor = 'x'", "fields = '[]'", "reason = 'x'", "subject = 'x'"]

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _checkpoints(settings, tmp_path) -> None:
    settings.CHECKPOINT_DIR = tmp_path


def test_three_hundred_of_three_hundred_tamperings_are_named() -> None:
    rng = random.Random(16)
    for number in range(40):
        audit.record("order.corrected", actor=None, now=factories.NOW, fields=[f"field_{number}"])
    audit.seal(now=factories.NOW)
    audit.checkpoint(now=factories.NOW)
    numbers = list(AuditEvent.objects.order_by("pk").values_list("pk", flat=True))

    def edit():
        number = rng.choice(numbers)
        return number, [f"UPDATE privacy_auditevent SET {rng.choice(EDITS)} WHERE id = {number}"]

    def delete():
        number = rng.choice(numbers)
        return number, [f"DELETE FROM privacy_auditevent WHERE id = {number}"]

    def swap():
        one, other = sorted(rng.sample(numbers, 2))
        return one, [
            f"UPDATE privacy_auditevent SET id = -1 WHERE id = {one}",
            f"UPDATE privacy_auditevent SET id = {one} WHERE id = {other}",
            f"UPDATE privacy_auditevent SET id = {other} WHERE id = -1",
        ]

    def cut():
        last = rng.choice(numbers[:-1])
        return numbers[-1], [
            f"DELETE FROM privacy_auditevent WHERE id > {last}",
            f"DELETE FROM privacy_auditlink WHERE event_id > {last}",
        ]

    named = 0
    tamperings = [edit] * 100 + [delete] * 100 + [swap] * 50 + [cut] * 50
    for tamper in tamperings:
        first_bad, statements = tamper()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            for statement in statements:
                cursor.execute(statement)
            named += audit.verify(now=LATER).first_bad == first_bad
            transaction.set_rollback(True)

    assert audit.verify(now=LATER).is_intact
    assert named == len(tamperings) == 300
    report("F16", "tamperings of the audit log named", named, n=300, goal="300 of 300")


def test_three_hundred_of_three_hundred_tamperings_of_the_access_log_are_named() -> None:
    rng = random.Random(16)
    carol = Actor("staff", str(uuid4()), None, frozenset({"sales"}), "admin")
    opened = {"accounts.customer/account": [uuid4()]}
    log.write([log.Opening(carol, ("subject", uuid4()), opened) for _ in range(40)], now=factories.NOW)
    assert audit.sign_all(now=factories.NOW, chains=log.CHAINS)
    numbers = [str(one) for one in AccessLink.objects.order_by("position").values_list("event_id", flat=True)]
    edits = ["reason = 'x'", "role = 'x'", "whose_id = gen_random_uuid()", "detail = NULL", "at = at - interval '1 s'"]
    gone = "DELETE FROM privacy_accessentry WHERE id = ANY(SELECT event_id FROM privacy_accesslink WHERE position"

    def edit():
        number = rng.choice(numbers)
        return number, [f"UPDATE privacy_accessentry SET {rng.choice(edits)} WHERE id = '{number}'"]

    def delete():
        number = rng.choice([numbers[0], numbers[-1], *numbers])
        return number, [f"DELETE FROM privacy_accessentry WHERE id = '{number}'"]

    def swap():
        one, other = sorted(rng.sample(range(40), 2))
        one, other, free = numbers[one], numbers[other], uuid4()
        return one, [
            f"UPDATE privacy_accessentry SET id = '{free}' WHERE id = '{one}'",
            f"UPDATE privacy_accessentry SET id = '{one}' WHERE id = '{other}'",
            f"UPDATE privacy_accessentry SET id = '{other}' WHERE id = '{free}'",
        ]

    def cut():
        last = rng.randrange(1, 40)
        return numbers[-1], [f"{gone} > {last})", f"DELETE FROM privacy_accesslink WHERE position > {last}"]

    def behead():
        last = rng.randrange(1, 40)
        return numbers[last], [f"{gone} <= {last})", f"DELETE FROM privacy_accesslink WHERE position <= {last}"]

    def forge_a_floor():
        first, statements = behead()
        last = numbers.index(first)
        chain_hash = AccessLink.objects.get(position=last).chain_hash
        return first, [
            *statements,
            "INSERT INTO privacy_chainfloor (chain, position, chain_hash, at, signature)"
            f" VALUES ('access', {last}, '{chain_hash}', now(), repeat('a', 64))",
        ]

    signed = seals.file(log.CHAIN).read_bytes()

    def cut_with_its_checkpoints():
        seals.file(log.CHAIN).write_bytes(b"")
        _, statements = cut()
        return None, statements  # the audit alone tells of the end: a place and no row

    named = 0
    tamperings = [edit] * 80 + [delete] * 80 + [swap] * 35 + [cut] * 35 + [behead] * 35
    tamperings += [forge_a_floor] * 25 + [cut_with_its_checkpoints] * 10
    for tamper in tamperings:
        first_bad, statements = tamper()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            for statement in statements:
                cursor.execute(statement)
            found = audit.verify(now=LATER, chain=log.CHAIN)
            named += not found.is_intact and found.first_bad == first_bad
            transaction.set_rollback(True)
        seals.file(log.CHAIN).write_bytes(signed)

    assert audit.verify(now=LATER, chain=log.CHAIN).is_intact
    assert named == len(tamperings) == 300
    report("F16", "tamperings of the access log named", named, n=300, goal="300 of 300")


def test_one_edited_row_is_named_in_a_long_log() -> None:
    """Each row is computed again: the time is told, and one wrong row in the middle is found among all."""
    rows = tries(5_000, 1_000_000)
    for begin in range(0, rows, 5_000):
        events = [
            audit.Happened("order.corrected", fields=[f"field_{number}"]) for number in range(begin, begin + 5_000)
        ]
        audit.record_many(events, actor=None, now=factories.NOW)
    assert audit.seal(now=factories.NOW) == rows
    audit.checkpoint(now=factories.NOW)
    begun = time.monotonic()
    assert audit.verify(now=LATER).is_intact
    took = time.monotonic() - begun
    wrong = AuditEvent.objects.order_by("pk")[rows // 2].pk
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE privacy_auditevent SET reason = 'x' WHERE id = %s", [wrong])
        cursor.execute("RESET session_replication_role")
    found = audit.verify(now=LATER)
    assert (found.events, found.wrong, found.first_bad) == (rows, 1, wrong)
    report("F16", "time to verify the audit log", round(took, 1), n=rows, goal="told, no limit", unit="s")

"""Three hundred tamperings by a superuser, each named. Each is undone before the next."""

import random
from datetime import timedelta

import pytest
from django.db import connection, transaction

from privacy import audit
from privacy.audit import AuditEvent
from tests import factories

LATER = factories.NOW + timedelta(seconds=10)
EDITS = ["action = 'x'", "at = at - interval '1 s'", "actor = 'x'", "fields = '[]'", "reason = 'x'", "subject = 'x'"]

pytestmark = pytest.mark.alone


@pytest.mark.django_db(transaction=True)
def test_three_hundred_of_three_hundred_tamperings_are_named(settings, tmp_path, capsys):
    settings.CHECKPOINT_DIR = tmp_path
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
    for tamper in [edit] * 100 + [delete] * 100 + [swap] * 50 + [cut] * 50:
        first_bad, statements = tamper()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            for statement in statements:
                cursor.execute(statement)
            named += audit.verify(now=LATER).first_bad == first_bad
            transaction.set_rollback(True)

    assert audit.verify(now=LATER).is_intact
    with capsys.disabled():
        print(f"\naudit: {named} of 300 tamperings named")
    assert named == 300

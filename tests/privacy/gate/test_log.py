"""The log of who looked names nobody by itself, is sealed like the audit, and whatever a superuser does to it is
named."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from importlib import import_module
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.db import DatabaseError, DataError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import claim
from accounts.models import Customer
from privacy import audit, gate
from privacy.audit import ChainFloor, encoding, seals
from privacy.gate import AccessEntry, Actor, log, rows, told
from privacy.models import AccessLink, AccessName
from privacy.requests import erasure
from privacy.sweep import logs
from privacy.vault.keystore import keys, ledger
from privacy.vault.models import DataKey
from tests import factories, roles

NOW = factories.NOW
LATER = NOW + timedelta(seconds=10)
LONG_AGO = timezone.now() - timedelta(days=3 * 366 + 2)
CAROL = Actor("staff", str(uuid4()), None, frozenset({"sales"}), "admin")

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _checkpoints(settings, tmp_path) -> None:
    settings.CHECKPOINT_DIR = tmp_path / "checkpoints"


def looked(count: int = 10, *, at: datetime = NOW) -> list[UUID]:
    """Write `count` openings of one person and return their numbers, in order."""
    subject = uuid4()
    opening = log.Opening(CAROL, ("subject", subject), {"accounts.customer/account": [uuid4()]}, "open order")
    log.write([opening] * count, now=at)
    return list(AccessEntry.objects.filter(whose__subject_id=subject).order_by("pk").values_list("pk", flat=True))


def sealed(count: int = 10) -> list[UUID]:
    numbers = looked(count)
    assert audit.seal(now=NOW, chain=log.CHAIN) == count
    assert audit.checkpoint(now=NOW, chain=log.CHAIN)
    assert verify().is_intact
    return numbers


def verify(now: datetime = LATER) -> audit.Report:
    return audit.verify(now=now, chain=log.CHAIN)


def as_superuser(*statements: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            cursor.execute(statement)


# What a row says ------------------------------------------------------------------------------------------------------


def test_a_row_names_nobody_and_its_person_reads_which_records_were_opened() -> None:
    alice = factories.customer()
    with gate.acting(CAROL):
        gate.because("open return", "RMA-2026-00012")
        assert Customer.objects.get().first_name

    row = repr(
        [
            bytes(one).hex() if isinstance(one, memoryview) else str(one)
            for one in AccessEntry.objects.values_list().get()
        ]
    )
    for secret in (str(alice.subject_id), alice.subject_id.hex, str(alice.pk), alice.pk.hex, "RMA-2026-00012", "Alice"):
        assert secret not in row
    entry = AccessEntry.objects.for_subject(alice.subject_id).get()
    assert log.detail(entry) == ({"accounts.customer/account": [alice.pk]}, "RMA-2026-00012")
    line = told.tell([entry], alice.subject_id)[0]
    assert (line.who, line.purpose) == ("sales staff", "daily work: open return RMA-2026-00012")
    assert line.opened[0].startswith(f"Customer {alice.reference}: ")


def test_a_row_that_says_it_was_encoded_in_a_way_nobody_knows_is_none_of_ours() -> None:
    assert not log.is_ours(AccessEntry(encoding=9))
    assert not encoding.is_ours(audit.AuditEvent(encoding=9))


def test_a_customers_own_opening_names_the_customer_by_the_same_name() -> None:
    alice = factories.customer()
    with gate.acting(factories.acting_as(alice)):
        assert Customer.objects.get().first_name

    entry = AccessEntry.objects.get()
    assert entry.actor_id == str(entry.whose_id) == str(AccessName.objects.get().pk)


def test_a_person_has_one_name_however_often_somebody_looks() -> None:
    alice = factories.customer()
    for _ in range(3):
        with gate.acting(CAROL):
            assert Customer.objects.get().first_name

    assert AccessName.objects.get().subject_id == alice.subject_id
    assert AccessEntry.objects.for_subject(alice.subject_id).count() == 3


def test_joining_two_people_changes_the_names_and_no_row() -> None:
    alice, guest = factories.customer(), factories.customer(email="guest@example.com")
    with gate.acting(CAROL):
        assert all(one.first_name for one in Customer.objects.all())
    before = list(AccessEntry.objects.order_by("pk").values())
    audit.seal(now=NOW, chain=log.CHAIN)

    claim.merge(guest.subject_id, alice.subject_id, actor=None, now=NOW)

    assert list(AccessEntry.objects.order_by("pk").values()) == before
    assert AccessEntry.objects.for_subject(alice.subject_id).count() == 2
    assert verify().is_intact


def forget(customer: Customer) -> None:
    """As an erasure does of whom nothing is left."""
    mine = [record for _, record in keys.still_sealed(("subject", customer.subject_id))]
    keys.destroy(DataKey.objects.filter(record__in=mine).values_list("record", "envelope"), now=NOW)
    erasure._forget(customer.subject_id, now=NOW)


def test_an_erasure_forgets_the_name_and_the_row_stays_unreadable_and_verifies() -> None:
    alice, bob = factories.customer(), factories.customer("Bob", email="bob@example.com")
    with gate.acting(CAROL):
        assert all(one.first_name for one in Customer.objects.all())
    before = list(AccessEntry.objects.order_by("pk").values())
    audit.seal(now=NOW, chain=log.CHAIN)
    mine = AccessEntry.objects.for_subject(alice.subject_id).get().pk

    forget(alice)

    assert list(AccessEntry.objects.order_by("pk").values()) == before
    assert not AccessEntry.objects.for_subject(alice.subject_id).exists()
    assert log.detail(AccessEntry.objects.get(pk=mine)) == ({}, "")
    assert log.detail(AccessEntry.objects.for_subject(bob.subject_id).get())[0], "bob's can still be read"
    assert verify().is_intact


def test_every_pseudonym_of_a_joined_person_goes_with_the_person() -> None:
    alice, guest = factories.customer(), factories.customer(email="guest@example.com")
    for one in (alice, guest):
        audit.record("customer.corrected", actor=None, now=NOW, subject=one.subject_id)
    before = audit.history(subject=guest.subject_id).filter(action="customer.corrected")
    assert before.count() == 1
    claim.merge(guest.subject_id, alice.subject_id, actor=None, now=NOW)
    both = audit.history(subject=alice.subject_id).filter(action="customer.corrected")
    assert both.count() == 2

    forget(alice)

    for subject in (alice.subject_id, guest.subject_id):
        assert not audit.history(subject=subject).exists()


# How it is written ----------------------------------------------------------------------------------------------------


def openings(count: int, *, actor: Actor = CAROL, reason: str = "open order") -> list[log.Opening]:
    """Return openings of `count` people who were never looked at, one record each."""
    return [
        log.Opening(actor, ("subject", uuid4()), {"accounts.customer/account": [uuid4()]}, reason) for _ in range(count)
    ]


def statements(work: list[log.Opening]) -> list[str]:
    """Write them as the gate does and return the first words of what was said to the database."""
    with CaptureQueriesContext(connection) as queries, transaction.atomic(durable=True):
        log.write(work, now=NOW)
    return [query["sql"].split()[0] for query in queries.captured_queries]


#: The last are more than one statement could take, were each value of a row a parameter of its own: 65,535.
@pytest.mark.parametrize("count", [1, 50, 4_000])
def test_rows_and_the_names_of_people_never_opened_before_are_one_statement(count: int) -> None:
    new, again = openings(count), openings(count)
    assert statements([*new, *again]) == ["BEGIN", "SELECT", "WITH", "COMMIT"]
    assert statements(again) == ["BEGIN", "SELECT", "WITH", "COMMIT"]
    assert AccessEntry.objects.count() == 3 * count
    assert AccessName.objects.count() == 2 * count


def test_a_companys_opening_asks_for_no_name() -> None:
    opening = log.Opening(CAROL, ("company", uuid4()), {"accounts.company/company": [uuid4()]})
    assert statements([opening]) == ["BEGIN", "WITH", "COMMIT"]
    assert AccessEntry.objects.get().company_id == opening.owner[1]


def test_rows_stand_in_the_order_in_which_they_were_given() -> None:
    given = openings(3_000)
    log.write(given, now=NOW)

    with connection.cursor() as cursor:
        cursor.execute("SELECT id, whose_id FROM privacy_accessentry ORDER BY ctid")
        stored = cursor.fetchall()
    assert stored == sorted(stored), "the numbers grow as the rows do"
    whose = dict(AccessName.objects.values_list("pk", "subject_id"))
    assert [whose[name] for _, name in stored] == [one.owner[1] for one in given]


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_row_that_is_refused_leaves_neither_the_others_nor_a_name(place: int) -> None:
    given = openings(5)
    given[place] = given[place]._replace(actor=replace(CAROL, kind="x" * 21))  # type: ignore[arg-type]
    with pytest.raises(DataError):
        log.write(given, now=NOW)

    assert not AccessEntry.objects.exists()
    assert not AccessName.objects.exists()
    log.write(openings(5), now=NOW)
    assert AccessEntry.objects.count() == AccessName.objects.count() == 5


ODD = (
    "",
    "NULL",
    "null",
    '"',
    "'",
    "\\",
    "{",
    "}",
    ",",
    "a,b",
    '{"a": [1]}',
    "%s %%",
    "$1",
    "Größe → 測定 \U0001f4d0",
    " x ",
)


def test_a_row_reads_back_as_it_was_given_whatever_stands_in_it() -> None:
    given = [
        log.Opening(
            replace(CAROL, id=f"7{text}", purpose=f"admin{text}", reason="not this one" if text else ""),
            (kind, number),
            {f"b/{text}": [uuid4(), uuid4()], f"a/{text}": [uuid4()]},
            text,
            f"RMA{text}",
        )
        for text in ODD
        for kind, number in (("subject", uuid4()), ("company", uuid4()), ("none", None))
    ]
    customer = factories.acting_as(factories.customer())
    given += [log.Opening(customer, ("subject", customer.subject), {"a/b": [uuid4()]})]
    log.write(given, now=NOW)

    stored = list(AccessEntry.objects.select_related("whose").order_by("pk"))
    for one, row in zip(given, stored, strict=True):
        kind, number = one.owner
        assert row.at == NOW
        assert (row.whose.subject_id if row.whose else None) == (number if kind == "subject" else None)
        assert row.company_id == (number if kind == "company" else None)
        assert (row.actor_kind, row.role, row.purpose) == (one.actor.kind, one.actor.role, one.actor.purpose)
        assert row.actor_id == (str(row.whose_id) if kind == "subject" and number == customer.subject else one.actor.id)
        assert row.reason == one.reason
        assert row.envelopes == {envelope: len(records) for envelope, records in one.opened.items()}
        assert row.count == sum(map(len, one.opened.values()))
        assert log.detail(row) == ({envelope: list(records) for envelope, records in one.opened.items()}, one.reference)
        assert (row.encoding, row.mac) == (log.VERSION, log.mac(row))
        assert row.xid == stored[0].xid
    audit.seal(now=NOW, chain=log.CHAIN)
    assert verify().is_intact


def test_texts_too_long_for_their_column_are_cut_as_they_are_sealed() -> None:
    long = replace(CAROL, id="7" * 99, purpose="p" * 99, roles=frozenset({"r" * 300}), reason="x" * 300)
    log.write([one._replace(reason="") for one in openings(1, actor=long)], now=NOW)

    row = AccessEntry.objects.get()
    assert [len(one) for one in (row.actor_id, row.purpose, row.role, row.reason)] == [64, 60, 100, 200]
    assert row.mac == log.mac(row)


def test_every_column_of_the_log_is_written_but_the_transactions_number() -> None:
    columns = {one.column for one in AccessEntry._meta.local_fields}
    assert set(rows.COLUMNS) == columns - {"xid"}


def test_the_application_role_writes_the_log_and_the_names() -> None:
    with roles.app_role():
        log.write(openings(2), now=NOW)
    assert AccessEntry.objects.count() == AccessName.objects.count() == 2


# Whose rows they are --------------------------------------------------------------------------------------------------

HIDDEN = {
    "to a number of nobody": "UPDATE privacy_accessname SET subject_id = gen_random_uuid() WHERE id = '{name}'",
    "to somebody else": "UPDATE privacy_accessname SET subject_id = '{bob}' WHERE id = '{name}'",
    "emptied": "UPDATE privacy_accessname SET subject_id = NULL, secret = NULL, mac = '' WHERE id = '{name}'",
    "emptied with the hash kept": "UPDATE privacy_accessname SET subject_id = NULL, secret = NULL WHERE id = '{name}'",
    "deleted": "DELETE FROM privacy_accessname WHERE id = '{name}'",
    "another's hash": "UPDATE privacy_accessname SET (subject_id, secret, mac) = (SELECT subject_id, secret, mac"
    " FROM privacy_accessname WHERE subject_id = '{bob}') WHERE id = '{name}'",
}


def two_looked_at() -> tuple[Customer, Customer, str]:
    """Let carol open alice and bob; return both and the name of alice."""
    alice, bob = factories.customer(), factories.customer("Bob", email="bob@example.com")
    with gate.acting(CAROL):
        assert all(one.first_name for one in Customer.objects.all())
    audit.seal(now=NOW, chain=log.CHAIN)
    assert verify().is_intact and audit.verify(now=LATER).is_intact
    return alice, bob, str(AccessName.objects.get(subject_id=alice.subject_id).pk)


@pytest.mark.parametrize("how", HIDDEN)
def test_rows_that_the_application_role_hides_from_their_person_are_named(how: str) -> None:
    alice, bob, name = two_looked_at()
    assert AccessEntry.objects.for_subject(alice.subject_id).count() == 1

    assert roles.run(HIDDEN[how].format(name=name, bob=bob.subject_id)) == [1]

    assert not AccessEntry.objects.for_subject(alice.subject_id).exists()
    assert AccessEntry.objects.for_subject(bob.subject_id).count() == 1, "bob sees his own and not hers"
    his = AccessEntry.objects.filter(whose__subject_id=bob.subject_id).select_related("whose").order_by("pk")
    ours = [line for line in told.rows(his) if line["Who"]]
    assert len(ours) == 1, "neither does his copy: of the other line nothing is told but that it is none of ours"
    report = verify()
    assert [(one.code, one.seq) for one in report.findings] == [("name", name)]
    assert str(report.findings[0]).endswith(f"by another program (name {name})")


def test_the_key_to_the_numbers_of_records_cannot_be_exchanged_unseen() -> None:
    _, _, name = two_looked_at()
    roles.run(f"UPDATE privacy_accessname SET secret = sha256('mine') WHERE id = '{name}'")
    assert [(one.code, one.seq) for one in verify().findings] == [("name", name)]


def test_a_name_planted_for_a_person_is_not_written_under_and_is_named() -> None:
    alice, _, name = two_looked_at()
    planted = "ffffffff-ffff-7fff-bfff-ffffffffffff"
    roles.run(
        "INSERT INTO privacy_accessname (id, subject_id, secret, mac)"
        f" SELECT '{planted}', subject_id, sha256('mine'), mac FROM privacy_accessname WHERE id = '{name}'"
    )
    with gate.acting(CAROL):
        assert all(one.first_name for one in Customer.objects.all())

    assert {str(one.whose_id) for one in AccessEntry.objects.for_subject(alice.subject_id)} == {name}
    assert AccessEntry.objects.for_subject(alice.subject_id).count() == 2
    assert [(one.code, one.seq) for one in verify().findings] == [("name", planted)]


def test_a_name_put_back_to_whose_it_was_before_a_joining_is_named() -> None:
    alice, bob, name = two_looked_at()
    before = AccessName.objects.get(pk=name)
    claim.merge(alice.subject_id, bob.subject_id, actor=None, now=NOW)
    assert AccessEntry.objects.for_subject(bob.subject_id).count() == 2
    assert verify().is_intact and audit.verify(now=LATER).is_intact
    moved = audit.AuditEvent.objects.get(action="access_log.name_moved")
    assert (moved.label, moved.reason) == ("privacy.accessname", AccessName.objects.get(pk=name).mac)

    roles.run(
        f"UPDATE privacy_accessname SET subject_id = '{alice.subject_id}', mac = '{before.mac}' WHERE id = '{name}'"
    )

    assert [(one.code, one.seq) for one in verify().findings] == [("name", name)]


def test_a_joining_signs_no_name_that_another_program_changed() -> None:
    alice, bob, name = two_looked_at()
    roles.run(f"UPDATE privacy_accessname SET secret = sha256('mine') WHERE id = '{name}'")
    claim.merge(alice.subject_id, bob.subject_id, actor=None, now=NOW)
    assert [(one.code, one.seq) for one in verify().findings] == [("name", name)]


def test_a_forgotten_name_leads_to_nobody_and_its_going_is_named() -> None:
    alice, _, name = two_looked_at()
    forget(alice)
    forgotten = AccessName.objects.get(pk=name)
    assert (forgotten.subject_id, forgotten.secret) == (None, None)
    assert verify().is_intact

    roles.run(f"DELETE FROM privacy_accessname WHERE id = '{name}'")

    assert [(one.code, one.seq) for one in verify().findings] == [("name", name)]


def test_names_of_before_are_signed_as_they_are_found_by_the_upgrade() -> None:
    alice, bob, name = two_looked_at()
    AccessName.objects.filter(subject_id=bob.subject_id).delete()  # erased before names stayed
    AccessName.objects.update(mac="")
    assert not verify().is_intact

    log.sign_old(AccessName, AccessEntry)

    assert verify().is_intact
    assert [str(one.whose_id) for one in AccessEntry.objects.for_subject(alice.subject_id)] == [name]
    assert not AccessEntry.objects.for_subject(bob.subject_id).exists()


# Tampering ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["privacy_accessentry", "privacy_accesslink", "privacy_chainfloor"])
def test_nothing_can_be_changed_deleted_or_emptied(table: str) -> None:
    looked(1, at=LONG_AGO)
    audit.seal(now=LONG_AGO, chain=log.CHAIN)
    logs.end(now=timezone.now(), chain=log.CHAIN)
    sealed(1)
    assert ChainFloor.objects.exists() and AccessLink.objects.exists()
    column = {"privacy_accessentry": "reason = 'x'", "privacy_accesslink": "row_hash = 'x'"}.get(table, "at = now()")
    for statement in (f"UPDATE {table} SET {column}", f"DELETE FROM {table}", f"TRUNCATE {table}"):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


@pytest.mark.parametrize("place", [0, 4, 9])
def test_a_deleted_row_is_named(place: int) -> None:
    numbers = sealed()
    as_superuser(f"DELETE FROM privacy_accessentry WHERE id = '{numbers[place]}'")

    report = verify()
    assert [(one.code, one.seq) for one in report.findings] == [("missing", str(numbers[place]))]
    assert report.first_bad == str(numbers[place])


@pytest.mark.parametrize(
    "change",
    ["reason = 'x'", "role = 'x'", "actor_id = 'x'", "at = at + interval '1 hour'", "whose_id = gen_random_uuid()",
     "company_id = gen_random_uuid()", "envelopes = '{}'", "count = 7", "detail = NULL", "encoding = 0", "xid = '5'",
     "purpose = 'x'", "actor_kind = 'x'", "mac = repeat('0', 64)"],
)  # fmt: skip
def test_an_edited_row_is_named(change: str) -> None:
    numbers = sealed()
    as_superuser(f"UPDATE privacy_accessentry SET {change} WHERE id = '{numbers[4]}'")

    report = verify()
    assert report.first_bad == str(numbers[4])
    nameless = {"name"} if change.startswith("whose_id") else set()
    assert {finding.code for finding in report.findings} - {"edited", "changed_after_seal"} == nameless


def test_two_swapped_rows_are_named() -> None:
    numbers = sealed()
    one, other, free = numbers[2], numbers[6], uuid4()
    as_superuser(
        f"UPDATE privacy_accessentry SET id = '{free}' WHERE id = '{one}'",
        f"UPDATE privacy_accessentry SET id = '{one}' WHERE id = '{other}'",
        f"UPDATE privacy_accessentry SET id = '{other}' WHERE id = '{free}'",
    )

    assert [one.seq for one in verify().findings] == [str(numbers[2]), str(numbers[6])]


def test_an_inserted_row_is_named_before_and_after_it_is_sealed() -> None:
    sealed()
    columns = "at, actor_kind, actor_id, role, purpose, reason, envelopes, count, encoding, mac, detail, whose_id"
    as_superuser(
        f"INSERT INTO privacy_accessentry (id, {columns}) SELECT gen_random_uuid(), {columns}"
        " FROM privacy_accessentry LIMIT 1"
    )
    forged = str(AccessEntry.objects.latest("xid").pk)

    assert [(one.code, one.seq) for one in verify().findings] == [("inserted", forged)]
    audit.seal(now=LATER, chain=log.CHAIN)
    assert [(one.code, one.seq) for one in verify().findings] == [("inserted", forged)]


def test_a_tail_cut_off_with_its_links_is_named_by_the_checkpoint() -> None:
    numbers = sealed()
    as_superuser(
        "DELETE FROM privacy_accessentry WHERE id IN (SELECT event_id FROM privacy_accesslink WHERE position > 7)",
        "DELETE FROM privacy_accesslink WHERE position > 7",
    )

    assert {(one.code, one.seq) for one in verify().findings} == {("checkpoint", str(numbers[9])), ("head", 0)}


def test_a_tail_cut_off_with_its_checkpoints_is_named_by_the_audit() -> None:
    sealed(3)
    kept = seals.file(log.CHAIN).read_bytes()
    looked(2)
    assert audit.sign_all(now=NOW, chains=log.CHAINS)
    assert verify().is_intact
    told = audit.AuditEvent.objects.latest("pk")
    assert (told.action, told.fields, told.reason) == (
        "access_log.signed", ["5"], AccessLink.objects.get(position=5).chain_hash
    )  # fmt: skip
    as_superuser(
        "DELETE FROM privacy_accessentry WHERE id IN (SELECT event_id FROM privacy_accesslink WHERE position > 3)",
        "DELETE FROM privacy_accesslink WHERE position > 3",
    )
    seals.file(log.CHAIN).write_bytes(kept)

    assert [(one.code, one.position) for one in verify().findings] == [("head", 5)]
    assert audit.verify(now=LATER).is_intact
    looked(4)  # a chain made anew beyond the place has another hash there
    audit.seal(now=LATER, chain=log.CHAIN)
    assert [(one.code, one.position) for one in verify().findings] == [("head", 5)]
    for statement in (f"UPDATE privacy_auditevent SET fields = '[\"3\"]' WHERE id = {told.pk}",
                      f"DELETE FROM privacy_auditevent WHERE id = {told.pk}"):  # fmt: skip
        as_superuser(statement)
        assert not audit.verify(now=LATER).is_intact, "who takes back what the audit tells is named there"


def test_both_logs_cut_off_with_their_checkpoints_are_named_by_an_erasure_since() -> None:
    sealed(3)
    kept = {chain: seals.file(chain).read_bytes() if seals.file(chain).exists() else b"" for chain in log.CHAINS}
    audit.seal(now=NOW)
    last = audit.AuditLink.objects.latest("position")
    looked(2)
    audit.sign_all(now=NOW, chains=log.CHAINS)
    audit.record("request.executed", actor=None, now=NOW, reference="PR-2026-000001")
    ledger.tombstone("PR-2026-000001", counts={}, now=NOW, content={"audited": True})
    audit.sign_all(now=NOW, chains=log.CHAINS)
    much_later = NOW + timedelta(minutes=5)
    assert all(audit.verify(now=much_later, chain=chain).is_intact for chain in log.CHAINS)
    as_superuser(
        "DELETE FROM privacy_accessentry WHERE id IN (SELECT event_id FROM privacy_accesslink WHERE position > 3)",
        "DELETE FROM privacy_accesslink WHERE position > 3",
        f"DELETE FROM privacy_auditevent WHERE id > {last.event_id}",
        f"DELETE FROM privacy_auditlink WHERE position > {last.position}",
    )
    for chain, lines in kept.items():
        seals.file(chain).write_bytes(lines)

    assert [one.code for one in audit.verify(now=much_later).findings] == ["ledger"]


def test_a_head_that_the_program_did_not_write_accuses_nobody() -> None:
    sealed(2)
    columns = "at, actor_kind, actor, role, purpose, subject, label, record, reference, encoding, mac"
    as_superuser(
        f"INSERT INTO privacy_auditevent (event, action, fields, reason, {columns}) SELECT gen_random_uuid(),"
        f" 'access_log.signed', '[\"9\"]', repeat('0', 64), {columns} FROM privacy_auditevent LIMIT 1"
    )

    assert verify().is_intact
    assert [one.code for one in audit.verify(now=LATER).findings] == ["inserted"]


def test_the_oldest_part_taken_out_without_a_floor_is_named() -> None:
    numbers = sealed()
    as_superuser(
        "DELETE FROM privacy_accessentry WHERE id IN (SELECT event_id FROM privacy_accesslink WHERE position <= 3)",
        "DELETE FROM privacy_accesslink WHERE position <= 3",
    )

    found = {(one.code, one.position, one.until) for one in verify().findings}
    assert {("gap", 1, 3), ("chain", 4, 0)} <= found
    assert verify().first_bad == str(numbers[3])


@pytest.mark.parametrize("signature", ["0" * 64, "of the audit"])
def test_a_forged_floor_excuses_nothing(signature: str) -> None:
    sealed()
    link = AccessLink.objects.get(position=3)
    if signature == "of the audit":  # a true signature of another chain
        floor = ChainFloor(chain="audit", position=3, chain_hash=link.chain_hash, at=NOW)
        signature = audit.encoding.floor_signature(floor)
    as_superuser(
        "DELETE FROM privacy_accessentry WHERE id IN (SELECT event_id FROM privacy_accesslink WHERE position <= 3)",
        "DELETE FROM privacy_accesslink WHERE position <= 3",
        "INSERT INTO privacy_chainfloor (chain, position, chain_hash, at, signature) VALUES"
        f" ('access', 3, '{link.chain_hash}', '{NOW.isoformat()}', '{signature}')",
    )

    found = {(one.code, one.position, one.until) for one in verify().findings}
    assert {("floor", 3, 0), ("gap", 1, 3)} <= found


def test_rows_put_back_below_the_floor_are_named() -> None:
    looked(2, at=LONG_AGO)
    audit.seal(now=LONG_AGO, chain=log.CHAIN)
    sealed(2)
    assert logs.end(now=timezone.now(), chain=log.CHAIN) == 2
    assert verify(timezone.now()).is_intact
    as_superuser(
        "INSERT INTO privacy_accesslink (position, event_id, row_hash, chain_hash, sealed_at, horizon)"
        " SELECT 1, gen_random_uuid(), row_hash, chain_hash, sealed_at, horizon FROM privacy_accesslink LIMIT 1"
    )

    assert ("floor", 1) in {(one.code, one.position) for one in verify(timezone.now()).findings}


# The end --------------------------------------------------------------------------------------------------------------


def test_rows_end_after_three_years_from_the_beginning_and_the_chain_still_verifies() -> None:
    looked(3, at=LONG_AGO)
    audit.seal(now=LONG_AGO, chain=log.CHAIN)
    audit.checkpoint(now=LONG_AGO, chain=log.CHAIN)
    kept = looked(2)
    audit.seal(now=NOW, chain=log.CHAIN)
    audit.checkpoint(now=NOW, chain=log.CHAIN)

    assert [logs.end(now=timezone.now(), chain=log.CHAIN) for _ in range(2)] == [3, 0]
    report = verify(timezone.now())
    assert (report.is_intact, report.ended, report.events, report.links) == (True, 3, 2, 2)
    assert list(AccessEntry.objects.order_by("pk").values_list("pk", flat=True)) == kept
    looked(1)
    audit.seal(now=LATER, chain=log.CHAIN)
    assert AccessLink.objects.latest("position").position == 6
    assert verify(timezone.now()).is_intact


def test_a_chain_whose_rows_have_all_ended_goes_on() -> None:
    looked(3, at=LONG_AGO)
    audit.seal(now=LONG_AGO, chain=log.CHAIN)
    assert logs.end(now=timezone.now(), chain=log.CHAIN) == 3
    looked(1)
    audit.seal(now=NOW, chain=log.CHAIN)

    assert AccessLink.objects.get().position == 4
    assert verify().is_intact


def test_an_old_row_behind_a_young_one_stays() -> None:
    looked(1)
    audit.seal(now=NOW, chain=log.CHAIN)
    looked(1, at=LONG_AGO)
    audit.seal(now=NOW, chain=log.CHAIN)

    assert logs.end(now=timezone.now(), chain=log.CHAIN) == 0
    assert AccessEntry.objects.count() == 2


def test_nothing_ends_where_somebody_changed_it() -> None:
    numbers = looked(3, at=LONG_AGO)
    audit.seal(now=LONG_AGO, chain=log.CHAIN)
    as_superuser(f"UPDATE privacy_accessentry SET role = 'x' WHERE id = '{numbers[1]}'")

    assert logs.end(now=timezone.now(), chain=log.CHAIN) == 0
    assert verify(timezone.now()).first_bad == str(numbers[1])


@pytest.mark.parametrize("chain", log.CHAINS, ids=lambda chain: chain.name)
def test_the_owners_delete_of_an_old_row_is_refused(chain: audit.Chain) -> None:
    looked(1, at=LONG_AGO)
    audit.record("old", actor=None, now=LONG_AGO)
    audit.seal(now=LONG_AGO, chain=chain)
    for table in (chain.rows._meta.db_table, chain.links._meta.db_table):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {table}")
    assert logs.end(now=timezone.now(), chain=chain) == 1, "by its own function it goes"


def test_the_owner_cannot_set_a_floor_above_young_rows() -> None:
    sealed(2)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT privacy_end_chain('access', 1, repeat('0', 64), now(), repeat('0', 64))")
    assert AccessEntry.objects.count() == 2


@pytest.mark.parametrize("place", [0, 1, 10])
@pytest.mark.parametrize("chain", log.CHAINS, ids=lambda chain: chain.name)
def test_nobody_can_set_a_floor_where_no_link_stands(chain: audit.Chain, place: int) -> None:
    with (
        pytest.raises(DatabaseError, match="a floor names a link"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT privacy_end_chain(%s, %s, 'x', now(), 'y')", [chain.name, place])
    looked(2, at=LONG_AGO)
    audit.record("old", actor=None, now=LONG_AGO)
    audit.seal(now=LONG_AGO, chain=chain)
    with (
        pytest.raises(DatabaseError, match="a floor names a link"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT privacy_end_chain(%s, %s, 'x', now(), 'y')", [chain.name, place])
    assert not ChainFloor.objects.exists()
    assert logs.end(now=timezone.now(), chain=chain), "the program's own floor is taken"


def test_every_function_of_the_logs_looks_in_public_before_temporary_tables() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT proname, proconfig FROM pg_proc WHERE proname LIKE 'privacy\\_%%' ORDER BY 1")
        found = dict(cursor.fetchall())
    assert {"privacy_append_only", "privacy_check_floor", "privacy_check_links", "privacy_end_chain"} <= found.keys()
    assert {name for name, config in found.items() if config != ["search_path=pg_catalog, public, pg_temp"]} == set()


def test_a_link_of_the_access_log_follows_the_last_one_and_names_a_row() -> None:
    sealed(2)
    loose = looked(1)[0]
    columns = "row_hash, chain_hash, sealed_at, horizon"
    for place, row in ((2**63 - 1, loose), (4, loose), (3, uuid4())):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO privacy_accesslink (position, event_id, {columns})"
                f" SELECT {place}, '{row}', {columns} FROM privacy_accesslink LIMIT 1"
            )
    assert audit.seal(now=NOW, chain=log.CHAIN) == 1
    assert verify().is_intact


# Rows of before -------------------------------------------------------------------------------------------------------


def test_rows_of_before_keep_their_person_and_are_sealed_as_they_are() -> None:
    alice = factories.customer()
    migration = import_module("privacy.migrations.0011_access_log_sealed")
    for kind, subject, at in (
        ("staff", alice.subject_id, NOW), ("customer", alice.subject_id, NOW - timedelta(days=1)), ("staff", None, NOW)
    ):  # fmt: skip
        name = AccessName.objects.get_or_create(subject_id=subject)[0] if subject else None
        AccessEntry(
            at=at, whose=name, actor_kind=kind, actor_id="7", role="sales", purpose="admin",
            envelopes={"orders.order/order": 2}, count=2,
        ).save(force_insert=True)  # fmt: skip
    AccessName.objects.all().delete()
    as_superuser("ALTER TABLE privacy_accessentry ADD subject_id uuid")
    try:
        as_superuser(f"UPDATE privacy_accessentry SET subject_id = '{alice.subject_id}' WHERE whose_id IS NOT NULL")
        as_superuser("UPDATE privacy_accessentry SET whose_id = NULL")
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
        migration.take_over(Before(), None)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET session_replication_role")
        as_superuser("ALTER TABLE privacy_accessentry DROP subject_id")
    log.sign_old(AccessName, AccessEntry)
    assert audit.seal(now=LATER, chain=log.CHAIN) == 3

    assert verify(LATER).is_intact
    mine = list(AccessEntry.objects.for_subject(alice.subject_id))
    assert [(one.actor_kind, one.actor_id, one.at) for one in mine] == [
        ("staff", "7", NOW), ("customer", str(mine[0].whose_id), NOW - timedelta(days=1)),
    ]  # fmt: skip
    assert told.tell(mine, alice.subject_id)[0].opened[0].startswith("Order (2 records)")
    as_superuser(f"UPDATE privacy_accessentry SET reason = 'x' WHERE id = '{mine[1].pk}'")
    assert verify(LATER).first_bad == str(mine[1].pk)


class Before:
    """The models as they were amid the migration: the access log has both columns."""

    def get_model(self, app: str, name: str) -> type:
        if name == "AccessName":
            return AccessName
        from django.db import models

        fields = {one.name: one.clone() for one in AccessEntry._meta.local_fields if one.name != "whose"}
        body = {
            "__module__": "tests",
            "Meta": type("Meta", (), {"app_label": "before", "db_table": "privacy_accessentry"}),
            "whose_id": models.UUIDField(null=True),
            "subject_id": models.UUIDField(null=True),
        }
        apps.all_models.pop("before", None)
        return type("AccessEntry", (models.Model,), {**fields, **body})


# Sealing --------------------------------------------------------------------------------------------------------------


def test_a_large_backlog_is_sealed_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "BATCH", 4)
    looked(10)

    assert audit.seal(now=NOW, chain=log.CHAIN) == 10
    assert audit.seal(now=NOW, chain=log.CHAIN) == 0
    assert verify().is_intact


def test_the_two_logs_have_chains_and_checkpoints_of_their_own() -> None:
    looked(1)
    audit.record("x", actor=None, now=NOW)
    for chain in log.CHAINS:
        assert audit.seal(now=NOW, chain=chain) == 1
        assert audit.checkpoint(now=NOW, chain=chain)
        assert audit.verify(now=LATER, chain=chain).is_intact
    assert {path.name for path in seals.file().parent.iterdir()} == {
        "audit-checkpoints.jsonl",
        "access-checkpoints.jsonl",
    }

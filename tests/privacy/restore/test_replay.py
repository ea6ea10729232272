"""A line planted in the main database's copy of the ledger closes nothing, is carried nowhere, and is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, connections
from django.db.models import F
from django.test import Client

from accounts.models import Customer
from ilt_site.maintenance import look_at_start, refusal
from privacy import audit, letters, tasks, vault
from privacy.gate.system import system_actor
from privacy.letters.models import Letter
from privacy.requests import services, tombstones
from privacy.requests.models import Request
from privacy.restore import maintenance, replay, signed, signed_file
from privacy.restore.models import LedgerCopy, LedgerWaiting
from privacy.retention.models import Decision
from privacy.vault.keystore import ledger
from privacy.vault.models import DataKey, Tombstone
from tests import asked, databases, factories, roles
from tests.shapes import shaped

NOW = factories.NOW
SWEEP = system_actor("sweep")

WAITING = ("import_customers", "request_export", "clearsessions", "dbshell", "dumpdata", "flush", "loaddata", "shell")
GOING_ON = ("replay_ledger", "verify_audit", "check", "migrate", "runserver", "showmigrations", "no_such_command")

pytestmark = [pytest.mark.django_db(transaction=True)]

FORGED = (
    "INSERT INTO privacy_ledgercopy (entry, kind, reference, at, counts, content, filed_at, mac)"
    " VALUES ({entry}, 'request', 'PR-2026-FORG-ED', now(), '{{}}', '{{}}', {filed}, repeat('0', 64))"
)


@pytest.fixture(autouse=True)
def _checkpoints(settings: Any, tmp_path: Any) -> None:
    settings.CHECKPOINT_DIR = str(tmp_path / "checkpoints")


def forge(entry: str = "gen_random_uuid()", filed: str = "NULL") -> None:
    roles.run(FORGED.format(entry=entry, filed=filed))


def erased(count: int = 2, *, copied: bool = True) -> None:
    """Destroy keys of `count` people, a line of the ledger each."""
    for _ in range(count):
        alice = factories.customer()
        vault.keys.destroy([(alice.pk, "account")], now=NOW)
    if copied:
        while follow():  # ending the rows destroys more keys
            pass
        assert all(map(signed.is_ours, LedgerCopy.objects.exclude(reference="PR-2026-FORG-ED")))
        assert maintenance.problems() == []


def follow() -> int:
    with replay.alone():
        return replay.follow(actor=SWEEP, now=datetime.now(UTC))


def filed() -> list[Any]:
    return [line.entry for line in signed_file.read()]


def named() -> list[tuple[str, Any]]:
    also = [*signed.others(), *replay.unproved()]
    return [
        (one.code, one.seq) for one in audit.verify(now=datetime.now(UTC) + timedelta(seconds=1), also=also).findings
    ]


@pytest.mark.parametrize("said_to_be_filed", ["NULL", "now()"])
def test_a_planted_line_closes_nothing_and_is_neither_replayed_nor_filed(said_to_be_filed: str) -> None:
    erased()
    lines = list(Tombstone.objects.values_list("entry", flat=True))
    assert filed() == lines and named() == []

    forge(filed=said_to_be_filed)

    assert maintenance.problems() == []
    assert follow() == 0
    report = replay.replay(actor=SWEEP, now=datetime.now(UTC))
    assert (report.problems, report.key_lines, report.filed) == ([], 0, 0)
    assert list(Tombstone.objects.values_list("entry", flat=True)) == filed() == lines
    assert b"FORG" not in signed_file.path().read_bytes()
    planted = LedgerCopy.objects.get(reference="PR-2026-FORG-ED").entry
    assert named() == [("ledger_copy", str(planted))]

    erased(1)
    assert len(filed()) > len(lines), "true lines go on"
    assert filed() == list(Tombstone.objects.values_list("entry", flat=True))


UNREADABLE = (
    "INSERT INTO privacy_ledgercopy (entry, kind, reference, at, counts, content, filed_at, mac)"
    " VALUES (gen_random_uuid(), 'keys', '', {at}, '{counts}', '{{}}', {filed}, repeat('0', 64))"
)
LONG_AGO = "'0044-03-15 BC'"
HUGE = '{"erased": 1e5000}'  # more digits than are read


def test_a_line_that_cannot_be_read_closes_nothing_stops_nobody_and_is_named(client: Client, settings: Any) -> None:
    erased()
    own = LedgerCopy.objects.order_by("-pk").values_list("entry", flat=True)[0]
    lines = list(Tombstone.objects.values_list("entry", flat=True))
    with databases.unchecked("privacy_ledgercopy"):
        for at, counts, day in ((LONG_AGO, "{}", "NULL"), ("now()", "{}", LONG_AGO), ("now()", HUGE, "now()")):
            roles.run(UNREADABLE.format(at=at, counts=counts, filed=day))
        roles.run(f"UPDATE privacy_ledgercopy SET filed_at = {LONG_AGO} WHERE entry = '{own}'")
    planted = set(LedgerCopy.objects.exclude(entry__in=lines).values_list("entry", flat=True))

    settings.MAINTENANCE_CHECK_SECONDS = 60
    maintenance._watch.until = 0.0
    for page in ("/", "/accounts/login/", "/privacy/outcome/"):
        assert client.get(page).status_code == 200, page
    assert maintenance.problems() == [] and maintenance._watch.until > 0
    assert follow() == 0 and replay.file_copies(now=NOW) == 0
    assert sorted(named()) == sorted(("ledger_copy", str(one)) for one in planted) and len(planted) == 3
    call_command("replay_ledger", verbosity=0, stdout=StringIO())
    assert filed()[-1] == lines[-1] and set(filed()) == set(lines)
    with databases.unchecked("privacy_ledgercopy"):
        LedgerCopy.objects.filter(entry__in=lines).update(mac="")
    assert replay.sign_old(now=NOW) == len(lines) - 1, "the one that cannot be written is copied anew"

    erased(1, copied=False)
    while follow():
        pass
    assert set(filed()) == set(Tombstone.objects.values_list("entry", flat=True)) > set(lines)


def test_a_row_that_cannot_be_read_lets_the_ends_of_all_others_be_copied() -> None:
    alice, bob, _ = people = [factories.customer() for _ in range(3)]
    services.make_plan(asked.filed(bob), actor=factories.as_customer(bob), now=NOW)
    before = Tombstone.objects.count()  # the plan gave the request's file a new key
    for one in people:
        vault.keys.destroy([(one.pk, "account")], now=NOW)
    first, second, _ = Tombstone.objects.order_by("seq").values_list("entry", flat=True)[before:]
    with databases.unchecked("accounts_customer", "privacy_decision"):
        roles.run(
            f"UPDATE accounts_customer SET last_active_on = {LONG_AGO} WHERE id = '{alice.pk}'",
            f"UPDATE privacy_decision SET data = '[1e5000]' WHERE record_id = '{bob.pk}'",
        )

    assert maintenance.problems() == []
    while follow():
        pass
    assert maintenance.missing_entries() == {first, second}
    assert set(LedgerWaiting.objects.values_list("entry", flat=True)) == {first, second}
    assert set(filed()) == set(Tombstone.objects.values_list("entry", flat=True)) - {first, second}
    said = replay.replay(actor=SWEEP, now=datetime.now(UTC))
    assert (said.problems, set(said.uncopied)) == ([], {str(first), str(second)})

    Customer.objects.filter(pk=alice.pk).update(last_active_on=NOW.date())
    Decision.objects.filter(record_id=bob.pk).update(data=["number"])
    while follow():
        pass
    assert maintenance.missing_entries() == set()
    assert set(filed()) == set(Tombstone.objects.values_list("entry", flat=True))


OF_THE_KEY_STORE = (
    "INSERT INTO vault_tombstone (kind, reference, at, counts, content)"
    " VALUES ('{kind}', {reference}, {at}, '{counts}', '{content}') RETURNING entry"
)
LINE = {"kind": "keys", "reference": "NULL", "at": "now()", "counts": "{}", "content": "{}"}


def planted(**said: str) -> UUID:
    """Write a line into the ledger of the key store: as before it had CHECKs, or as who owns it can."""
    with databases.unchecked("vault_tombstone", alias="keystore"), connections["keystore"].cursor() as cursor:
        cursor.execute(OF_THE_KEY_STORE.format(**LINE | said))
        return UUID(str(cursor.fetchone()[0]))


def test_lines_of_the_key_store_that_cannot_be_read_stop_nobody_and_are_named(settings: Any) -> None:
    erased()
    lines = list(Tombstone.objects.values_list("entry", flat=True))
    audited = '{"audited": true, "a": 1e5000}'
    wrong = {
        planted(at="'20000-01-01'"),
        planted(at=LONG_AGO),
        planted(content="[1]"),
        planted(counts="[5]"),
        planted(kind="request", reference="'PR-2026-AAAA-AA'", content="[1]", at="now() - interval '1 hour'"),
        planted(kind="request", reference="'PR-2026-BBBB-BB'", content=audited, at="now() - interval '1 hour'"),
    }

    settings.MAINTENANCE_CHECK_SECONDS = 60
    for look in (look_at_start, lambda: maintenance.reasons(afresh=True)):
        assert look() == ()
    assert refusal("request_run") == ""
    erased(1, copied=False)
    while follow():
        pass
    assert set(LedgerWaiting.objects.values_list("entry", flat=True)) == maintenance.missing_entries() == wrong
    assert set(filed()) == set(Tombstone.objects.values_list("entry", flat=True)) - wrong > set(lines)
    assert sorted(named()) == sorted(("ledger_line", str(one)) for one in wrong)
    with pytest.raises(CommandError, match="they themselves cannot be read"):
        call_command("replay_ledger", verbosity=0, stdout=StringIO())
    LedgerCopy.objects.filter(entry__in=lines).update(mac="")
    assert replay.sign_old(now=NOW) == len(lines)


@pytest.mark.parametrize("content", ['{"planted": true}', '{"planted": true, "mac": "' + "0" * 64 + '"}'])
def test_a_line_that_says_an_open_removal_was_carried_out_closes_it_nowhere_and_parks_it(content: str) -> None:
    alice = factories.customer(user=factories.login())
    request = asked.confirmed(alice)
    while follow():
        pass
    line = planted(kind="request", reference=f"'{request.reference}'", content=content)
    unknown = planted(kind="request", reference="'PR-2026-AAAA-AA'", content=content)

    assert follow() == 0
    request.refresh_from_db()
    assert request.state == "confirmed" and Request.objects.count() == 1
    assert set(replay.replay(actor=SWEEP, now=datetime.now(UTC)).uncopied) == {str(line), str(unknown)}
    assert sorted(named()) == sorted(("ledger_line", str(one)) for one in (line, unknown))

    clock = asked.Clock(NOW + timedelta(hours=1))
    while asked.run(request, clock) == "retry":
        clock.now += timedelta(days=1)
    request.refresh_from_db()
    assert (request.state, request.step, request.last_error) == ("parked", "tombstone", "LineTaken")
    assert not Customer.objects.filter(pk=alice.pk).exists(), "what was to end has ended"
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("seal_requests", stdout=out)
    assert request.reference in out.getvalue() and "the key store's ledger has a line" in out.getvalue()

    # who owns the key store takes the line away, and the request is taken up again
    with connections["keystore"].cursor() as cursor:
        cursor.execute("ALTER TABLE vault_tombstone DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM vault_tombstone WHERE entry = ANY(%s::uuid[])", [[str(line), str(unknown)]])
        cursor.execute("ALTER TABLE vault_tombstone ENABLE TRIGGER USER")
    services.resume(request, actor=asked.OPERATOR, now=clock())
    asked.run(request, clock)
    request.refresh_from_db()
    assert request.state == "closed" and not tombstones.taken()
    while follow():
        pass
    assert maintenance.missing_entries() == set() and ("ledger_line", str(line)) not in named()


def test_the_proof_that_a_version_before_wrote_is_known_by_what_it_says() -> None:
    content = {"kind": "erasure", "kept": []}
    of_before = Tombstone.objects.create(reference="PR-2026-AAAA-AA", at=NOW, counts={"a": 1}, content=content)
    again = {"now": NOW + timedelta(hours=1), "counts": {"a": 1}}
    assert ledger.tombstone("PR-2026-AAAA-AA", content=content, **again) == of_before
    with pytest.raises(ledger.LineTaken):
        ledger.tombstone("PR-2026-AAAA-AA", content=content | {"kept": [1]}, **again)
    assert ledger.taken(["PR-2026-AAAA-AA"]) == {"PR-2026-AAAA-AA"}
    own = ledger.tombstone("PR-2026-BBBB-BB", content=content, **again)
    assert ledger.tombstone("PR-2026-BBBB-BB", content={}, now=NOW, counts={}) == own, "twice is once"
    assert ledger.taken(["PR-2026-BBBB-BB"]) == set() and ledger.is_ours(own)
    assert signed_file_round(own), "so it is known by where it went"


def signed_file_round(line: Tombstone) -> bool:
    """Say whether a line is still known as the program's once it went through the signed file."""
    signed_file.append([replay._copy(line, [])], goes_on_from=lambda _: True)
    return ledger.is_ours(next(signed_file.read()))


def test_the_place_of_a_line_that_is_not_copied_yet_cannot_be_taken() -> None:
    erased(1, copied=False)
    line = Tombstone.objects.get()
    forge(f"'{line.entry}'", "now()")

    assert follow() == 1

    copy = LedgerCopy.objects.get()
    assert (copy.entry, copy.kind, signed.is_ours(copy)) == (line.entry, "keys", True)
    assert filed() == [line.entry] and maintenance.problems() == [] and named() == []


NEXT = (
    "INSERT INTO privacy_ledgercopy (id, entry, kind, reference, at, counts, content, mac)"
    " SELECT last + n, gen_random_uuid(), 'keys', '', now(), '{}', '{}', repeat('0', 64)"
    " FROM (SELECT nextval(pg_get_serial_sequence('privacy_ledgercopy', 'id')) AS last) s, generate_series(1, 40) n"
)


def test_the_next_numbers_of_the_copy_cannot_be_occupied() -> None:
    erased()
    erased(1, copied=False)
    forge()
    for attack in (NEXT, "UPDATE privacy_ledgercopy SET id = id + 40"):
        with pytest.raises(ProgrammingError, match="permission denied for table privacy_ledgercopy"):
            roles.run(attack)

    with roles.app_role():
        assert follow() == 1
        while follow():
            pass

    assert maintenance.missing_entries() == set() and filed() == list(Tombstone.objects.values_list("entry", flat=True))


def test_lines_whose_number_is_taken_are_said_not_to_be_copied() -> None:
    erased(1, copied=False)
    line = Tombstone.objects.get()
    with connection.cursor() as cursor:
        cursor.execute(NEXT)
    taken = [one.entry for one in LedgerCopy.objects.order_by("id")]
    assert len(taken) == 40

    assert follow() == 0
    said = replay.replay(actor=SWEEP, now=datetime.now(UTC)).uncopied
    assert str(line.entry) in said and set(said) == set(map(str, maintenance.missing_entries()))
    out = StringIO()
    with pytest.raises(CommandError, match="could not be copied into the main database") as failed:
        call_command("replay_ledger", verbosity=0, stdout=out)
    assert failed.value.returncode == 1 and f"\n  not copied: {line.entry}\n" in out.getvalue()
    assert {entry for code, entry in named() if code == "ledger_copy"} == set(map(str, taken))

    LedgerCopy.objects.filter(entry__in=taken).delete()
    assert replay.replay(actor=SWEEP, now=datetime.now(UTC)).uncopied == []
    assert maintenance.missing_entries() == set() and filed() == list(Tombstone.objects.values_list("entry", flat=True))


def test_a_changed_line_is_named_and_copied_anew() -> None:
    erased()
    first = LedgerCopy.objects.order_by("id").first()
    assert first is not None
    roles.run(f"UPDATE privacy_ledgercopy SET content = '{{}}' WHERE id = {first.pk}")
    assert named() == [("ledger_copy", str(first.entry))]

    replay.replay(actor=SWEEP, now=datetime.now(UTC))

    assert LedgerCopy.objects.get(entry=first.entry).content == first.content
    assert maintenance.problems() == [] and named() == []


def test_the_newest_line_that_was_changed_is_said_to_be_and_replayed() -> None:
    erased()
    roles.run("UPDATE privacy_ledgercopy SET counts = '{}'")
    assert maintenance.problems() == ["main_changed"]

    replay.replay(actor=SWEEP, now=datetime.now(UTC))

    assert maintenance.problems() == [] and named() == []
    assert LedgerCopy.objects.filter(filed_at=None).count() == 0


def told(*arguments: str) -> str:
    """Return what the command prints. One that is refused says nothing before."""
    out = StringIO()
    call_command("replay_ledger", *arguments, verbosity=0, stdout=out)
    return out.getvalue()


def test_the_signed_file_is_missed_when_it_is_gone_and_known_when_it_is_forged() -> None:
    erased(3)
    whole = signed_file.path().read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) > 2
    forged = {
        "gone": (None, "file_missing"),
        "cut at its end": (b"".join(lines[:-2]), "file_behind"),
        "a line added": (whole + lines[-1].replace(b'"kind":"keys"', b'"kind":"none"'), "file_broken"),
        "empty": (b"", "file_missing"),
    }
    for how, (content, code) in forged.items():
        if content is None:
            signed_file.path().unlink()
        else:
            signed_file.path().write_bytes(content)
        assert maintenance.problems() == [code], how
        with pytest.raises(CommandError, match="--new-file") as refused:
            told()
        assert refused.value.returncode == 3
        if how == "gone":
            assert all(map(refusal, WAITING)), "commands wait as well, Django's own included"
            assert not any(map(refusal, GOING_ON))

    signed_file.path().write_bytes(b"".join([lines[0], *lines[2:]]))  # a line taken out of the middle: its end is right
    assert maintenance.problems() == []
    with pytest.raises(CommandError, match="--new-file"):
        told()
    assert f"Signed file: {len(lines)} lines added." in told("--new-file")
    assert maintenance.problems() == []
    assert filed() == list(LedgerCopy.objects.values_list("entry", flat=True))


def test_a_signed_file_out_of_reach_is_no_broken_one_and_nothing_takes_its_place() -> None:
    erased(1)
    whole = signed_file.path().with_name("whole")
    signed_file.path().rename(whole)
    signed_file.path().mkdir()  # root reads past every mode, but no folder as a file
    assert maintenance.problems() == ["file_unreadable"]
    for words in ((), ("--new-file",)):
        with pytest.raises(CommandError, match=r"cannot be read here.*Nothing was done") as refused:
            told(*words)
        assert refused.value.returncode == 3
    signed_file.path().rmdir()
    whole.rename(signed_file.path())
    assert maintenance.problems() == []


def test_a_line_marked_as_filed_closes_the_site_until_the_file_is_begun_anew() -> None:
    erased()
    erased(1, copied=False)
    for line in replay._lines_for_main():
        replay._apply(line, restored=False, actor=SWEEP, now=datetime.now(UTC))
    roles.run("UPDATE privacy_ledgercopy SET filed_at = now() WHERE filed_at IS NULL")
    assert maintenance.problems() == ["file_behind"]
    with pytest.raises(replay.FileRefused):
        replay.replay(actor=SWEEP, now=datetime.now(UTC))

    replay.replay(actor=SWEEP, now=datetime.now(UTC), new_file=True)

    assert maintenance.problems() == [] and named() == []
    assert set(filed()) == set(Tombstone.objects.values_list("entry", flat=True))


def test_the_upgrade_signs_what_all_three_places_say_and_nothing_else() -> None:
    erased()
    true = LedgerCopy.objects.count()
    forge()
    LedgerCopy.objects.update(mac="")
    changed = LedgerCopy.objects.order_by("id").first()
    assert changed is not None
    LedgerCopy.objects.filter(pk=changed.pk).update(at=F("at") + timedelta(days=1))

    assert replay.sign_old(now=NOW) == true - 1
    assert [signed.is_ours(one) for one in LedgerCopy.objects.order_by("id")] == [False, *[True] * (true - 1), False]

    LedgerCopy.objects.update(mac="")
    assert replay.sign_old(now=NOW) == 0, "once"


def test_the_upgrade_signs_no_filed_line_while_the_file_is_broken() -> None:
    erased()
    LedgerCopy.objects.update(mac="")
    signed_file.path().write_bytes(b"?\n")

    assert replay.sign_old(now=NOW) == 0
    assert not any(map(signed.is_ours, LedgerCopy.objects.all()))


def test_one_replay_is_at_it_at_a_time() -> None:
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtext('task:ledger'))")
        with replay.alone() as alone:
            assert not alone
        vault.keys.destroy([(factories.customer().pk, "account")], now=NOW)
        assert tasks.follow_ledger() == 0
        with pytest.raises(CommandError, match="Another replay") as refused:
            call_command("replay_ledger", verbosity=0, stdout=StringIO())
        assert refused.value.returncode == 3
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtext('task:ledger'))")
            assert cursor.fetchone() == (True,), "who was refused gave nothing back"
        assert tasks.follow_ledger() == 1
    finally:
        other.close()


def test_more_rows_than_a_killed_worker_leaves_are_a_restored_database(monkeypatch: pytest.MonkeyPatch) -> None:
    erased(2, copied=False)
    assert maintenance.problems() == []
    monkeypatch.setattr(maintenance, "RESIDUE_MOST", 1)
    assert maintenance.problems() == ["main_behind"]


def test_what_was_seen_last_counts_while_another_thread_looks_or_nothing_can_be_seen(settings: Any) -> None:
    erased()
    roles.run("UPDATE privacy_ledgercopy SET counts = '{}'")
    assert maintenance.reasons(afresh=True) == ("main_changed",)
    replay.replay(actor=SWEEP, now=datetime.now(UTC))  # looks itself at the end
    assert maintenance.reasons() == ()

    roles.run("UPDATE privacy_ledgercopy SET counts = '{}'")
    settings.MAINTENANCE_CHECK_SECONDS, maintenance._watch.until = 60, 0.0
    with maintenance._watch.lock:
        assert maintenance.reasons() == (), "another thread is looking"
    text, settings.KEY_RING = settings.KEY_RING, ""
    assert maintenance.reasons(afresh=True) == (), "without a ring nothing can be seen, and nothing opens"
    settings.KEY_RING = text
    assert maintenance.reasons(afresh=True) == ("main_changed",)
    maintenance._watch.found = ()


def test_a_replaced_key_that_a_restored_key_store_has_again_is_found_by_its_hash() -> None:
    alice, bob = factories.customer(), factories.customer()
    number = {one: DataKey.objects.get(record=one.pk, envelope="account").pk for one in (alice, bob)}
    entry = uuid4()
    went = [ledger.Gone(number[alice], alice.pk, "account", "accounts.customer", False)]
    line = LedgerCopy(entry=entry, content=ledger.content(Tombstone(kind=Tombstone.Kind.KEYS), went))

    assert replay._found_keys([line]) == ({}, {entry: [number[alice]]})


def test_a_replay_takes_nothing_from_a_request_that_is_being_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    alice = factories.customer(user=factories.login())
    request = asked.confirmed(alice)
    Request.objects.filter(pk=request.pk).update(state="executing", step="erase")
    follow()
    vault.keys.destroy([(alice.pk, "account")], now=NOW)
    line = Tombstone.objects.latest("seq")

    report = replay.replay(actor=SWEEP, now=datetime.now(UTC))

    assert (report.main_lines, report.records, report.uncopied) == (1, 0, [])
    assert maintenance.missing_entries() == {line.entry}
    monkeypatch.setattr(maintenance, "PAGE", 2)
    erased(2, copied=False)
    for _ in range(5):
        follow()
    assert len(filed()) > 3 and maintenance.missing_entries() == {line.entry}, "newer ones are copied past it"
    assert list(LedgerWaiting.objects.values_list("entry", flat=True)) == [line.entry]
    assert Customer.objects.filter(pk=alice.pk).exists(), "its worker ends the row, and the person with it"


def put_back_main(rows: dict[str, list[dict[str, Any]]], *, without: Request) -> None:
    """Make the main database what its backup was: these rows as they were, no copied line, and not yet the request."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica; DELETE FROM privacy_ledgercopy")
        for one in Request._meta.related_objects:
            table, column = one.related_model._meta.db_table, one.field.column
            cursor.execute(f"DELETE FROM {table} WHERE {column} = %s", [str(without.pk)])
        cursor.execute("DELETE FROM privacy_request WHERE id = %s", [str(without.pk)])
        for table, listed in rows.items():
            cursor.execute(f"DELETE FROM {table} WHERE id = ANY(%s::uuid[])", [[one["id"] for one in listed]])
            cursor.execute(
                f"INSERT INTO {table} SELECT * FROM jsonb_populate_recordset(NULL::{table}, %s::jsonb)",
                [json.dumps(listed)],
            )
        cursor.execute("RESET session_replication_role")


def kept(table: str, *numbers: UUID) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT to_jsonb({table})::text FROM {table} WHERE id = ANY(%s::uuid[])", [list(map(str, numbers))]
        )
        return [json.loads(text) for (text,) in cursor.fetchall()]


def test_after_a_restore_of_the_main_database_people_and_programs_are_told_what_was_done() -> None:
    alice, bob = factories.customer("Alice", "Archer"), factories.customer("Bob", "Baker")
    request = asked.confirmed(alice)
    letter = Letter.objects.get(kind="acknowledgement")
    backup = {
        "privacy_subject": kept("privacy_subject", alice.subject_id),
        "accounts_customer": kept("accounts_customer", alice.pk, bob.pk),
        "privacy_letter": [one | {"request_id": None} for one in kept("privacy_letter", letter.pk)],
    }
    asked.run(request, asked.Clock(NOW + timedelta(hours=1)))
    letters.burn(Letter.objects.filter(pk=letter.pk), now=NOW + timedelta(hours=2))
    bob.last_name = "Brewer"
    bob.save()
    while follow():
        pass
    put_back_main(backup, without=request)
    assert maintenance.problems() == ["main_behind"]

    dry = told("--dry-run").splitlines()
    assert dry[0] == maintenance.SENTENCES["main_behind"] and dry[-1] == "Nothing was changed: this was a dry run."
    assert "4 envelopes that stood again" in dry[2] and maintenance.problems() == ["main_behind"]
    said = told()
    assert "4 envelopes that stood again, 1 request open again or unknown." in said
    assert f"\n  closed again: {request.reference}\n" in said
    assert f"\n  correction lost, enter it again: accounts.customer {bob.reference} (account)\n" in said
    assert maintenance.problems() == [] and not Customer.objects.filter(pk=alice.pk).exists()
    again = Request.objects.get(reference=request.reference)
    assert (again.state, again.kind, again.received_on) == ("closed", "erasure", request.received_on)
    assert Letter.objects.get(pk=letter.pk).sealed_letter is None, "what it said has ended before"
    assert Customer.objects.get(pk=bob.pk).sealed_account is None, "the old name does not come back"
    assert list(filed()) == list(Tombstone.objects.values_list("entry", flat=True))


def test_after_a_restore_of_the_key_store_what_is_newer_than_it_is_named_and_ended_is_what_ended() -> None:
    alice, _ = factories.customer("Alice", "Archer"), factories.customer("Bob", "Baker")
    order = factories.an_order(alice)
    vault.keys.destroy([(order.pk, "fulfilment")], now=NOW)
    while follow():
        pass
    newest = Tombstone.objects.latest("seq")
    with connections["keystore"].cursor() as cursor:  # its backup is older than the order, the line and alice
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM vault_tombstone WHERE seq = %s", [newest.seq])
        cursor.execute("DELETE FROM vault_datakey WHERE record = ANY(%s::uuid[])", [[str(order.pk), str(alice.pk)]])
        cursor.execute("RESET session_replication_role")
    assert maintenance.problems() == ["keys_behind"]
    names = sorted({("accounts.customer", alice.reference, "account"), ("orders.order", order.number, "order")})

    found = shaped("replay_ledger", json.loads(told("--dry-run", "--json")))
    assert (found["dry_run"], found["problems"], found["key_lines"]) == (True, ["keys_behind"], 1)
    assert names == sorted((one["label"], one["record"], one["envelope"]) for one in found["lost"])
    with (
        databases.locked("vault_tombstone"),
        pytest.raises(CommandError, match=r"failed \(OperationalError\)") as failed,
    ):
        told()
    assert failed.value.returncode == 1
    said = told()
    assert f"so that nobody can read them: {len(names)} envelopes." in said
    assert [line for line in said.splitlines() if line.startswith("  lost: ")] == [
        f"  lost: {label} {record} ({envelope})" for label, record, envelope in names
    ]
    assert maintenance.problems() == [] and vault.keys.is_destroyed(order.pk, "fulfilment")
    assert Tombstone.objects.latest("seq").entry == newest.entry


def test_of_many_lost_keys_all_are_counted_and_the_first_are_named() -> None:
    report = replay.Report()
    replay._lost(report, "orders.order", "order", {number: f"10{number}" for number in range(replay.NAMED + 5)})
    assert (report.lost_keys, len(report.lost)) == (replay.NAMED + 5, replay.NAMED)
    assert report.lost[0] == {"label": "orders.order", "record": "100", "envelope": "order"}

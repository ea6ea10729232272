"""What was erased stays erased, whichever of the two databases is restored from a dump made before (R5, F15)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from django.core.management import call_command
from django.db import connections
from django.test import Client

from accounts.models import Customer
from orders.models import Order
from privacy import audit, gate, vault
from privacy.gate.system import system_actor
from privacy.requests.models import Request
from privacy.restore import maintenance, replay, signed_file
from privacy.restore.models import LedgerCopy, LedgerWaiting
from privacy.retention.models import Decision
from privacy.vault.keystore import identity
from privacy.vault.models import DataKey, Tombstone
from tests import factories
from tests.figures import report, tries
from tests.journeys import asking

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

SWEEP = system_actor("sweep")
ROOT = Path(__file__).resolve().parents[2]


def program(name: str, *arguments: str) -> bytes:
    """Run a PostgreSQL client program against the test server and return its output."""
    settings = connections["default"].settings_dict
    found = Path(os.environ["ILT_TEST_POSTGRES_BIN"]) / name
    environment = {**os.environ, "PGPASSWORD": settings["PASSWORD"]}
    server = ["-h", settings["HOST"], "-p", str(settings["PORT"]), "-U", settings["USER"]]
    return subprocess.run([str(found), *server, *arguments], env=environment, check=True, capture_output=True).stdout


class Backups:
    """Dumps of both databases, and putting them back as the runbook says: into an empty database of the same name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def dump(self, *aliases: str) -> None:
        for alias in aliases or ("default", "keystore"):
            name = connections[alias].settings_dict["NAME"]
            (self.folder / f"{alias}.dump").write_bytes(program("pg_dump", "-Fc", "-d", name))

    def restore(self, *aliases: str) -> None:
        for alias in aliases:
            name = connections[alias].settings_dict["NAME"]
            connections[alias].close()
            program("psql", "-q", "-d", "postgres", "-c", f'DROP DATABASE "{name}" WITH (FORCE)')
            program("psql", "-q", "-d", "postgres", "-c", f'CREATE DATABASE "{name}"')
            program("pg_restore", "-d", name, str(self.folder / f"{alias}.dump"))
        maintenance.reasons(afresh=True)


@pytest.fixture
def backups(tmp_path: Path, settings: Any) -> Iterator[Backups]:
    settings.CHECKPOINT_DIR = str(tmp_path / "checkpoints")
    yield Backups(tmp_path)
    maintenance._watch.found = ()


def follow() -> None:
    """Do what the task does every few seconds."""
    with replay.alone() as alone:
        assert alone
        replay.follow(actor=SWEEP, now=datetime.now(UTC))


def replayed(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("replay_ledger", "--json", *arguments, stdout=out)
    found = json.loads(out.getvalue())
    jsonschema.validate(found, json.loads((ROOT / "docs" / "schemas" / "replay_ledger.json").read_text()))
    return found


def person(number: int, **data: Any) -> Customer:
    return factories.customer(f"Alice{number}", "Archer", email=f"alice{number}@example.com", **data)


def readable(pk: Any) -> list[str]:
    """Return what the privacy team can still read of a customer."""
    with gate.acting(asking.PAT):
        found = Customer.objects.filter(pk=pk).first()
        values = [found.email, found.last_name] if found else []
        return [value for value in values if value and not isinstance(value, vault.Unreadable)]


def test_a_dump_from_before_the_erasure_opens_for_bob_and_not_for_alice(backups: Backups) -> None:
    alice = factories.customer("Alice", "Archer", email="alice@example.com")
    bob = factories.customer("Bob", "Barnes", email="bob@example.com")
    backups.dump("default")
    asking.erase(alice)
    keys = DataKey.objects.filter(record=alice.pk, envelope="account")
    assert [key.wrapped for key in keys] == [None]

    backups.restore("default")
    with gate.acting(asking.PAT):
        assert Customer.objects.get(pk=bob.pk).email == "bob@example.com"
        old = Customer.objects.get(pk=alice.pk)
        assert isinstance(old.email, vault.Erased)
        old.email = "alice@example.com"
        with pytest.raises(vault.RecordErased):
            old.save()
    assert [key.wrapped for key in keys.all()] == [None]


BEHIND = {
    "main": (("default",), ["main_behind"]),
    "keys": (("keystore",), ["keys_behind"]),
    "both": (("default", "keystore"), ["keys_behind", "main_behind"]),
}


@pytest.mark.parametrize("restored", BEHIND)
def test_scenario_19_nobody_who_was_erased_comes_back_with_a_restored_database(backups: Backups, restored: str) -> None:
    count = tries(4, 50)
    people = [person(n) for n in range(count)]
    bob = factories.customer("Bob", "Barnes", email="bob@example.com")
    with_order = people[0]
    order = factories.an_order(
        with_order, date(2023, 5, 2), invoiced=date(2023, 5, 3), shipped=date(2023, 5, 4), paid=date(2023, 5, 9)
    )
    backups.dump()
    references = [asking.erase(one).reference for one in people]
    follow()
    kept = set(
        Decision.objects.filter(action="keep", done_at=None).values_list("label", "record_id", "envelope", "until")
    )
    assert not maintenance.problems()

    aliases, expected = BEHIND[restored]
    backups.restore(*aliases)
    assert maintenance.problems() == expected
    assert Client().get("/").status_code == 503

    foreseen = replayed("--dry-run")
    assert maintenance.problems() == expected, "a dry run changes nothing"
    begin = time.monotonic()
    done = replayed()
    seconds = time.monotonic() - begin
    assert {name: done[name] for name in ("problems", "key_lines", "main_lines")} == {
        "problems": expected,
        "key_lines": foreseen["key_lines"],
        "main_lines": done["main_lines"] if restored == "both" else foreseen["main_lines"],
    }

    assert maintenance.problems() == []
    assert Client().get("/").status_code == 200
    resurrected = [one.pk for one in people if readable(one.pk)]
    assert resurrected == []
    assert not Customer.objects.filter(pk__in=[one.pk for one in people[1:]]).exists()
    alive = DataKey.objects.filter(record__in=[one.pk for one in people], wrapped__isnull=False)
    assert not alive.exists(), "no backup of the main database can be read with this key store"
    assert set(Request.objects.filter(reference__in=references).values_list("state", flat=True)) == {"closed"}
    assert Request.objects.filter(reference__in=references).count() == count
    assert kept == set(
        Decision.objects.filter(action="keep", done_at=None).values_list("label", "record_id", "envelope", "until")
    )
    assert kept, "the order had to stay"
    assert readable(bob.pk) == ["bob@example.com", "Barnes"]
    with gate.acting(factories.ERIN):
        assert Order.objects.get(pk=order.pk).invoice_name == "Alice Whitfield", "a duty keeps it"
    with gate.acting(factories.CAROL):
        assert isinstance(Order.objects.get(pk=order.pk).invoice_name, vault.Restricted), "for that duty only"
    assert audit.AuditEvent.objects.filter(action="ledger.replayed").count() == 1

    state = [
        Customer.objects.count(),
        LedgerCopy.objects.count(),
        Tombstone.objects.count(),
        signed_file.path().read_bytes(),
    ]
    again = replayed()
    assert {name: value for name, value in again.items() if value} == {}, "twice is once"
    assert state == [
        Customer.objects.count(),
        LedgerCopy.objects.count(),
        Tombstone.objects.count(),
        signed_file.path().read_bytes(),
    ]
    report("F15", f"resurrected subjects ({restored} restored)", len(resurrected), n=count, goal="0")
    report(
        "F15", f"replay of {count} erasures ({restored} restored)", round(seconds, 1), n=1, goal="none set", unit="s"
    )


def test_a_replay_that_is_killed_at_any_line_is_finished_by_the_next(backups: Backups, tmp_path: Path) -> None:
    assert identity.verify() == []  # as a first start does: a command looks whether ring and databases belong together
    people = [person(n) for n in range(2)]
    backups.dump()
    for one in people:
        asking.erase(one)
    follow()
    for aliases, place in [
        (("default",), "replayed_main_line"),
        (("default",), "between_commits"),
        (("default", "keystore"), "replayed_key_line"),
    ]:
        backups.restore(*aliases)
        kill_at(place, tmp_path / place)
        assert maintenance.problems(), "half a replay is not enough"
        replayed()
        assert maintenance.problems() == []
        assert [readable(one.pk) for one in people] == [[], []]
        assert not DataKey.objects.filter(record__in=[one.pk for one in people], wrapped__isnull=False).exists()


def kill_at(place: str, folder: Path) -> None:
    """Start a replay as an operator does and kill it with -9 at the named place."""
    databases = {alias: connections[alias].settings_dict["NAME"] for alias in ("default", "keystore")}
    env = {
        **os.environ,
        "ILT_HOLD_AT": place,
        "ILT_HOLD_DIR": str(folder),
        "CHECKPOINT_DIR": signed_file.path().parent.as_posix(),
    }
    for alias, variable in (("default", "DATABASE_URL"), ("keystore", "KEYSTORE_DATABASE_URL")):
        env[variable] = os.environ[variable].rpartition("/")[0] + "/" + databases[alias]
    process = subprocess.Popen([sys.executable, "manage.py", "replay_ledger"], env=env, cwd=ROOT)
    marker = folder / f"held-{place}"
    deadline = time.monotonic() + 60
    while not marker.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert marker.exists(), "the place was never reached"
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for_its_connections()


def wait_for_its_connections() -> None:
    """Wait until the server has noticed that the killed process is gone: its locks go with it."""
    with connections["default"].cursor() as cursor:
        for _ in range(500):
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ilt-task' AND pid <> ALL(%s)",
                [[own_pid(alias) for alias in ("default", "keystore")]],
            )
            if not cursor.fetchone()[0]:
                return
            time.sleep(0.02)


def own_pid(alias: str) -> int:
    connections[alias].ensure_connection()
    return int(connections[alias].connection.info.backend_pid)


def test_a_correction_lost_with_the_backup_is_named_and_can_be_entered_again(backups: Backups, now: datetime) -> None:
    alice = person(1)
    backups.dump("default")
    with gate.acting(asking.PAT):
        alice = Customer.objects.get(pk=alice.pk)
        alice.last_name = "Abbot"
        alice.save()
    follow()
    backups.restore("default")
    assert maintenance.problems() == ["main_behind"]
    with gate.acting(asking.PAT):
        assert isinstance(Customer.objects.get(pk=alice.pk).last_name, vault.Erased), "never the wrong old value"

    done = replayed()
    reference = Customer.objects.get(pk=alice.pk).reference
    assert done["corrections"] == [{"label": "accounts.customer", "record": reference, "envelope": "account"}]
    assert maintenance.problems() == []
    with gate.acting(asking.PAT):
        found = Customer.objects.get(pk=alice.pk)
        assert found.last_name == ""
        found.first_name, found.last_name, found.email = "Alice", "Abbot", "alice1@example.com"
        found.save()
    assert readable(alice.pk) == ["alice1@example.com", "Abbot"]


def test_what_a_killed_worker_left_is_mended_without_maintenance(backups: Backups, now: datetime) -> None:
    alice = person(1)
    vault.keys.destroy([(alice.pk, "account")], now=now)
    assert maintenance.problems() == []
    follow()
    assert not Customer.objects.filter(pk=alice.pk).exists()
    assert audit.AuditEvent.objects.filter(action="ledger.mended").count() == 1


def test_a_line_that_waits_for_its_request_is_not_forgotten_below_newer_ones(
    backups: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "PAGE", 2)
    alice, slow = person(1), asking.erase(person(2))
    # as if its worker had died between the two commits
    Request.objects.filter(pk=slow.pk).update(state="executing", step="tombstone")
    asking.erase(alice)
    for number in range(5):
        asking.erase(person(10 + number))
    follow()
    waits = Tombstone.objects.get(reference=slow.reference).entry
    assert maintenance.missing_entries() == {waits}
    assert [one.entry for one in LedgerWaiting.objects.all()] == [waits]
    assert LedgerCopy.objects.count() == Tombstone.objects.count() - 1

    Request.objects.filter(pk=slow.pk).update(state="executed", step="letter")
    follow()
    assert maintenance.missing_entries() == set()
    assert not LedgerWaiting.objects.exists()
    assert waits in {line.entry for line in signed_file.read()}


def test_a_file_that_ends_in_half_a_line_is_gone_on_with(backups: Backups) -> None:
    asking.erase(person(1))
    follow()
    with signed_file.path().open("ab") as stream:
        stream.write(b'{"format":1,"ent')
    assert maintenance.problems() == []
    asking.erase(person(2))
    follow()
    assert maintenance.problems() == []
    assert len(list(signed_file.read())) == LedgerCopy.objects.count()


def test_workers_leave_their_tasks_undone_in_maintenance_mode(backups: Backups) -> None:
    from privacy import tasks

    backups.dump("default")
    request = asking.erase(person(1))
    follow()
    backups.restore("default")
    assert tasks.sweep() == "maintenance"
    assert tasks.advance(str(request.pk), "plan", 0) == "maintenance"
    assert tasks.follow_ledger() == 0
    assert Client().get("/health/live/").status_code == 200
    assert Client().post("/privacy/ask/", {"email": "alice1@example.com"}).status_code == 503


def test_a_request_that_came_after_the_backup_is_on_file_again_without_its_text(backups: Backups) -> None:
    backups.dump("default")
    request = asking.erase(person(1))
    follow()
    backups.restore("default")
    assert not Request.objects.filter(reference=request.reference).exists()
    assert replayed()["requests"] == [request.reference]
    found = Request.objects.get(reference=request.reference)
    assert (found.state, found.kind, found.received_on, found.channel) == (
        "closed", "erasure", request.received_on, request.channel,
    )  # fmt: skip
    assert found.events.get().kind == "restored"
    with gate.acting(asking.PAT):
        assert found.requester_name == ""

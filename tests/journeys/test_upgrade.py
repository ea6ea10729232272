"""A database filled by the version before the rooms were rebuilt (tests/data/upgrade) is brought up to
date, and all of it still holds."""

from __future__ import annotations

import base64
import hashlib
import json
import lzma
import os
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.core.management import call_command
from django.db import connections

from accounts.models import Customer
from ilt_site import transport
from ilt_site.celery import app
from privacy import audit, gate, vault
from privacy.audit.models import AuditEvent
from privacy.gate.log import CHAINS, AccessEntry
from privacy.gate.system import system, system_actor
from privacy.letters import sending
from privacy.letters.models import Letter
from privacy.requests import second, services, sight, waits
from privacy.requests.models import Request
from privacy.requests.states import State
from privacy.restore import maintenance, replay
from privacy.vault import in_use
from privacy.vault.keystore import identity, ledger
from privacy.vault.models import DataKey, Tombstone
from tests.journeys import asking

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

FOLDER = Path(__file__).resolve().parents[1] / "data" / "upgrade"
ABOUT: dict[str, Any] = json.loads((FOLDER / "about.json").read_text())
THEN = datetime.fromisoformat(ABOUT["now"])
AFTER = THEN + timedelta(minutes=5)  # the same day in Massachusetts: the plan that was confirmed is still the plan
SWEEP = system_actor("sweep")


def program(name: str, *arguments: str, given: bytes | None = None) -> None:
    settings = connections["default"].settings_dict
    found = Path(os.environ["ILT_TEST_POSTGRES_BIN"]) / name
    environment = {**os.environ, "PGPASSWORD": settings["PASSWORD"]}
    server = ["-h", settings["HOST"], "-p", str(settings["PORT"]), "-U", settings["USER"]]
    subprocess.run([str(found), *server, *arguments], env=environment, input=given, check=True, capture_output=True)


@pytest.fixture
def of_before(tmp_path: Path, settings: Any) -> Iterator[None]:
    """Both databases as the version before left them, in databases of their own, with its ring and its files outside
    both."""
    clock = time_machine.travel(AFTER)  # commands and tasks read the clock themselves
    settings.KEY_RING = json.dumps(ABOUT["ring"])
    settings.CHECKPOINT_DIR = str(tmp_path / "checkpoints")
    settings.STATIC_ROOT = str(tmp_path / "static")
    for name, content in ABOUT["checkpoints"].items():
        path = tmp_path / "checkpoints" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(content))
        path.chmod(0o600)
    names = {}
    for alias in ("default", "keystore"):
        connection = connections[alias]
        connection.close()
        names[alias] = connection.settings_dict["NAME"]
        connection.settings_dict["NAME"] = name = f"{names[alias]}_before"
        program("psql", "-q", "-d", "postgres", "-c", f'CREATE DATABASE "{name}"')
        sql = lzma.decompress((FOLDER / f"{alias}.sql.xz").read_bytes())
        program("psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", name, given=sql)
    maintenance.reasons(afresh=True)
    with clock:
        yield
    for alias, name in names.items():
        connection = connections[alias]
        connection.close()
        program(
            "psql", "-q", "-d", "postgres", "-c", f'DROP DATABASE "{connection.settings_dict["NAME"]}" WITH (FORCE)'
        )
        connection.settings_dict["NAME"] = name
    maintenance._watch.found = ()


def contents(label: str) -> dict[str, Any]:
    """Return what all records of a kind say, as the version before wrote it down."""
    told = ABOUT["records"][label]
    texts = []
    rows = in_use.models()[label]._base_manager.order_by("pk")
    for record in rows:
        values = [getattr(record, name) for name in told["fields"]]
        texts.append(
            [str(record.pk)]
            + [
                repr(value) if isinstance(value, vault.Unreadable) else json.dumps(value, default=str, sort_keys=True)
                for value in values
            ]
        )
    digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
    return {"fields": told["fields"], "rows": len(texts), "digest": digest}


def test_what_the_version_before_left_is_brought_up_to_date_and_goes_on(of_before: None) -> None:
    call_command("prepare")

    # The three belong together, and the places of the ledger agree.
    assert identity.verify(bind=False) == []
    assert maintenance.reasons(afresh=True) == ()
    with replay.alone() as alone:
        assert alone
        replay.follow(actor=SWEEP, now=AFTER)
    assert maintenance.reasons(afresh=True) == ()
    assert Tombstone.objects.filter(kind="request").count() == 1 and ledger.position() > 1
    ended = DataKey.objects.filter(destroyed_at__isnull=False)
    assert ended and set(ended.values_list("destroyed_in", flat=True)) <= set(
        Tombstone.objects.values_list("seq", flat=True)
    )

    # Every record reads as it did, the erased ones too.
    with vault.internal():
        assert {label: contents(label) for label in ABOUT["records"]} == ABOUT["records"]
    with gate.acting(asking.PAT):
        gone = Customer.objects.filter(pk=ABOUT["gone"]).first()
        assert gone is None or isinstance(gone.email, vault.Erased)
        assert Customer.objects.get(pk=ABOUT["customer"]).last_name == ABOUT["name"][1]

    # What was done and who looked: not a row is missing or changed, and what this version adds is chained to it.
    assert AuditEvent.objects.count() > ABOUT["events"] and AccessEntry.objects.count() >= 15
    for chain in CHAINS:
        audit.seal(now=AFTER, chain=chain)
    call_command("verify_audit")

    # Letters that were sealed by the version before are sent.
    waiting = Letter.objects.filter(pk__in=ABOUT["waiting_letters"])
    assert waiting.filter(sent_at=None).count() == len(ABOUT["waiting_letters"]) > 0
    with system("letter"):
        sending.send_due(now=AFTER)
    assert not waiting.filter(sent_at=None)
    request = Request.objects.get(pk=ABOUT["under_way"])
    assert any(one.to == [ABOUT["name"][2]] and request.reference in one.body for one in mail.outbox)

    # Messages that waited in the broker are taken: one is for the step at which the request stands, one is past.
    request.refresh_from_db()
    assert (request.state, request.step) == (State.CONFIRMED, "wait_for_access")
    messages = [transport.read(transport.WAITING, base64.b64decode(one)) for one in ABOUT["messages"]]
    app.loader.import_default_modules()  # as a worker does at its start
    words = []
    for message in messages:
        assert message is not None, "this site signed it"
        found = json.loads(message)
        positional, named, _ = json.loads(base64.b64decode(found["body"]))
        words.append(app.tasks[found["headers"]["task"]].apply(args=positional, kwargs=named).get())
    assert words == ["waiting", "stale"]

    # The request that was under way waits for a second person and goes on. What it keeps has other grounds than the
    # version before gave, so it is confirmed once more (design 5), and ends.
    assert waits.is_undecided(request)
    second.decide(request, "go_on", actor=asking.MONA, now=AFTER)
    asking.work(request, AFTER)
    assert (request.state, request.step) == (State.PLANNED, "confirm")
    with gate.acting(asking.PAT):
        services.confirm(request, request.plan_hash, actor=sight.acting_as(request), now=AFTER)
    asking.work(request, AFTER)
    assert request.state == State.CLOSED, (request.state, request.step, request.last_error)
    assert Tombstone.objects.filter(kind="request").count() == 2

    for chain in CHAINS:
        audit.seal(now=AFTER, chain=chain)
    call_command("verify_audit")

"""F18: the key ring is missing, damaged, another's, or has lost a key: nothing starts, and nothing fails without a
word."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from privacy.vault import ring
from privacy.vault.keystore import identity
from privacy.vault.models import DataKey
from tests import factories
from tests.faults import process
from tests.figures import report
from tests.journeys.asking import ask

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]

# Starts web and worker and runs every command as its program does; tells exit code and output of each.
DOORS = """
import contextlib, importlib, io, json, manage
def door(name, action):
    told, code = io.StringIO(), 0
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        try:
            action()
        except SystemExit as end:
            code = end.code
        except BaseException as error:
            code = f"{type(error).__name__}: {error}"
    return name, code, told.getvalue()
def command(line):
    sys.argv = ["manage.py", *line]
    manage.main()
from ilt_site import celery
found = [door("web", lambda: importlib.import_module("ilt_site.wsgi")), door("worker", celery.refuse_unsafe_start)]
found += [door(line[0], lambda: command(line)) for line in json.loads(sys.argv[1])]
print(json.dumps(found))
"""
STARTS = ("web", "worker")


def missing(file: Path) -> None:
    file.unlink()


def damaged(file: Path) -> None:
    file.write_text(file.read_text()[:-40])


def wrong(file: Path) -> None:
    ring.write(file, ring.new())


def one_key_lost(file: Path) -> None:
    ring.write(file, ring.read(file).added().without(1))


FAULTS = (missing, damaged, wrong, one_key_lost)


@pytest.fixture
def file(tmp_path: Path, settings: Any) -> Path:
    path = tmp_path / "ring.json"
    ring.write(path, ring.parse(settings.KEY_RING))
    settings.KEY_RING_FILE = str(path)
    settings.EXPORT_DIR, settings.CELERY_BROKER_URL = str(tmp_path / "exports"), "redis://127.0.0.1:1/0"
    return path


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_starts_and_each_command_says_what_is_wrong(fault: Callable[[Path], None], file: Path) -> None:
    assert identity.verify() == []  # as a first start does
    alice = factories.customer()
    request = ask(alice, "erasure", timezone.now())
    commands = [
        ["create_staff", "--username", "dan", "--email", "dan@ilt.example", "--role", "sales"],
        ["request_show", request.reference],
        ["request_plan", request.reference],
        ["request_run", request.reference],
        ["request_export", request.reference],
        ["outbox"],
        ["verify_audit"],
        ["retention_sweep", "--dry-run"],
        ["collect_keys"],
        ["rotate_keys"],
        ["keyring", "status"],
    ]
    keys = DataKey.objects.count()
    fault(file)
    code, out, errors = process.run(DOORS, json.dumps(commands), KEY_RING_FILE=str(file))
    assert code == 0, errors
    found = json.loads(out.splitlines()[-1])
    silent = []
    for name, ended, told in found:
        says = f"{ended} {told}"
        refused = ended not in (0, None) and "ring" in says and "Traceback" not in says
        if name in STARTS:
            refused = str(ended).startswith(("ImproperlyConfigured: ", "The ")) and "ring" in says
        reported = name == "keyring" and ended in (0, None) and "problems: The key ring" in told
        if not (refused or reported):
            silent.append((name, ended, told))
    assert silent == []
    assert DataKey.objects.count() == keys, "nothing was sealed with it"
    report("F18", f"silent failures of starts and commands, ring {fault.__name__.replace('_', ' ')}", len(silent),
           n=len(found), goal="0")  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_running_site_shows_no_page_as_if_nothing_were_wrong(fault: Callable[[Path], None], file: Path) -> None:
    factories.customer(user=factories.login())
    ring.write(file, ring.read(file).added())
    client = Client(raise_request_exception=False)
    client.post("/accounts/login/", {"login": "alice", "password": factories.PASSWORD})
    pages = ("/account/", "/account/details/", "/privacy/", "/privacy/requests/")
    assert [client.get(page).status_code for page in pages] == [200] * len(pages)
    assert "Archer" in client.get("/account/details/").content.decode()
    if fault is one_key_lost:
        ring.write(file, ring.read(file).without(1))
    else:
        fault(file)
    silent = []
    for page in pages:
        answer = client.get(page)
        told = answer.content.decode() if answer.status_code == 200 else ""
        gone = "Archer" in told or "erased on " in told
        if gone or (answer.status_code != 500 and fault is not one_key_lost):
            silent.append((page, answer.status_code))
    if fault is one_key_lost:
        page = client.get("/account/details/").content.decode()
        assert page.count('class="unreadable"') >= 4, "each value of the lost key says why it is not shown"
    assert silent == []
    report("F18", f"silent failures of pages, ring {fault.__name__.replace('_', ' ')}", len(silent),
           n=len(pages), goal="0")  # fmt: skip

"""An erasure reaches a dump of the main database that was made before it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections

from accounts.models import Customer
from privacy import gate, vault
from privacy.vault.models import DataKey
from tests import factories
from tests.journeys import asking

pytestmark = pytest.mark.django_db(transaction=True)


def program(name: str, *arguments: str) -> bytes:
    """Run a PostgreSQL client program against the test server and return its output."""
    settings = connections["default"].settings_dict
    found = Path(os.environ["ILT_TEST_POSTGRES_BIN"]) / name
    environment = {**os.environ, "PGPASSWORD": settings["PASSWORD"]}
    server = ["-h", settings["HOST"], "-p", str(settings["PORT"]), "-U", settings["USER"]]
    return subprocess.run([str(found), *server, *arguments], env=environment, check=True, capture_output=True).stdout


@pytest.fixture
def restored(tmp_path: Path) -> Iterator[str]:
    """The name of a database beside the main one, for a dump to be restored into."""
    name = "ilt_restored"
    with connections["default"].cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    yield name
    with connections["default"].cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_dump_from_before_the_erasure_opens_for_bob_and_not_for_alice(restored: str, tmp_path: Path) -> None:
    alice = factories.customer("Alice", "Archer", email="alice@example.com")
    bob = factories.customer("Bob", "Barnes", email="bob@example.com")
    dump = tmp_path / "before.dump"
    main = connections["default"].settings_dict["NAME"]
    dump.write_bytes(program("pg_dump", "-Fc", "-d", main))

    asking.erase(alice)
    keys = DataKey.objects.filter(record=alice.pk, envelope="account")
    assert [key.wrapped for key in keys] == [None]

    program("pg_restore", "-d", restored, str(dump))
    connection = connections["default"]
    connection.close()
    connection.settings_dict["NAME"] = restored
    try:
        with gate.acting(asking.PAT):
            assert Customer.objects.get(pk=bob.pk).email == "bob@example.com"
            old = Customer.objects.get(pk=alice.pk)
            assert isinstance(old.email, vault.Erased)
            old.email = "alice@example.com"
            with pytest.raises(vault.RecordErased):
                old.save()
        assert [key.wrapped for key in keys.all()] == [None]
    finally:
        connection.close()
        connection.settings_dict["NAME"] = main

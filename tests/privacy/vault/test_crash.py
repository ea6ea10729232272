"""Death between the two commits: what another process finds afterwards, and how it is put right."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from privacy.vault import unit
from privacy.vault.envelope import key_id
from privacy.vault.keystore import keys
from privacy.vault.keystore.collect import collect
from privacy.vault.keystore.sql import cursor
from privacy.vault.models import DataKey, Token
from tests.privacy.vault.models import Person
from tests.privacy.vault.watching import again

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]

WORK = """
import signal, os, sys, django
django.setup()
from django.db import transaction
from privacy.vault import saving
from privacy.vault.keystore import keys
from tests.privacy.vault.models import Person

def stop():
    print("here", flush=True)
    signal.pause()

step, pk = sys.argv[1:]
"""
CREATE = (
    WORK
    + """
with transaction.atomic():
    Person(pk=pk, name="Dora", email="dora@x.example").save()
    stop()  # the key has committed, the row has not
"""
)
CORRECT = (
    WORK
    + """
person = Person.objects.get(pk=pk)
person.name = "Alice Jones"
if step == "before":
    with transaction.atomic():
        person.save()
        stop()
saving.keys.finish = lambda *args: stop()  # the row has committed, the old key is still there
person.save()
"""
)


@pytest.fixture
def killed(subprocess_environment: dict[str, str]) -> Callable[..., None]:
    """Run a script in another process, wait until it says where it is, and kill it there."""

    def run(script: str, step: str, pk: object) -> None:
        with subprocess.Popen(
            [sys.executable, "-c", script, step, str(pk)], stdout=subprocess.PIPE, text=True, env=subprocess_environment
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "here\n"
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL

    return run


def later() -> None:
    with cursor() as cur:
        cur.execute(
            "UPDATE vault_datakey SET created_at = created_at - interval '8 days', "
            "doubted_at = doubted_at - interval '8 days'"
        )


def collect_twice() -> None:
    for _ in range(2):
        later()
        collect()


def test_killed_between_the_commits_of_a_create_only_a_key_is_left_and_the_retry_uses_it(
    killed, work: unit.Unit
) -> None:
    person = Person(name="Dora", email="dora@x.example")
    killed(CREATE, "", person.pk)
    left = DataKey.objects.get(record=person.pk)
    assert not Person.objects.exists()
    person.save()
    assert DataKey.objects.get().pk == left.pk
    assert again(person).email == "dora@x.example"
    assert Person.objects.find("tests.person.email", "dora@x.example").get() == person


def test_killed_between_the_commits_of_a_create_that_nobody_repeats_the_key_and_the_address_go(killed) -> None:
    person = Person()
    killed(CREATE, "", person.pk)
    collect_twice()
    assert not DataKey.objects.filter(wrapped__isnull=False).exists()
    assert not Token.objects.exists()
    Person.objects.create(email="dora@x.example")


def test_killed_before_the_row_of_a_correction_committed_the_old_value_stands(killed, work: unit.Unit) -> None:
    alice = Person.objects.create(name="Alice Smith")
    old = key_id(alice.sealed_account)
    killed(CORRECT, "before", alice.pk)
    work.keys.clear()
    assert again(alice).name == "Alice Smith"
    collect_twice()
    live = DataKey.objects.get(record=alice.pk, wrapped__isnull=False)
    assert (live.pk, live.superseded_by) == (old, None)
    assert again(alice).name == "Alice Smith"


def test_killed_after_the_row_of_a_correction_committed_the_old_key_still_goes(killed, work: unit.Unit) -> None:
    alice = Person.objects.create(name="Alice Smith")
    old = key_id(alice.sealed_account)
    killed(CORRECT, "after", alice.pk)
    assert again(alice).name == "Alice Jones"
    assert DataKey.objects.get(pk=old).wrapped is not None
    collect_twice()
    assert DataKey.objects.get(pk=old).wrapped is None
    assert not keys.is_destroyed(alice.pk, "account")
    work.keys.clear()
    assert again(alice).name == "Alice Jones"

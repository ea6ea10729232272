"""The key ring missing, wrong or damaged, and one key lost: refused at the start, or the rest is read and it is said (F18)."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from accounts.models import Customer
from ilt_site import startup
from privacy import gate, vault
from privacy.vault import ring
from privacy.vault.models import DataKey
from tests import factories
from tests.figures import report
from tests.journeys import asking

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]


def without_a_version(path: Path) -> None:
    """Take away the version that the data keys hang on, as if the wrong one had been retired by hand."""
    held = json.loads(path.read_text())
    newer = ring.new()
    extra = json.loads(newer.as_json())["keys"]["1"]
    path.write_text(json.dumps({**held, "current": 99, "keys": {"99": extra}}))


FAULTS: dict[str, Callable[[Path], Any]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_text(""),
    "cut off": lambda path: path.write_text(path.read_text()[:80]),
    "no ring at all": lambda path: path.write_text("[]"),
    "another installation's": lambda path: path.write_text(ring.new().as_json()),
    "readable by others": lambda path: path.chmod(0o644),
    "without the version in use": without_a_version,
    "with another root": lambda path: path.write_text(
        json.dumps({**json.loads(path.read_text()), "root": json.loads(ring.new().as_json())["root"]})
    ),
}


def starts() -> bool:
    """Do what web, worker and beat do before anything else; whether they would go on."""
    try:
        startup.refuse_unsafe_start()
        startup.refuse_foreign_parts()
    except ImproperlyConfigured as refusal:
        return not str(refusal)  # a refusal without a word would be silent
    return True


def test_a_ring_that_does_not_belong_here_is_refused_and_a_lost_key_is_reported(
    tmp_path: Path, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    whole = ring.current().as_json()
    path = tmp_path / "ring.json"
    ring.write(path, ring.parse(whole), new_file=True)
    settings.KEY_RING_FILE, settings.KEY_RING = str(path), ""
    vault.identity.verify()  # binds the empty databases, as `prepare` does
    alice = factories.customer("Alice", "Archer", email="alice@example.com")
    bob = factories.customer("Bob", "Barnes", email="bob@example.com")
    assert starts()
    silent = []
    for fault, make in FAULTS.items():
        make(path)
        if starts():
            silent.append(fault)
        path.unlink(missing_ok=True)
        ring.write(path, ring.parse(whole), new_file=True)
        assert starts(), "the right ring put back is enough"

    DataKey.objects.filter(record=alice.pk).delete()
    caplog.set_level(logging.ERROR)
    with gate.acting(asking.PAT):
        if not isinstance(Customer.objects.get(pk=alice.pk).email, vault.KeyUnavailable):
            silent.append("one key lost")
        assert Customer.objects.get(pk=bob.pk).email == "bob@example.com", "the rest is read"
        lost = Customer.objects.get(pk=alice.pk)
        lost.email = "alice@other.example"
        with pytest.raises(vault.KeyMissing):
            lost.save()
    if "data keys missing from the key store" not in caplog.text:
        silent.append("one key lost, not logged")
    assert silent == []
    report("F18", "faults of the ring that nobody is told of", len(silent), n=len(FAULTS) + 1, goal="0")

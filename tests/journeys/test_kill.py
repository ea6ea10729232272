"""A worker killed at any checkpoint leaves nothing half done, and everything is done once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import pytest
from django.conf import settings
from django.db import connections
from django.utils import timezone

from accounts.models import Customer
from privacy import gate
from privacy.models import AuditEvent
from privacy.requests import services
from privacy.requests.checkpoints import CHECKPOINTS
from privacy.requests.models import Letter, Request, RequestEvent
from privacy.vault import identity
from privacy.vault.models import DataKey, Tombstone
from tests import factories
from tests.journeys.asking import PAT

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]
ROOT = Path(__file__).resolve().parents[2]
SECONDS = 150


@dataclass
class Case:
    """One person whose request is stopped at one checkpoint."""

    checkpoint: str
    customer: UUID
    request: Request

    @property
    def is_access(self) -> bool:
        return self.checkpoint == "build_copy"

    @property
    def step(self) -> str:
        return "erase" if self.checkpoint == "between_commits" else self.checkpoint


def environment(**more: str) -> dict[str, str]:
    """The environment of this test, with the test databases instead of the originals."""
    urls = {"DATABASE_URL": "default", "KEYSTORE_DATABASE_URL": "keystore"}
    told = {name: _named(os.environ[name], connections[alias].settings_dict["NAME"]) for name, alias in urls.items()}
    return {**os.environ, **told, "EXPORT_DIR": str(settings.EXPORT_DIR), "PYTHONPATH": str(ROOT), **more}


def _named(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


class Celery:
    """A Celery process of the site, in a group of its own."""

    def __init__(self, *arguments: str, log: Path, **more: str) -> None:
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", "--app", "ilt_site", "--quiet", *arguments],
                env=environment(**more), cwd=ROOT, stdout=out, stderr=out, start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        """kill -9 of the worker and all its children."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)


@pytest.fixture
def beat(tmp_path: Path) -> Iterator[Celery]:
    started = Celery("beat", "--pidfile=", f"--schedule={tmp_path / 'beat'}", log=tmp_path / "beat.log")
    yield started
    started.kill()


def filed(checkpoint: str, number: int) -> Case:
    """A person with a request that is ready to be stopped at `checkpoint`."""
    customer = factories.customer("Alice", f"Archer{number}", email=f"alice{number}@example.com")
    factories.address(customer)
    now = timezone.now()
    kind = "access" if checkpoint == "build_copy" else "erasure"
    with gate.acting(PAT):
        request = services.file(
            kind=kind, subject=customer.subject_id, channel="phone", received_on=timezone.localdate(now),
            identity="callback", actor=PAT, now=now,
        )  # fmt: skip
        if kind == "erasure" and checkpoint != "plan":
            plan = services.make_plan(request, actor=PAT, now=now)
            services.confirm(request, plan.hash, actor=PAT, now=now)
    return Case(checkpoint, customer.pk, request)


def until(condition: Callable[[], bool], missing: Callable[[], object]) -> None:
    """Wait for a condition; fail with what is missing."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, missing()
        time.sleep(0.2)


def test_killed_at_each_checkpoint_it_ends_executed_once(beat: Celery, tmp_path: Path) -> None:
    assert identity.verify() == []  # as a first start does: ring, key store and main database belong together
    bob = factories.customer("Bob", "Barnes", email="bob@example.com")
    cases = [filed(checkpoint, number) for number, checkpoint in enumerate(CHECKPOINTS)]
    held = ",".join(f"{case.checkpoint}:{case.request.pk}" for case in cases)
    worker = ["worker", "--without-gossip", "--without-mingle", "--concurrency"]
    first = Celery(
        *worker, str(len(cases) + 2), log=tmp_path / "first.log", ILT_HOLD_AT=held, ILT_HOLD_DIR=str(tmp_path / "held")
    )  # fmt: skip
    try:
        waiting = {case.checkpoint: tmp_path / "held" / f"held-{case.checkpoint}-{case.request.pk}" for case in cases}
        until(
            lambda: all(marker.exists() for marker in waiting.values()),
            lambda: [n for n, m in waiting.items() if not m.exists()],
        )
        assert not Request.objects.filter(state="closed").exists()
        between = next(case for case in cases if case.checkpoint == "between_commits")
        keys = DataKey.objects.filter(record=between.customer, envelope="account")
        assert [key.wrapped for key in keys] == [None]  # the key is gone and committed,
        assert Customer.objects.get(pk=between.customer).sealed_account is not None  # the row does not know yet
    finally:
        first.kill()

    second = Celery(*worker, "2", log=tmp_path / "second.log")
    try:
        (planned,) = [case for case in cases if case.checkpoint == "plan"]
        until(lambda: Request.objects.get(pk=planned.request.pk).state == "planned", lambda: "the plan again")
        request = Request.objects.get(pk=planned.request.pk)
        with gate.acting(PAT):
            services.confirm(request, request.plan_hash, actor=PAT, now=timezone.now())
        open_ones = Request.objects.exclude(state="closed").exclude(kind="access", state="replied")
        until(
            lambda: not open_ones.exists(),
            lambda: list(open_ones.values_list("state", "step", "attempts", "last_error")),
        )
    finally:
        second.kill()

    for case in cases:
        request = Request.objects.get(pk=case.request.pk)
        assert request.tries[case.step] >= 2, case.checkpoint
        steps = list(RequestEvent.objects.filter(request=request, kind="step").values_list("step", flat=True))
        assert len(steps) == len(set(steps)), case.checkpoint
        answers = (
            Letter.objects.filter(request=request)
            .exclude(kind__in=["acknowledgement"])
            .exclude(kind__startswith="link")
        )
        assert answers.count() == 1, (case.checkpoint, list(answers.values_list("kind", flat=True)))
        assert answers.get().attempts == 1
        tombstones = Tombstone.objects.filter(reference=request.reference).count()
        assert tombstones == (0 if case.is_access else 1), case.checkpoint
        filings = AuditEvent.objects.filter(reference=request.reference, action="subject.erased").count()
        assert filings == (0 if case.is_access else 1), case.checkpoint
        assert Customer.objects.filter(pk=case.customer).exists() == case.is_access, case.checkpoint
    with gate.acting(PAT):
        assert Customer.objects.get(pk=bob.pk).email == "bob@example.com"

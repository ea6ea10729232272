"""Celery processes of the site on the test databases, and people whose requests they carry out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from django.conf import settings
from django.db import connections
from django.utils import timezone

from accounts.models import Customer
from privacy import gate
from privacy.letters.models import Letter
from privacy.models import AuditEvent
from privacy.requests import services, sight
from privacy.requests.models import Request, RequestEvent
from privacy.vault.models import Tombstone
from tests import factories
from tests.asked import taken_in
from tests.journeys.asking import OPERATOR, PAT

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
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

    def marker(self, folder: Path) -> Path:
        """Return the file that says, with the process id, that a worker waits at the checkpoint."""
        return folder / f"held-{self.checkpoint}-{self.request.pk}"

    def holder(self, folder: Path) -> int | None:
        """Return the process that waits at the checkpoint, None before."""
        marker = self.marker(folder)
        return int(marker.read_text() or 0) or None if marker.exists() else None


def held_at(cases: Sequence[Case], folder: Path) -> dict[str, str]:
    """Return the environment in which workers stop at the cases' checkpoints, once each."""
    places = ",".join(f"{case.checkpoint}:{case.request.pk}" for case in cases)
    return {"ILT_HOLD_AT": places, "ILT_HOLD_DIR": str(folder)}


def environment(**more: str) -> dict[str, str]:
    """Return the environment of this test, with the test databases instead of the originals."""
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

    def children(self) -> set[int]:
        """Return the processes of the worker's pool."""
        pid = self.process.pid
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    def kill(self) -> None:
        """kill -9 of the worker and all its children."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)


@contextmanager
def beat(folder: Path, name: str = "beat", **more: str) -> Iterator[Celery]:
    """Run a beat with a schedule file of its own until the end of the block."""
    log = folder / f"{name}.log"
    with _running(Celery("beat", "--pidfile=", f"--schedule={folder / name}", log=log, **more)) as started:
        yield started


@contextmanager
def worker(folder: Path, processes: int, **more: str) -> Iterator[Celery]:
    """Run a worker with so many pool processes until the end of the block."""
    arguments = (
        "worker",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
        "--concurrency",
        str(processes),
    )
    with _running(Celery(*arguments, log=folder / "worker.log", **more)) as started:
        yield started


@contextmanager
def _running(started: Celery) -> Iterator[Celery]:
    try:
        yield started
    finally:
        started.kill()


def filed(checkpoint: str, number: int) -> Case:
    """Return a person with a request that is ready to be stopped at `checkpoint`: an erasure, or a copy for
    "build_copy"."""
    customer = factories.customer("Alice", f"Archer{number}", email=f"alice{number}@example.com")
    factories.address(customer)
    now = timezone.now()
    kind = "access" if checkpoint == "build_copy" else "erasure"
    with gate.acting(PAT):
        request = taken_in(kind, customer.subject_id, channel="phone", identity="callback", actor=OPERATOR, now=now)
        if kind == "erasure" and checkpoint != "plan":
            plan = services.make_plan(request, actor=PAT, now=now)
            services.confirm(request, plan.hash, actor=sight.acting_as(request), now=now)
    return Case(checkpoint, customer.pk, request)


def ended(cases: Sequence[Case]) -> set[Case]:
    """Return the cases that are over: an erasure closed, a copy answered."""
    states = dict(Request.objects.filter(pk__in=[case.request.pk for case in cases]).values_list("pk", "state"))
    return {case for case in cases if states[case.request.pk] in ("closed", "replied" if case.is_access else "closed")}


def where(cases: Sequence[Case]) -> list[tuple[str, ...]]:
    """Return how far the cases are, for the message of a test that waits in vain."""
    found = Request.objects.filter(pk__in=[case.request.pk for case in cases]).exclude(state="closed")
    return list(found.values_list("state", "step", "attempts", "last_error"))


def doubled(case: Case) -> int:
    """Assert that a case that is over had each of its effects, and return how often one came once more."""
    request = Request.objects.get(pk=case.request.pk)
    steps = list(RequestEvent.objects.filter(request=request, kind="step").values_list("step", flat=True))
    letters = Letter.objects.filter(request=request).exclude(kind="acknowledgement").exclude(kind__startswith="link")
    sent = [letter.attempts for letter in letters]
    times = [letters.count(), *sent]
    if not case.is_access:
        times.append(Tombstone.objects.filter(reference=request.reference).count())
        times.append(AuditEvent.objects.filter(reference=request.reference, action="subject.erased").count())
    assert 0 not in times and steps, (case.checkpoint, times)
    assert Customer.objects.filter(pk=case.customer).exists() == case.is_access, case.checkpoint
    return sum(times) - len(times) + len(steps) - len(set(steps))

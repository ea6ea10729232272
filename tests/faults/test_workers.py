"""Workers killed at any moment, and started twice: every erasure ends, and has its effect once (R1–R3)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
from django.db import connections
from django.utils import timezone

from orders.models import Order
from privacy import gate
from privacy.models import AuditEvent
from privacy.requests import broker, procedures
from privacy.sweep import arming
from privacy.vault.keystore import identity
from tests import factories
from tests.factories import an_order
from tests.faults import workers
from tests.faults.measuring import CEILING, p95, until
from tests.figures import report, tries
from tests.journeys.asking import PAT
from tests.running import command, environment, free_port, run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault]
STEPS = [
    name for one in procedures.get("erasure").steps for name in one.stops if name != "plan"
]  # once it is confirmed
HALF_DONE_SECONDS = 60


@pytest.fixture(autouse=True)
def _bob() -> Iterator[None]:
    """A stranger, whose data nothing here may touch."""
    assert identity.verify() == []  # as a first start does: ring, key store and main database belong together
    bob = factories.customer("Bob", "Barnes", email="bob@example.com")
    yield
    with gate.acting(PAT):
        assert type(bob).objects.get(pk=bob.pk).email == "bob@example.com"


def erasures(number: int, seed: str, first: int = 0) -> list[workers.Case]:
    """Return so many erasures, each to be stopped at a random step."""
    picked = random.Random(seed)
    return [workers.filed(picked.choice(STEPS), first + one) for one in range(number)]


def ends(cases: list[workers.Case], begun: Callable[[], Mapping[workers.Case, float]]) -> list[float]:
    """Wait until every case is over; return how long each took, in seconds from when it was begun by `begun()`."""
    took: dict[workers.Case, float] = {}

    def all_ended() -> bool:
        for case, begin in begun().items():
            if case not in took and case in workers.ended([case]):
                took[case] = time.monotonic() - begin
        return len(took) == len(cases)

    until(all_ended, lambda: workers.where(cases), seconds=CEILING + 10 * len(cases))
    return [*took.values()]


def test_f1_a_child_killed_at_any_step_of_an_erasure_delays_it_and_does_nothing_twice(
    beat: workers.Celery, tmp_path: Path
) -> None:
    cases = erasures(tries(5, 50), "F1")
    held = tmp_path / "held"
    killed: dict[workers.Case, float] = {}

    with workers.worker(tmp_path, 4, **workers.held_at(cases, held)) as running:

        def kill_who_waits() -> dict[workers.Case, float]:
            for case in cases:
                if case not in killed and (pid := case.holder(held)):
                    assert pid in running.children()
                    os.kill(pid, signal.SIGKILL)
                    killed[case] = time.monotonic()
            return killed

        took = ends(cases, kill_who_waits)
    twice = sum(workers.doubled(case) for case in cases)
    assert twice == 0
    late = sum(seconds > HALF_DONE_SECONDS for seconds in took)
    report("F1", "erasures that did not end", len(cases) - len(took), n=len(cases), goal="0")
    report("F1", "effects had twice", twice, n=len(cases), goal="0")
    report("F1", f"half done {HALF_DONE_SECONDS} s after the kill", late, n=len(cases), goal="0")
    report("F1", "p95 from the kill to the end", p95(took), unit="s", n=len(cases), goal="≤ 60 s")


def test_f2_a_whole_worker_killed_and_started_again_finishes_what_it_had_begun(
    beat: workers.Celery, tmp_path: Path
) -> None:
    took: list[float] = []
    at_once = 4
    for number in range(tries(1, 10)):
        took += killed_whole(erasures(at_once, f"F2 {number}", first=at_once * number), tmp_path / f"held{number}")
    report("F2", "erasures that did not end", at_once * tries(1, 10) - len(took), n=len(took), goal="0")
    report("F2", "p95 from the kill to the end", p95(took), unit="s", n=len(took), goal="≤ 45 s")


def killed_whole(cases: list[workers.Case], held: Path) -> list[float]:
    """Kill a worker when it waits at the step of each case, start another; return how long each case took then."""
    with workers.worker(held.parent, len(cases), **workers.held_at(cases, held)) as first:
        until(lambda: all(case.holder(held) for case in cases), lambda: workers.where(cases))
        first.kill()
        begin = time.monotonic()
    with workers.worker(held.parent, 2):
        took = ends(cases, lambda: dict.fromkeys(cases, begin))
    assert [workers.doubled(case) for case in cases] == [0] * len(cases)
    return took


def test_f13_two_beats_two_workers_and_two_pollers_do_nothing_twice(beat: workers.Celery, tmp_path: Path) -> None:
    cases = [workers.filed(STEPS[0], number) for number in range(tries(4, 50))]
    stop = threading.Event()

    def poll() -> int:
        sent = 0
        while not stop.wait(0.05):
            sent += broker.poll(now=timezone.now())
        connections.close_all()
        return sent

    begin = time.monotonic()
    with (
        workers.beat(tmp_path, "second-beat"),
        workers.worker(tmp_path, 2),
        workers.worker(tmp_path, 2),
        ThreadPoolExecutor(2) as pool,
    ):
        pollers = [pool.submit(poll) for _ in range(2)]
        try:
            took = ends(cases, lambda: dict.fromkeys(cases, begin))
        finally:
            stop.set()
        assert [one.exception() for one in pollers] == [None, None]
    twice = sum(workers.doubled(case) for case in cases)
    assert twice == 0
    report("F13", "effects had twice with two beats, two pollers, two workers", twice, n=len(took), goal="0")


def test_f13_two_sweeps_at_once_end_each_record_once(tmp_path: Path) -> None:
    arming.arm(actor=None)
    due = [old_order(number) for number in range(tries(6, 20))]
    sweeps = [
        subprocess.Popen(
            [sys.executable, workers.ROOT / "manage.py", "retention_sweep", "--json"],
            env=workers.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    said = [one.communicate(timeout=CEILING) for one in sweeps]
    codes = sorted(one.returncode for one in sweeps)
    assert codes in ([0, 0], [0, 3]), said  # the second came after the first, or was told that one is running
    for (_, errors), sweep in zip(said, sweeps, strict=True):
        assert sweep.returncode == 0 or "Another sweep is running." in errors
    erased = AuditEvent.objects.filter(action="record.erased", label="orders.order").values_list("record", flat=True)
    assert len(set(erased)) == len(due)
    assert not Order.objects.exclude(sealed_order=None, sealed_fulfilment=None).exists()
    twice = len(erased) - len(set(erased))
    assert twice == 0
    report("F13", "records ended twice by two sweeps at once", twice, n=len(due), goal="0")


def old_order(number: int) -> Order:
    """Return an order whose every reason has ended, of somebody who is still a customer."""
    day = date(2015, 6, 10)
    return an_order(factories.customer("Old", f"Order{number}"), day, invoiced=day, shipped=day, paid=day)


def test_f13_of_two_launchers_on_one_folder_one_serves_and_the_other_says_so_in_a_sentence() -> None:
    with tempfile.TemporaryDirectory(prefix="ilt-run-") as made:
        Path(made).chmod(0o711)  # the servers' account must pass through
        folder = Path(made) / "data"
        arguments = command("--data", str(folder))
        both = [
            subprocess.Popen(
                [*arguments, "--port", str(free_port())],
                env=environment(), cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for _ in range(2)
        ]  # fmt: skip
        try:
            until(lambda: any(one.poll() is not None for one in both), lambda: "both launchers run")
            (loser,) = [one for one in both if one.poll() is not None]
            (winner,) = [one for one in both if one is not loser]
            said = loser.communicate()[1]
            assert (loser.returncode, said.count("\n")) == (1, 1), said
            assert said.startswith("run: ") and f"is running already (process {winner.pid})" in said
            ready = until(
                lambda: run("status", "--data", str(folder)).returncode == 0, lambda: "the site is not healthy"
            )
            assert ready
        finally:
            for one in both:
                one.terminate()
                one.communicate(timeout=CEILING)
            run("reset", "--yes", "--data", str(folder))
    report("F13", "launchers that served of two on one folder", 1, n=1, goal="1")

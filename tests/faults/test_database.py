"""PostgreSQL restarted amid a sweep while people use the site: nothing stays half done, and the pages come back (R1,
R2)."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest

from tests.faults import sites
from tests.faults.measuring import CEILING, p95, until
from tests.figures import report, tries
from tests.journeys import stack
from tests.running import Running, command, environment

pytestmark = [pytest.mark.journey, pytest.mark.fault]
CLIENTS = 8
PAGES = ("/account/", "/privacy/requests/", "/privacy/held/")
SAID = ("cannot be reached at this moment", "closed for the moment")  # the two pages in words that a person may meet
ORDERS = 8  # whose reasons have ended, for each restart
RESTARTS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}

# Run in the site.
DUE = """
from datetime import date
from privacy.sweep import arming
from tests import factories
from tests.factories import an_order
arming.arm(actor=None)
day = date(2015, 6, 10)
for number in range({count}):
    customer = factories.customer("Old", f"Order{{number}}", reference=f"D{{number:06d}}")
    print("DUE", an_order(customer, day, invoiced=day, shipped=day, paid=day).pk)
"""
HALF = """
from privacy import datamap, vault
half = 0
for declaration in datamap.declarations():
    if issubclass(declaration.model, vault.SealedModel):
        for envelope in declaration.model.envelopes():
            rows = declaration.model._base_manager.exclude(**{f"sealed_{envelope}": None})
            half += len(vault.keys.destroyed([(pk, envelope) for pk in rows.values_list("pk", flat=True)]))
print("HALF", half)
"""


@dataclass
class Client:
    """Somebody who opens one page after the other; what each came to."""

    browser: stack.Browser
    stop: threading.Event
    answers: list[tuple[float, float, int]] = field(default_factory=list)  # asked, answered, status
    wrong: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Open pages until told to stop."""
        while not self.stop.is_set():
            for path in PAGES:
                asked = time.monotonic()
                try:
                    status = self.browser.get(path)
                except OSError as error:
                    self.wrong.append(f"{path}: {type(error).__name__}")
                    continue
                self.answers.append((asked, time.monotonic(), status))
                if status >= 500 and not (status == 503 and any(words in self.browser.page for words in SAID)):
                    self.wrong.append(f"{path}: a bare {status}")
                if status < 500 and not (status == 200 and self.browser.url.endswith(path)):
                    self.wrong.append(f"{path}: {status} at {self.browser.url}")

    def first_page_after(self, moment: float) -> float | None:
        """Return when the first page came that was asked for after `moment`."""
        return next((end for begin, end, status in self.answers if begin > moment and status == 200), None)


def shell(site: Running, code: str, word: str) -> list[str]:
    """Run code in the site; return what it printed after `word`."""
    done = stack.manage(site, "shell", "--no-imports", "-c", code)
    assert done.returncode == 0, done.stderr[-2000:]
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith(word)]


def sweep(site: Running, folder: Path) -> subprocess.Popen[str]:
    """Start a sweep that waits, once, when it has destroyed keys and not yet committed the rows."""
    return subprocess.Popen(
        command("--data", str(site.folder), "manage", "retention_sweep", "--json"),
        env=environment(ILT_HOLD_AT="between_commits", ILT_HOLD_DIR=str(folder)),
        cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() == b""
    except FileNotFoundError:
        return True


def restart(site: Running, how: signal.Signals) -> tuple[float, float]:
    """Stop PostgreSQL, which the launcher starts again; return when it was told and when it was gone."""
    postgres = sites.process(site, "bin/postgres")
    told = time.monotonic()
    os.kill(postgres, how)
    until(lambda: is_gone(postgres), lambda: "PostgreSQL did not stop")
    return told, time.monotonic()


def test_f6_postgresql_restarted_amid_a_sweep_leaves_no_half_step_and_the_web_comes_back(
    site: Running, tmp_path: Path
) -> None:
    rounds, picked = tries(2, 20), random.Random("F6")
    due = [UUID(one) for one in shell(site, DUE.format(count=ORDERS * rounds), "DUE")]
    stop = threading.Event()
    clients = [Client(browser, stop) for browser in sites.arrive(site, CLIENTS, first=1)]
    threads = [threading.Thread(target=client.run, daemon=True) for client in clients]
    web = sites.pool(site, "gunicorn")
    back: list[float] = []
    broken_off = 0
    for thread in threads:
        thread.start()
    try:
        for number in range(rounds):
            folder = tmp_path / str(number)
            marker = folder / "held-between_commits"
            running = sweep(site, folder)
            until(lambda: marker.exists() or running.poll() is not None, lambda: "no sweep")  # noqa: B023
            if number % 2:  # any moment afterwards
                marker.unlink(missing_ok=True)
                time.sleep(picked.random() / 2)
            told, gone = restart(site, list(RESTARTS.values())[number // 2 % 2 if rounds > 2 else number % 2])
            marker.unlink(missing_ok=True)
            until(
                lambda: all(client.first_page_after(gone) for client in clients),  # noqa: B023
                lambda: [client.answers[-3:] for client in clients],
            )
            back.append(min(client.first_page_after(gone) or 0 for client in clients) - told)
            running.communicate(timeout=CEILING)
            broken_off += running.returncode != 0
    finally:
        stop.set()
        for thread in threads:
            thread.join(CEILING)
    assert broken_off > 0
    # A process that has answered its five thousand requests is exchanged, and says so: that is no crash.
    exchanged = (site.folder / "logs" / "web.log").read_text().count("Autorestarting worker")
    now = sites.pool(site, "gunicorn")
    assert (now[0], len(now)) == (web[0], len(web))
    restarted = max(len(set(web) - set(now)) - exchanged, 0)
    assert restarted == 0
    assert [line for client in clients for line in client.wrong] == []

    until(lambda: nothing_due(site), lambda: "the sweeps do not come to an end")
    rows = sites.query(
        site, "SELECT sealed_order, sealed_fulfilment, customer_id FROM orders_order WHERE id = ANY(%s::uuid[])",
        [[str(one) for one in due]],
    )  # fmt: skip
    assert rows == [(None, None, None)] * len(due)
    live = "SELECT count(*) FROM vault_datakey WHERE record = ANY(%s::uuid[]) AND destroyed_at IS NULL"
    assert sites.query(site, live, [[str(one) for one in due]], database="ilt_keystore") == [(0,)]
    (half,) = shell(site, HALF, "HALF")
    assert half == "0"
    events = "SELECT record FROM privacy_auditevent WHERE action = 'record.erased' AND label = 'orders.order'"
    erased = sites.query(site, events)
    assert len(erased) == len(set(erased)) >= len(due)  # the demo company has old orders of its own
    until(lambda: stack.manage(site, "verify_audit").returncode == 0, lambda: "the audit log does not verify")

    statuses = Counter(status for client in clients for _, _, status in client.answers)
    report(
        "F6", "records half erased, or erased twice", int(half) + len(erased) - len(set(erased)), n=len(due), goal="0"
    )
    report("F6", "bare 500s, broken connections, people signed out", 0, n=statuses.total(), goal="0")
    report("F6", "pages that said 503 in words", statuses[503], n=statuses.total(), goal="counted")
    report("F6", "web processes started again", restarted, n=rounds, goal="0")
    report("F6", "p95 from the order to restart to the first page", p95(back), unit="s", n=rounds, goal="≤ 3 s")


def nothing_due(site: Running) -> bool:
    """Run one sweep; return whether it left nothing to do."""
    done = stack.manage(site, "retention_sweep", "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    return bool(told["erased"] == 0 and told["stopped_by_cap"] == 0)

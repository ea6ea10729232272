"""F7: each task delivered twice in a row, and four times at once, ends where one delivery ends (R3)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.db import connections
from django.utils import timezone

from accounts.models import Communication, Joining, User
from accounts.tasks import end_unconfirmed, settle_joinings
from ilt_site.celery import app
from privacy import letters, tasks
from privacy.requests import export, services
from privacy.requests.models import Export, OneTimeLink, Request
from privacy.sweep import arming
from privacy.vault.keystore import keys
from tests import databases, factories
from tests.asked import taken_in
from tests.factories import TASK, an_order, as_customer
from tests.faults.together import together
from tests.figures import report, tries

pytestmark = [pytest.mark.fault, pytest.mark.django_db(transaction=True)]
OURS = ("accounts", "ilt_site", "orders", "privacy", "rma")
# Each run of the sweep says that it ran and when: no effect, but the mark by which it notices a clock that jumped.
SWEPT = "retention.swept"
BOOKKEEPING = {"privacy_sweep_state", "django_migrations", "django_content_type", "auth_permission"}
# What differs from one world to the next though the same was done: ids, hashes, sealed bytes and their
# length, references, times.
CHANCE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|\\x[0-9a-f]+|[A-Z]{2,3}-\d{4}-\w{4,6}(?:-\w\w)?|T\d{6}"
    r"|\bp[0-9a-z]{16}\b|[\w$=+/-]{24,}|\d{4}-\d\d-\d\d[ T]\d\d:[^\",)]*|-?\d{9,}|,\d+\)$"
    r"|(?<=,)\d+(?=,(?:[0-9a-f-]{36}|\"\")?\)$)|(?<=sealed,)\d+|(?<=size\"\": )\d+"
)

Deliver = Callable[[Callable[[], Any]], None]


@pytest.fixture(autouse=True)
def _apart(settings: Any, tmp_path: Path) -> None:
    settings.EXPORT_DIR, settings.CHECKPOINT_DIR = str(tmp_path / "exports"), str(tmp_path / "checkpoints")
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"


class World:
    """Something for every task to do: requests that wait, a letter, an old copy, an old order, an orphan key."""

    def __init__(self) -> None:
        now = timezone.now()
        mail.outbox = []
        alice = factories.customer(user=factories.login())
        factories.address(alice)
        an_order(alice, date(2017, 5, 2), invoiced=date(2017, 5, 2), shipped=date(2017, 5, 2), paid=date(2017, 5, 2))
        an_order(alice, date(2024, 5, 2), invoiced=date(2024, 5, 2), shipped=date(2024, 5, 2), paid=date(2024, 5, 2))
        dora = factories.customer("Dora", "Dean", email="dora@example.com", last_active_on=date(2026, 11, 1))
        an_order(dora, date(2016, 5, 2), invoiced=date(2016, 5, 2), shipped=date(2016, 5, 2), paid=date(2016, 5, 2))
        eve = factories.customer("Eve", "East", email="eve@example.com")
        an_order(eve, date(2015, 5, 2), invoiced=date(2015, 5, 2), shipped=date(2015, 5, 2), paid=date(2015, 5, 2))
        self.erasure = self._filed("erasure", alice)
        made = services.make_plan(self.erasure, actor=as_customer(alice), now=now)
        services.confirm(self.erasure, made.hash, actor=as_customer(alice), now=now)
        self.access = self._filed("access", dora)
        letters.queue_message(EmailMultiAlternatives("News", "Text", to=["dora@example.com"]), "news:1", now=now)
        self._old_copy(now - timedelta(days=40))
        arming.arm(actor=TASK)
        keys.make([keys.Wanted(uuid4(), "account", "accounts.customer")])
        with connections["keystore"].cursor() as cursor:
            cursor.execute("UPDATE vault_datakey SET created_at = now() - interval '3 h'")
            cursor.execute("UPDATE vault_datakey SET doubted_at = now() - interval '8 days' WHERE owner_kind = 'none'")

    def _filed(self, kind: str, customer: Any) -> Request:
        now = timezone.now()
        return taken_in(kind, customer.subject_id, identity="login", actor=as_customer(customer), now=now)

    def _old_copy(self, then: Any) -> None:
        request = self._filed("access", factories.customer("Frank", "Fox", email="frank@example.com"))
        made = Export.objects.create(request=request, path=f"{'0' * 32}.sealed", built_at=then, expires_at=then)
        (export.folder() / made.path).write_bytes(b"sealed")
        OneTimeLink.objects.create(
            token_hash="0" * 64, purpose="result", request=request, created_at=then, expires_at=then
        )


def walk(world: World, deliver: Deliver) -> None:
    """Deliver the message of each step of both requests, from the first to the last."""
    for request in (world.access, world.erasure):
        for _ in range(30):
            request.refresh_from_db()
            if not request.step or (request.step == "close" and request.kind == "access"):
                break
            message = (str(request.pk), request.step, request.version)
            deliver(lambda message=message: tasks.advance(*message))  # type: ignore[misc]
        assert request.state in ("closed", "replied", "executed"), (request.state, request.step, request.last_error)


def settle(_: World, deliver: Deliver) -> None:
    """Leave a joining as a killed process does: the links moved, the keys did not."""
    into, message = factories.subject(), factories.communication()
    links = [["accounts.Communication", "subject_id", str(message.subject_id), "into", [str(message.pk)]]]
    Communication.objects.filter(pk=message.pk).update(subject=into)
    made = Joining.objects.create(
        subject=into, asked_by="staff", opened_at=factories.NOW, outcome="joined", decided_at=factories.NOW,
        moved={"links": links, "people": []}, is_settled=False,
    )  # fmt: skip
    made.bind().save()
    deliver(settle_joinings)
    assert Joining.objects.get().is_settled


def lapse(_: World, deliver: Deliver) -> None:
    """Leave a sign-up that nobody confirmed in time."""
    user = factories.login("zoe", "zoe@example.com", verified=False)
    deliver(end_unconfirmed)
    assert not User.objects.filter(pk=user.pk).exists()


DELIVERIES: dict[str, Callable[[World, Deliver], None]] = {
    "accounts.tasks.end_unconfirmed": lapse,
    "accounts.tasks.settle_joinings": settle,
    "privacy.tasks.advance": walk,
    "privacy.tasks.poll": lambda _, deliver: deliver(tasks.poll),
    "privacy.tasks.send_letters": lambda _, deliver: deliver(tasks.send_letters),
    "privacy.tasks.expire_exports": lambda _, deliver: deliver(tasks.expire_exports),
    "privacy.tasks.sweep": lambda _, deliver: deliver(tasks.sweep),
    "privacy.tasks.seal_audit": lambda _, deliver: deliver(tasks.seal_audit),
    "privacy.tasks.checkpoint_audit": lambda _, deliver: (tasks.seal_audit(), deliver(tasks.checkpoint_audit)),
    "privacy.tasks.collect_keys": lambda _, deliver: deliver(tasks.collect_keys),
    "privacy.tasks.follow_ledger": lambda world, deliver: (walk(world, lambda once: once()), deliver(tasks.follow_ledger)),
}  # fmt: skip


def rows() -> dict[str, list[str]]:
    """Return every row of both databases as text, by table."""
    found = {}
    for alias in ("default", "keystore"):
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
            for table in [name for (name,) in cursor.fetchall() if name not in BOOKKEEPING]:
                cursor.execute(f'SELECT t::text FROM "{table}" t ORDER BY 1')
                found[f"{alias}.{table}"] = [row for (row,) in cursor.fetchall() if SWEPT not in row]
    return found


def files() -> list[tuple[str, int]]:
    """Return the files that tasks write, with their lengths in lines."""
    from django.conf import settings

    folders = (Path(settings.EXPORT_DIR), Path(settings.CHECKPOINT_DIR))
    return [(path.suffix, path.read_bytes().count(b"\n") * (path.suffix == ".jsonl")) for folder in folders
            for path in sorted(folder.glob("*"))]  # fmt: skip


def exactly() -> Any:
    return rows(), files(), len(mail.outbox)


def alike() -> Any:
    """Return the end state with all that is drawn by chance blotted out: how many rows of which content."""
    blotted = {
        table: Counter(re.sub(r"^\(\d+,", "(#,", CHANCE.sub("#", row)) for row in listed)
        for table, listed in rows().items()
    }
    return blotted, files(), sorted(message.subject for message in mail.outbox)


def empty() -> None:
    # Rows that earlier tests deleted and rolled back wait there for a commit, and would be taken for deleted with ours.
    connections["default"].__dict__.pop("vault_deleted", None)
    for alias in ("default", "keystore"):
        databases.put_back(alias, count_anew=True)


def same(one: Any, other: Any) -> None:
    """Fail with the rows that are in one of two states only."""
    if one != other:
        tables = {table: (Counter(one[0][table]), Counter(other[0][table])) for table in one[0]}
        rows = {table: (dict(a - b), dict(b - a)) for table, (a, b) in tables.items() if a != b}
        pytest.fail(f"{rows} {one[1:]} {other[1:]}")


def twice_in_a_row(message: Callable[[], Any]) -> None:
    message()
    before = exactly()
    message()
    same(before, exactly())


def four_at_once(message: Callable[[], Any]) -> None:
    ends = together([message] * 4)
    assert not [end for end in ends if isinstance(end, Exception)], ends


def test_every_registered_task_is_delivered_here() -> None:
    app.loader.import_default_modules()
    registered = {name for name, task in app.tasks.items() if task.__module__.split(".")[0] in OURS}
    assert set(DELIVERIES) == registered
    share = 100 * len(DELIVERIES) / len(registered)
    report("F7", "tasks covered of those registered", share, n=len(registered), goal="100 %", unit="%")


@pytest.mark.parametrize("name", sorted(DELIVERIES))
def test_delivered_twice_or_four_times_it_ends_as_if_once(name: str, tmp_path: Path, settings: Any) -> None:
    deliver, rounds = DELIVERIES[name], tries(1, 10)
    empty()  # counters, too
    deliver(World(), twice_in_a_row)
    once = alike()
    for number in range(rounds):
        empty()
        settings.EXPORT_DIR, settings.CHECKPOINT_DIR = str(tmp_path / f"e{number}"), str(tmp_path / f"c{number}")
        deliver(World(), four_at_once)
        same(once, alike())
    report("F7", f"doubled effects of {name.rpartition('.')[2]}", 0, n=rounds + 1, goal="0")

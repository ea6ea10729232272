"""Health: little for strangers, enough for staff and for an alarm."""

import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from django.core.cache import cache
from django.db import connections
from django.test import Client

from ilt_site import health
from ilt_site.launcher import Problem
from ilt_site.launcher.place import Place
from ilt_site.launcher.servers import free_port
from ilt_site.launcher.site import Site
from privacy import tasks
from privacy.restore import maintenance
from tests import factories

pytestmark = pytest.mark.django_db
SILENT = "No worker has finished a task in the last 60 seconds"


@pytest.fixture(autouse=True)
def _ask_anew() -> None:
    health._all.until = health._live.until = 0.0


def test_without_a_worker_a_stranger_reads_not_ok_and_nothing_else(client: Client) -> None:
    response = client.get("/health/")
    assert (response.status_code, response.content) == (503, b"not ok\n")


def test_a_load_balancer_may_send_people_here_without_a_worker(client: Client) -> None:
    response = client.get("/health/live/")
    assert (response.status_code, response.content) == (200, b"ok\n")


def test_answers_are_kept_for_some_seconds_so_that_asking_costs_little() -> None:
    asked: list[int] = []

    def database() -> str:
        asked.append(1)
        return ""

    answers = health.Answers({**health.LIVE, "asked": database})
    expected = {"database": "ok", "key store": "ok", "asked": "ok"}
    assert [answers.get(), answers.get(), len(asked)] == [expected] * 2 + [1]


def test_while_one_asks_a_part_that_does_not_answer_the_others_get_the_results_of_before() -> None:
    asked, go_on = threading.Event(), threading.Event()
    calls: list[int] = []

    def slow() -> str:
        calls.append(1)
        if len(calls) > 1:
            asked.set()
            go_on.wait(30)
        return ""

    answers = health.Answers({"slow": slow})
    before = answers.get()
    answers.until = 0.0
    first = threading.Thread(target=answers.get)
    first.start()
    try:
        assert asked.wait(10)
        later: list[dict[str, str]] = []
        second = threading.Thread(target=lambda: later.append(answers.get()), daemon=True)
        second.start()
        second.join(3)
        assert later == [before] == [{"slow": "ok"}]
        assert len(calls) == 2
    finally:
        go_on.set()
        first.join()


def test_each_part_that_is_down_says_so_without_its_address(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.REDIS_URL = "redis://somebody:secret@127.0.0.1:1/0"
    monkeypatch.setitem(connections.databases["keystore"], "PORT", "1")
    assert health._ask({**health.LIVE, "redis": health._redis}) == {
        "database": "ok",
        "key store": "The database does not answer",
        "redis": "Redis does not answer",
    }


def test_a_part_that_never_answers_and_one_that_breaks_keep_the_others_from_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "WAIT_SECONDS", 0.2)
    for_ever = threading.Event()

    def silent() -> str:
        for_ever.wait(30)
        return ""

    def broken() -> str:
        raise LookupError("secret")

    try:
        assert health._ask({"silent": silent, "broken": broken, "well": lambda: ""}) == {
            "silent": "No answer within 0 seconds",
            "broken": "The check itself failed; the log says why",
            "well": "ok",
        }
    finally:
        for_ever.set()


@pytest.mark.parametrize(("ago", "told"), [(0, ""), (50, ""), (61, SILENT), (-70, SILENT)])
def test_a_worker_is_well_when_a_task_was_finished_in_the_last_minute(ago: float, told: str) -> None:
    for task in health.EACH:
        health.note_work(task)
    cache.set(health.WORKED, time.time() - ago)
    assert health._worker() == told


@pytest.mark.parametrize("written", [1, True, "x", None])
def test_a_time_that_no_worker_wrote_counts_for_nothing(written: Any) -> None:
    cache.set(health.WORKED, written)
    assert health._worker() == SILENT


def test_a_task_that_is_done_is_remembered_and_one_that_fails_is_not() -> None:
    tasks.seal_audit.apply(args=("too many",))
    assert health._worker() == SILENT
    tasks.seal_audit.apply()
    assert health._worker() == (
        "Not done in the last 11 minutes: looking for requests that are due, sending letters"
    ), "one that is done hides no other that is not"
    tasks.poll.apply()
    tasks.send_letters.apply()
    assert health._worker() == ""
    cache.set(f"{health.WORKED}:{tasks.send_letters.name}", time.time() - 661)
    tasks.poll.apply()
    assert health._worker() == "Not done in the last 11 minutes: sending letters"


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_only_reading_is_allowed(client: Client, method: str) -> None:
    assert getattr(client, method)("/health/").status_code == 405


def test_staff_and_the_holder_of_the_token_read_which_part_is_wrong(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance._watch, "found", ("main_behind",))
    settings.METRICS_TOKEN = "token"
    told = client.get("/health/", headers={"authorization": "Bearer token"})
    assert (told.status_code, told.json()["parts"]["database"]) == (503, "ok")
    assert "The main database is older than the ledger" in told.json()["parts"]["ledger"]
    assert client.get("/health/", headers={"authorization": "Bearer tokem"}).content == b"not ok\n"
    client.force_login(factories.staff())
    assert "ledger" in client.get("/health/").json()["parts"]


def test_a_start_that_waits_in_vain_names_what_lies_under_a_name_of_the_broker(
    live_server: Any, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a value of another kind under `celery` the start of a demo ended with "the logs say why", and no log did."""
    settings.METRICS_TOKEN = "t" * 32
    url = urlsplit(live_server.url)
    env = {"PORTAL_URL": live_server.url, "METRICS_TOKEN": settings.METRICS_TOKEN, "ALLOWED_HOSTS": url.hostname}
    site = Site(Place(tmp_path), env, url.port or 0)
    monkeypatch.setattr("ilt_site.launcher.site.HEALTH_SECONDS", -1)
    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        broker.delete("celery")
        broker.set("celery", "something else")
        try:
            with pytest.raises(Problem) as problem:
                site.wait_until_healthy(lambda: False)
        finally:
            broker.delete("celery")
    assert "no work is done: delete celery" in str(problem.value)


def test_a_start_whose_health_page_does_not_answer_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ilt_site.launcher.site.HEALTH_SECONDS", -1)
    with pytest.raises(Problem, match="the health page does not answer"):
        Site(Place(tmp_path), {}, free_port()).wait_until_healthy(lambda: False)

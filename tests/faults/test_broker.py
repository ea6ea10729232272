"""The broker down, frozen, or without its memory: a request is filed at once, with a reference,
and proceeds afterwards (R1)."""

from __future__ import annotations

import shutil
import time
from itertools import count

import pytest

from tests.faults import sites
from tests.faults.measuring import p95, until
from tests.figures import report, tries
from tests.journeys import stack
from tests.running import Running

pytestmark = [pytest.mark.journey, pytest.mark.fault]
PAGES = ("/", "/account/", "/privacy/requests/", "/privacy/held/")
AT_ONCE = 50  # so many file before the password they entered is too old
PAGE_GOAL = "≤ 2.5 s"
_hundreds = count(1000, 1000)


def arrive(site: Running, number: int) -> list[stack.Browser]:
    return sites.arrive(site, number, first=next(_hundreds))


def file_copies(site: Running, number: int) -> tuple[list[str], list[float]]:
    """Let so many new customers ask for a copy; return the references, and how long each answer took in seconds."""
    filed = []
    for done in range(0, number, AT_ONCE):
        filed += [sites.file_a_copy(browser) for browser in arrive(site, min(AT_ONCE, number - done))]
    references = [reference for reference, _ in filed]
    assert len(set(references)) == number
    return references, [took for _, took in filed]


def test_f3_with_the_broker_down_every_request_gets_a_reference_and_proceeds_when_it_is_back(site: Running) -> None:
    with sites.without_broker(site):
        references, pages = file_copies(site, tries(8, 200))
        assert not sites.answers(site)
        assert not set(sites.states(site, references).values()) & set(sites.UNDER_WAY)
    until(lambda: sites.answers(site), lambda: "the broker did not come back")
    taken = sites.until_answered(site, references, time.monotonic())
    report("F3", "requests lost", len(references) - len(taken), n=len(references), goal="0")
    report("F3", "p95 of a page that files", p95(pages), unit="s", n=len(pages), goal=PAGE_GOAL)
    report("F3", "p95 from the broker's return to the pick-up", p95(taken), unit="s", n=len(taken), goal="≤ 60 s")


def test_f4_with_the_broker_frozen_the_pages_answer_and_the_workers_recover(site: Running) -> None:
    (browser,) = arrive(site, 1)
    pages: list[float] = []
    begin = time.monotonic()
    with sites.frozen(sites.process(site, "valkey")):
        references, filing = file_copies(site, tries(4, 20))
        while not pages or time.monotonic() - begin < tries(8, 20):
            for path in PAGES:
                asked = time.monotonic()
                assert browser.get(path) == 200, path
                pages.append(time.monotonic() - asked)
    taken = sites.until_answered(site, references, time.monotonic())
    afterwards, usual = file_copies(site, 1)
    recovered = sites.until_answered(site, afterwards, time.monotonic())
    report("F4", "requests lost", len(references) - len(taken), n=len(references), goal="0")
    report("F4", "p95 of a page that files", p95(filing), unit="s", n=len(filing), goal=PAGE_GOAL)
    report("F4", "p95 of the other pages", p95(pages), unit="s", n=len(pages), goal=PAGE_GOAL)
    report("F4", "the page that files, with the broker well again", p95(usual), unit="s", n=1, goal=PAGE_GOAL)
    report("F4", "longest from the thaw to the pick-up", p95(taken), unit="s", n=len(taken), goal="≤ 60 s")
    report("F4", "pick-up of a request filed afterwards", p95(recovered), unit="s", n=1, goal="≤ 60 s")


def empty(site: Running) -> None:
    """Take everything the broker remembers from it."""
    client = sites.broker(site)
    assert client.llen("celery") > 0  # the messages of the requests lay there
    client.flushall()


def kill_and_forget(site: Running) -> None:
    """Kill the broker (kill -9) and start it without its file."""
    assert sites.broker(site).llen("celery") > 0
    with sites.without_broker(site):
        shutil.rmtree((site.folder / "servers").resolve() / "valkey" / "appendonlydir")
    until(lambda: sites.answers(site), lambda: "the broker did not come back")


@pytest.mark.parametrize("forget", [empty, kill_and_forget])
def test_f5_what_the_broker_forgets_is_sent_again(site: Running, forget: object) -> None:
    with sites.frozen_worker(site):
        references, _ = file_copies(site, tries(4, 50))
        forget(site)  # type: ignore[operator]
        begin = time.monotonic()
    taken = sites.until_answered(site, references, begin)
    what = "emptied" if forget is empty else "killed and started without its file"
    report("F5", f"requests lost, the broker {what}", len(references) - len(taken), n=len(references), goal="0")
    report("F5", f"p95 to the pick-up, the broker {what}", p95(taken), unit="s", n=len(taken), goal="≤ 60 s")

"""Many people at once at the running site: sign-ins from many addresses beside a visitor who only looks."""

from __future__ import annotations

import http.client
import re
import statistics
import threading
import time
import urllib.parse

import pytest

from tests import factories
from tests.faults.sites import arrive
from tests.figures import report
from tests.running import Running

pytestmark = [pytest.mark.fault, pytest.mark.figure]

CROWD = 16
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Person:
    """Somebody with a browser and a network address of their own."""

    def __init__(self, site: Running, address: str) -> None:
        self.host = ("127.0.0.1", site.port)
        self.address = address
        self.refused = 0

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str, http.client.HTTPMessage]:
        line = http.client.HTTPConnection(*self.host, timeout=60, source_address=(self.address, 0))
        try:
            line.request(method, path, body or None, headers)
            answer = line.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        finally:
            line.close()

    def sign_in(self, login: str, until: float) -> int:
        """Sign in, coming back when the site says so; return the last status."""
        while True:
            _, page, headers = self.ask("GET", "/accounts/login/")
            cookie = (headers["Set-Cookie"] or "").split(";")[0]
            form = {"csrfmiddlewaretoken": TOKEN.search(page)[1], "login": login, "password": factories.PASSWORD}  # type: ignore[index]
            status, _, headers = self.ask(
                "POST",
                "/accounts/login/",
                urllib.parse.urlencode(form),
                **{"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie},
            )
            if status != 503 or time.monotonic() > until:
                return status
            self.refused += 1
            time.sleep(int(headers["Retry-After"]))


def test_sixteen_sign_ins_at_once_all_come_in_and_a_visitor_is_served(site: Running) -> None:
    arrive(site, CROWD, first=5000)
    people = [Person(site, f"127.0.3.{number + 1}") for number in range(CROWD)]
    statuses: list[int] = []
    begin = time.monotonic()

    def come(number: int) -> None:
        statuses.append(people[number].sign_in(f"patient{5000 + number}", begin + 60))

    visitor, waits = Person(site, "127.0.4.1"), []
    crowd = [threading.Thread(target=come, args=(number,)) for number in range(CROWD)]
    for thread in crowd:
        thread.start()
    while any(thread.is_alive() for thread in crowd):
        asked = time.monotonic()
        assert visitor.ask("GET", "/")[0] == 200
        waits.append(time.monotonic() - asked)
    took = time.monotonic() - begin
    assert statuses == [302] * CROWD
    median = statistics.median(waits) * 1000
    report("B3", "a visitor's median beside 16 sign-ins", round(median), unit="ms", n=len(waits), goal="≤ 300 ms")
    report("B3", "until all 16 were in", round(took, 1), unit="s", n=CROWD, goal="≤ 10 s")
    report("B3", "answers 503 on the way, each tried again", sum(one.refused for one in people), n=CROWD, goal="any")

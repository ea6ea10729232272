"""Logs that nobody can write into (B19): one JSON object a line, and nothing in it of what people sent or what is
secret.

What the redactor takes out: tests/ilt_site/test_logs.py; the logs of a whole site: tests/journeys/test_no_leaks.py.
"""

from __future__ import annotations

import json
import logging
from io import StringIO
from urllib.parse import quote

import pytest
import structlog
from django.conf import settings as configured

from privacy.vault import ring
from tests import factories
from tests.bad_input.forms import Form, Sender
from tests.figures import report
from tests.ilt_site.test_logs import written  # noqa: F401  a fixture
from tests.journeys.doors import House
from tests.journeys.everybody import undone

pytestmark = [pytest.mark.django_db, pytest.mark.figure]

CANARY = "Zqxjvkb"
NASTY = [
    f'{CANARY}\n{{"event": "forged", "level": "info"}}', f"{CANARY}\r\n2026-11-22 forged", f"\x1b[2J\x1b[31m{CANARY}\x07", f"{CANARY}\x00",
    f"{CANARY}\u2028forged\u2029", f'{CANARY}", "level": "critical', f"%({CANARY})s %s %d", f"{CANARY}\x85\x0b\x0c\x1c\x1d\x1e", f"${{jndi:ldap://{CANARY}}}",
]  # fmt: skip


def lines_of(text: str) -> list[dict[str, object]]:
    """Return the objects of a log; raises when a line is none. Only \\n ends a line: nothing else may look like one."""
    found = []
    for line in text.split("\n"):
        if line:
            assert line.isascii() and line.isprintable(), ascii(line)
            one = json.loads(line)
            assert isinstance(one, dict) and one.get("event") != "forged"
            found.append(one)
    return found


def test_whatever_is_sent_a_line_is_one_object_without_it(
    house: House,
    every_form: list[Form],
    written: StringIO,  # noqa: F811
) -> None:
    with Sender(house) as sender:
        for number, form in enumerate(every_form):
            nasty = NASTY[number % len(NASTY)]
            with undone():
                sender.post(form, dict.fromkeys(form.free or form.data, nasty))
        for nasty in NASTY:
            for path in (
                "/{}/",
                "/privacy/link/{}/",
                "/privacy/held/{}/",
                "/orders/?page={}",
                "/admin/orders/order/{}/change/",
            ):
                sender.get("bob", path.format(quote(nasty, safe="")))
            flat = nasty.replace("\r", "").replace("\n", "").replace("\x00", "")
            sender.browser("anonymous").get(
                "/accounts/login/",
                headers={"user-agent": flat, "referer": flat, "x-forwarded-for": flat, "host": f"{CANARY}.example"},
            )
            sender.count += 1
    found = lines_of(written.getvalue())
    assert len(found) >= sender.count
    assert CANARY not in written.getvalue() and not sender.failed
    report("B19", "lines of the log that are not one object, or hold what was sent", 0, n=len(found), goal="0")


def test_no_secret_and_nothing_of_a_person_is_in_the_log(house: House, written: StringIO) -> None:  # noqa: F811
    address = house.world.alice.of("accounts.login_address", "email")[0]
    browser = house.browser("anonymous")
    browser.post("/accounts/login/", {"login": address, "password": factories.PASSWORD})
    browser.post("/accounts/login/", {"login": address, "password": "wrong wrong wrong wrong"})
    browser.post("/accounts/password/reset/", {"email": address})
    token = house.world.bob.records["token"]
    browser.get(f"/privacy/link/{token}/")
    for who in ("bob", "pat"):
        signed_in = house.browser(who)
        for path in ("/account/details/", "/privacy/held/", "/admin/accounts/customer/"):
            signed_in.get(path)
    cookies = [morsel.value for one in (browser, signed_in) for morsel in one.cookies.values()]
    keys = [key for key in json.dumps(json.loads(ring.current().as_json())).split('"') if len(key) > 30]
    text = written.getvalue()
    assert len(lines_of(text)) >= 10 and keys
    secrets = [configured.SECRET_KEY, factories.PASSWORD, str(token), *cookies, *keys]
    assert [one for one in secrets if len(one) > 8 and one in text] == []
    for person in (house.world.alice, house.world.bob):
        assert not person.seen_in(text)
    report("B19", "secrets and canaries in the log", 0, n=len(secrets) + len(house.world.bob.canaries), goal="0")


@pytest.mark.parametrize("nasty", NASTY)
def test_whoever_logs_it_it_stays_one_line(written: StringIO, nasty: str) -> None:  # noqa: F811
    logging.getLogger("somebody").warning("said %s", nasty)
    logging.getLogger(nasty).warning(nasty.replace("%", "%%"))
    structlog.get_logger("us").warning("said", **{"what": nasty, nasty: [nasty, {nasty: nasty}]})
    try:
        raise ValueError(nasty)
    except ValueError:
        structlog.get_logger("us").exception("failed")
    assert len(lines_of(written.getvalue())) == 4

"""Where a login, a logout and a repeated password lead (B11): never to another site, however `next` is written."""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit

import pytest

from tests import factories
from tests.figures import report, tries
from tests.journeys.doors import House
from tests.journeys.everybody import undone

pytestmark = [pytest.mark.django_db, pytest.mark.figure]

EVIL = "evil.example"
FORMS = [
    f"https://{EVIL}", f"http://{EVIL}", f"//{EVIL}", f"///{EVIL}", f"////{EVIL}", f"/\\{EVIL}", f"\\\\{EVIL}",
    f"\\/{EVIL}", f"/\\/{EVIL}", f"/\t/{EVIL}", f"/\n/{EVIL}", f"/\r/{EVIL}", f"\t//{EVIL}", f" //{EVIL}", f"\x00//{EVIL}",
    f"\x01//{EVIL}", f"\u00a0//{EVIL}", f"\u2028//{EVIL}", f"\ufeff//{EVIL}", f"/%09/{EVIL}", f"/%2f{EVIL}", f"%2f%2f{EVIL}",
    f"/%5c{EVIL}", f"https:{EVIL}", f"https:/{EVIL}", f"https:///{EVIL}", f"https:\\\\{EVIL}", f"HTTPS://{EVIL}",
    f"hTTp://{EVIL}", f"https://testserver@{EVIL}", f"https://testserver:pw@{EVIL}", f"https://{EVIL}#testserver",
    f"https://{EVIL}?testserver", f"https://{EVIL}/testserver", f"https://testserver.{EVIL}", f"//testserver@{EVIL}",
    f"//testserver\\@{EVIL}", f"https://{EVIL}\\@testserver", f"https://{EVIL}%2f@testserver", f"//{EVIL}%00.testserver",
    f"//{EVIL}\u3002", "//ｅvil.example", "//еvil.example", "https://xn--vil-9cd.example", f"//{EVIL}:443", f"//{EVIL}.",
    "https://1.2.3.4", "//16909060", "//0x01020304", "//[2001:db8::1]", "javascript:alert(1)", "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)", "\x01javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "vbscript:msgbox(1)",
    "file:///etc/passwd", f"ftp://{EVIL}", f"mailto:x@{EVIL}", f"blob:https://{EVIL}/1", f"view-source:https://{EVIL}",
    f"///\\;@{EVIL}", f"/;//{EVIL}", f"/.//{EVIL}", f"/..//{EVIL}", f"//{EVIL}/%2e%2e", f"?next=//{EVIL}",
]  # fmt: skip


def lands(location: str) -> tuple[str, str]:
    """Return scheme and host where a browser goes: it drops tabs and line ends, and takes \\ for / (WHATWG URL)."""
    cleaned = location.strip("".join(map(chr, range(33)))).replace("\t", "").replace("\n", "").replace("\r", "")
    found = urlsplit(urljoin("http://testserver/accounts/login/", cleaned.replace("\\", "/")))
    return found.scheme, found.hostname or ""


def test_the_reader_of_addresses_goes_where_a_browser_goes() -> None:
    for form in (f"/\\{EVIL}", f"/\t/{EVIL}", f"\\\\{EVIL}", f"https:\\\\{EVIL}", f"//testserver@{EVIL}"):
        assert lands(form)[1] == EVIL, form


@pytest.mark.parametrize("name", ["next", "redirect_to", "url", "return"])
def test_nobody_is_led_to_another_site(house: House, name: str) -> None:
    assert len(FORMS) >= 60
    address = house.world.alice.of("accounts.login_address", "email")[0]
    sign_in = {"login": address, "password": factories.PASSWORD}
    doors = [
        ("anonymous", "POST", "/accounts/login/", sign_in),
        ("bob", "GET", "/accounts/login/", {}),
        ("bob", "GET", "/accounts/signup/", {}),
        ("bob", "POST", "/accounts/logout/", {}),
        ("bob", "POST", "/accounts/reauthenticate/", {"password": factories.PASSWORD}),
        ("anonymous", "GET", "/admin/login/", {}),
        ("pat", "GET", "/admin/login/", {}),
        ("pat", "GET", "/admin/logout/", {}),
    ]
    wrong, count, led = [], 0, 0
    for who, method, path, data in doors:
        for form in FORMS if name == "next" else FORMS[:: tries(8, 1)]:
            with undone():
                browser = house.browser(who)
                asked = f"{path}?{name}={quote(form, safe='')}"
                answer = browser.get(asked) if method == "GET" else browser.post(asked, {**data, name: form})
            count += 1
            assert answer.status_code < 500, (path, form)
            if location := answer.headers.get("Location"):
                led += 1
                if lands(location) != ("http", "testserver"):
                    wrong.append(f"{method} {path} {form!r} -> {location!r}")
    assert not wrong, "\n".join(wrong)
    assert led >= len(FORMS) // 8, "nobody was led anywhere"
    report("B11", f"off-site redirects by “{name}”", 0, n=count, goal="0")


def test_a_page_of_ours_is_reached(house: House) -> None:
    """The positive control: `next` is honoured at all."""
    address = house.world.alice.of("accounts.login_address", "email")[0]
    data = {"login": address, "password": factories.PASSWORD, "next": "/orders/"}
    assert house.browser("anonymous").post("/accounts/login/", data).headers["Location"] == "/orders/"

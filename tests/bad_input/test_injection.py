"""What is typed is text, wherever it is shown: not a template (B14), not a header (B15), not a script (B16)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from typing import Any

import pytest
from django.contrib import admin
from django.core.mail import EmailMultiAlternatives
from playwright.sync_api import Page, sync_playwright

from accounts.models import Customer
from tests.bad_input import planting
from tests.bad_input.forms import Form, Sender
from tests.figures import report, tries
from tests.journeys.doors import House
from tests.journeys.everybody import undone

pytestmark = [pytest.mark.django_db, pytest.mark.figure]

# Templates (B14) ------------------------------------------------------------------------------------------------------

TEMPLATES = [
    "{{ 7777*7777 }}", "{% now 'Y' %}", "{% include 'admin/base.html' %}", "{% debug %}", "${7777*7777}", "#{7777*7777}",
    "<%= 7777*7777 %>", "%s %d %n", "%(password)s", "{0.__class__.__mro__}", "{settings.SECRET_KEY}", "{{ settings.SECRET_KEY }}",
    "{{ request.user.password }}", "{# a comment #}", "{% verbatim %}", "@(7777*7777)", "[[${7777*7777}]]", "%{7777*7777}",
]  # fmt: skip
COMPUTED = "60481729"


def test_what_looks_like_a_template_is_printed_as_it_was_typed(house: House) -> None:
    text = " ".join(TEMPLATES)
    with undone():
        count = planting.plant(house.world.bob, lambda name: "bob@post.example" if name in MAIL else text)
        where = dict(planting.shown(house))
        files = planting.copy(house.world.bob)
        where |= {name: body.decode() for name, body in files.items()}
        where |= {f"mail {n}": str(m.body) for n, m in enumerate(planting.mails(house.world.bob, text))}
    seen = [name for name, page in where.items() if "{{ 7777*7777 }}" in page]
    assert len(seen) >= 15, "it is shown nowhere: nothing was tried"
    assert not [name for name, page in where.items() if COMPUTED in page or "class 'object'" in page]
    for name in seen:
        page = where[name]
        assert "{% now" in page and "{% debug %}" in page and "{# a comment #}" in page, name
    report("B14", "templates from data that were run", 0, n=len(TEMPLATES) * count, goal="0")


# Headers (B15) --------------------------------------------------------------------------------------------------------

BREAKS = ["\r\n", "\n", "\r", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "%0d%0a", "\r\n ", "\n\t", "\x00\n"]
HEADERS = {"Content-Type", "MIME-Version", "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted"}
MAIL = {"email", "to", "requester_email"}


def test_no_line_end_in_a_text_makes_a_header_of_a_mail(house: House) -> None:
    count = 0
    for ending in BREAKS:
        text = f"Bob{ending}Bcc: mallory@evil.example{ending}X-Canary: 1"
        with undone():
            planting.plant(house.world.bob, lambda name, text=text: "bob@post.example" if name in MAIL else text)
            for mail in planting.mails(house.world.bob, text):
                assert set(message_from_bytes(mail.message().as_bytes(), policy=policy.SMTP).keys()) == HEADERS
                assert mail.recipients() == ["bob@example.com"]
                count += 1
    report("B15", "headers of mails made of data", 0, n=count, goal="0")


def test_no_line_end_in_an_address_reaches_a_mail(house: House, every_form: list[Form]) -> None:
    """An answer in words, not a 500: BadHeaderError never gets out."""
    fields = [
        (form, name) for form in every_form for name in form.free if name in {"email", "requester_email", "login"}
    ]
    assert len(fields) >= 5
    from privacy.models import Letter

    with Sender(house) as sender:
        for form, name in fields:
            for ending in BREAKS[:: tries(3, 1)]:
                with undone():
                    before = set(Letter.objects.values_list("pk", flat=True))
                    sender.post(form, {name: f"bob@post.example{ending}Bcc: mallory@evil.example"})
                    new = Letter.objects.exclude(pk__in=before)
                    with planting.vault.internal():
                        assert not [one for one in new if "mallory" in str(one.to)], (form, name, ending)
    assert not sender.failed, "\n".join(sender.failed)
    report("B15", "addresses with a line end that got a mail", 0, n=sender.count, goal="0")


def test_no_line_end_makes_a_header_of_an_answer(house: House) -> None:
    count = 0
    for ending in BREAKS:
        with undone():
            planting.plant(
                house.world.bob,
                lambda name, ending=ending: "bob@post.example" if name in MAIL else f"a{ending}Set-Cookie: x=1{ending}",
            )
            for path in ("/privacy/requests/{}/export/",):
                answer = house.browser("bob").post(path.format(house.world.bob.records["access"].pk))
                count += 1
                assert re.fullmatch(r'attachment; filename="PR-[0-9A-Z-]+\.zip"', answer.headers["Content-Disposition"])
                assert "x" not in answer.cookies
    report("B15", "headers of answers made of data", 0, n=count, goal="0")


# Scripts (B16) --------------------------------------------------------------------------------------------------------

_RUN = "hit()"
XSS = [
    f"<script>{_RUN}</script>", f"<ScRiPt>{_RUN}</sCrIpT>", f"<script >{_RUN}</script >", f"<script/x>{_RUN}</script>",
    f"<script\n>{_RUN}</script\n>", f"<script>{_RUN}//", f"<<script>{_RUN}//<</script>", f"</script><script>{_RUN}</script>",
    f"</title><script>{_RUN}</script>", f"</textarea><script>{_RUN}</script>", f"</style><script>{_RUN}</script>",
    f"</noscript><script>{_RUN}</script>", f"</option></select><script>{_RUN}</script>", f"--><script>{_RUN}</script>",
    f"]]><script>{_RUN}</script>", f"<!--><script>{_RUN}</script>", f"<![CDATA[><script>{_RUN}</script>]]>",
    f"<svg><script>{_RUN}</script></svg>", "<svg><script>&#104;it()</script>", f"<math><script>{_RUN}</script></math>",
    f"<svg/onload={_RUN}>", f"<svg onload={_RUN}//", f"<svg\tonload={_RUN}>", f"<svg\x0conload={_RUN}>",
    f"<svg><animate onbegin={_RUN} attributeName=x dur=1s>", f"<svg><set onbegin={_RUN} attributeName=x>",
    f"<svg><a xlink:href=javascript:{_RUN}><text y=20>x</text></a>", f"<svg><style><img src=x onerror={_RUN}></style>",
    f"<img src=x onerror={_RUN}>", f"<img src=x onerror='{_RUN}'>", f'<img src=x onerror="{_RUN}">', f"<img/src/onerror={_RUN}>",
    f"<img src=x:x onerror={_RUN}>", f"<image src=x onerror={_RUN}>", f"<img src='x' onerror  =  {_RUN}>",
    f"<IMG SRC=x ONERROR={_RUN}>", f"<img src=x oneonerrorrror={_RUN}>", f"<img srcset=x onerror={_RUN}>",
    "<img src=x onerror=&#104;&#105;&#116;()>", "<img src=x onerror=\\u0068it()>", f"<img\x00 src=x onerror={_RUN}>",
    f'"><script>{_RUN}</script>', f"'><script>{_RUN}</script>", f'"><img src=x onerror={_RUN}>', f"'><img src=x onerror={_RUN}>",
    f'" onfocus={_RUN} autofocus x="', f"' onfocus={_RUN} autofocus x='", f'" onmouseover={_RUN} x="', f" onfocus={_RUN} autofocus ",
    f'" style="animation-name:x" onanimationstart={_RUN} x="', f"` onfocus={_RUN} autofocus x=`", f"\" autofocus onfocus='{_RUN}",
    f"<input onfocus={_RUN} autofocus>", f"<select onfocus={_RUN} autofocus>", f"<textarea onfocus={_RUN} autofocus>",
    f"<button onfocus={_RUN} autofocus>", f"<details open ontoggle={_RUN}>", f"<video><source onerror={_RUN}>",
    f"<video src=x onerror={_RUN}>", f"<audio src=x onerror={_RUN}>", f"<body onload={_RUN}>", f"<body onpageshow={_RUN}>",
    f"<iframe onload={_RUN}>", f"<iframe src=javascript:parent.{_RUN}>", f"<iframe srcdoc='<script>parent.{_RUN}</script>'>",
    f"<object data=javascript:{_RUN}>", f"<object data='data:text/html,<script>{_RUN}</script>'>", f"<embed src=javascript:{_RUN}>",
    f"<marquee onstart={_RUN}>", f"<meta http-equiv=refresh content='0;url=javascript:{_RUN}'>", f"<base href=javascript:{_RUN}//>",
    f"<link rel=stylesheet href=x onerror={_RUN}>", f"<style onload={_RUN}></style>", f"<style>@import 'x';</style><script>{_RUN}</script>",
    f"<form action=javascript:{_RUN}><input type=submit autofocus>", f"<isindex action=javascript:{_RUN} type=image>",
    f"<a href=javascript:{_RUN} autofocus>x</a>", f"javascript:{_RUN}", f"JaVaScRiPt:{_RUN}", f"java\tscript:{_RUN}", f"\x01javascript:{_RUN}",
    f"data:text/html,<script>{_RUN}</script>", f"vbscript:{_RUN}", f"<a href='&#106;avascript:{_RUN}'>x</a>",
    f"<template><script>{_RUN}</script></template>", f"<dialog open onclose={_RUN}>", f"<x contenteditable onfocus={_RUN} autofocus>x",
    f"<x tabindex=1 onfocus={_RUN} autofocus>", f"<p onbeforeinput={_RUN}>", f"<noscript><p title='</noscript><img src=x onerror={_RUN}>'>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={_RUN}>", f"<form><math><mtext></form><form><mglyph><style></math><img src=x onerror={_RUN}>",
    f"＜script＞{_RUN}＜/script＞", f"\u2039script\u203a{_RUN}", f"%3Cscript%3E{_RUN}%3C/script%3E", f"&lt;script&gt;{_RUN}&lt;/script&gt;",
    f"&#60;script&#62;{_RUN}&#60;/script&#62;", f"\\x3cscript\\x3e{_RUN}\\x3c/script\\x3e", f"\\u003cscript\\u003e{_RUN}", f"+ADw-script+AD4-{_RUN}",
    f"{{{{constructor.constructor('{_RUN}')()}}}}", f"${{{_RUN}}}", f"');{_RUN};//", f"\";{_RUN};//", f"</script><svg onload={_RUN}>",
]  # fmt: skip
# Counts how often a script ran; and tells of markup that would wait for a click.
COUNTER = "window.ran = 0; window.hit = () => { window.ran += 1; };"
WAITING = """[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a =>
    /^on/i.test(a.name) || /^[\\u0000-\\u0020]*(javascript|vbscript|data:text)/i.test(a.value) && /^(href|src|action|formaction|data|xlink:href)$/i.test(a.name)
    ) || e.tagName == 'SCRIPT' && !e.src || ['IFRAME', 'OBJECT', 'EMBED', 'BASE'].includes(e.tagName)).map(e => e.outerHTML.slice(0, 200))"""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'"
)


class Opener:
    """Opens HTML as if it came from our site, with or without the content policy, and says whether a script ran."""

    def __init__(self, page: Page) -> None:
        self.page, self.body, self.policy = page, "", False
        page.add_init_script(COUNTER)
        page.route("**/*", self._answer)
        page.on("dialog", lambda dialog: dialog.dismiss())

    def _answer(self, route: Any) -> None:
        if route.request.url == "http://portal.example/page" and route.request.is_navigation_request():
            headers = {"Content-Type": "text/html; charset=utf-8"}
            if self.policy:
                headers["Content-Security-Policy"] = POLICY
            route.fulfill(body=self.body, headers=headers)
        else:
            route.abort()

    def open(self, html: str, *, policy: bool) -> tuple[int, list[str]]:
        """Return how often a script of the text ran, and markup in which one waits for a click."""
        self.body, self.policy = html, policy
        self.page.goto("http://portal.example/page", wait_until="load")
        self.page.evaluate(
            "new Promise(done => setTimeout(done, 10))"
        )  # what runs after the load has run: one turn of its queue
        return self.page.evaluate("window.ran"), self.page.evaluate(WAITING)


@pytest.fixture
def opener(chromium: str) -> Iterator[Opener]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield Opener(browser.new_page())
        browser.close()


def pages_with(house: House, payloads: list[str]) -> tuple[dict[str, str], int]:
    """Return every page, mail and file of a copy that shows bob's data while they hold these payloads."""
    text = " ".join(payloads)
    quoted = "".join(c for c in payloads[0] if c.isascii() and c.isprintable() and c not in '"\\ @')
    found: dict[str, str] = {}
    with undone():
        count = planting.plant(
            house.world.bob, lambda name: f'"{quoted[:50]}"@x.example' if name in MAIL - {"to"} else text
        )
        found |= planting.shown(house)
        planting.plant(house.world.bob, lambda name: "bob@post.example" if name in MAIL else text)
        found |= {
            name: body.decode() for name, body in planting.copy(house.world.bob).items() if name.endswith(".html")
        }
        for number, mail in enumerate(planting.mails(house.world.bob, text)):
            assert isinstance(mail, EmailMultiAlternatives)
            found[f"mail {number}"] = str(mail.alternatives[0][0])
    return found, count


# The pages are collected before the browser starts: its event loop and the ORM do not share a thread.
@pytest.fixture
def planted(house: House) -> tuple[dict[str, str], int, int]:
    # Each payload meets other neighbours: what one of them leaves open must not hide the others.
    groups = tries(1, 12)
    found: dict[str, str] = {}
    count = 0
    for number in range(groups):
        payloads = XSS[number::groups]
        some, count = pages_with(house, payloads)
        found |= {f"{where} #{number}": html for where, html in some.items()}
    return found, count, groups


@pytest.mark.browser
def test_no_text_runs_as_a_script_with_the_content_policy_off_and_on(
    planted: tuple[dict[str, str], int, int], opener: Opener
) -> None:
    found, fields, groups = planted
    assert len(XSS) >= 100 and fields > 40
    for enforced in (False, True):
        ran, waiting = opener.open(f"<h1>{XSS[0]}<img src=x onerror={_RUN}></h1>", policy=enforced)
        assert bool(ran) is not enforced and waiting, "the control: unescaped it runs, and the policy stops it"
    shown = [where for where, html in found.items() if "hit()" in html]
    assert len(shown) >= 15 * groups, "it is shown nowhere: nothing was tried"
    wrong = []
    for where in shown:
        for enforced in (False, True):
            ran, waiting = opener.open(found[where], policy=enforced)
            if ran or waiting:
                wrong.append(f"{where}, policy {enforced}: ran {ran}, {waiting[:2]}")
    assert not wrong, "\n".join(wrong)
    report("B16", "scripts that ran in Chromium, policy off and on", 0, n=2 * len(shown), goal="0")
    report("B16", "payloads in each text field", len(XSS), n=fields, goal="≥ 100")


def test_the_pages_that_show_text_are_of_every_kind(house: House) -> None:
    """Portal, list and record of the back office: each shows what was planted, escaped."""
    with undone():
        planting.plant(house.world.bob, lambda name: "bob@post.example" if name in MAIL else "<b>Planted</b>")
        found = {where for where, html in planting.shown(house) if "&lt;b&gt;Planted&lt;/b&gt;" in html}
    assert {"bob /orders/" in found or any(one.startswith("bob /orders/") for one in found)} == {True}
    for place in ("/account/details/", "/privacy/held/", "/admin/accounts/customer/", "/change/"):
        assert [one for one in found if place in one], place
    assert admin.site.is_registered(Customer)

"""Every other page, each with something on it and each empty, at night on a narrow screen and by day on a wide one.

The visitor goes about on the narrow screen, where less has room, and looks at each page on both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.conf import settings as configured
from django.core import mail
from django.test import Client, RequestFactory
from django.utils import timezone

from accounts import joining
from accounts.models import ClaimReview, Company, Customer, User
from ilt_site import views
from orders.models import Order
from privacy import letters, vault
from privacy.gate import Actor
from privacy.gate.system import system
from privacy.models import Letter, Request, SecondLook
from privacy.requests import export, filing, links, services
from privacy.requests.models import Export, OneTimeLink
from privacy.retention import holds
from privacy.sweep import notices
from rma.models import RMA, Certificate
from tests import factories, pages
from tests.asked import taken_in
from tests.browser import checker
from tests.browser.site import Site
from tests.browser.visitor import NARROW, WIDE, Findings, Visitor
from tests.factories import as_customer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

each_dimension = pytest.mark.parametrize(("dimension", "others"), [(NARROW, [WIDE])], ids=["both"])
_CUT_OFF = """[...document.querySelectorAll("#content .readonly")].filter(one =>
    one.getBoundingClientRect().right > one.closest("fieldset").getBoundingClientRect().right
    || one.scrollWidth > one.clientWidth + 1).map(one => one.innerText)"""
PAT = Actor("staff", "pat", None, frozenset({"privacy"}), "admin")


def come_in(visitor: Visitor, name: str) -> User:
    """Sign somebody in who entered the password just now."""
    user = User.objects.named(name).get()
    cookie = pages.signed_in(user, again=True).cookies[configured.SESSION_COOKIE_NAME].value
    visitor.context.add_cookies([{"name": configured.SESSION_COOKIE_NAME, "value": cookie, "url": visitor.base}])
    return user


def go_out(visitor: Visitor) -> None:
    visitor.context.clear_cookies()


@each_dimension
def test_pages_without_a_login(site: Site, visitor: Visitor) -> None:
    visitor.open("/accounts/inactive/", "login closed")
    visitor.open("/accounts/password/reset/", "password forgotten")
    visitor.open("/accounts/password/reset/done/", "password forgotten, mail sent")
    visitor.open("/accounts/password/reset/key/1-bad/", "password forgotten, bad link", status=403)
    visitor.open("/accounts/password/reset/key/done/", "password forgotten, done")
    visitor.open("/privacy/ask/", "ask without signing in")
    visitor.follow("main button[type=submit]", "ask without signing in, nothing filled in")
    visitor.open("/privacy/ask/sent/", "asked without signing in")
    visitor.open("/privacy/outcome/")
    visitor.fill(reference="PR-2026-AAAA-00", code="AAAA-AAAA-AAAA")
    visitor.press("Show the outcome", "outcome, wrong code", status=401)

    bob = site.customer("bob")
    asked = taken_in(
        "access",
        bob.subject_id,
        received_on=factories.TODAY,
        identity="login",
        actor=as_customer(bob),
        now=timezone.now(),
    )
    site.work()
    token = links.make_link(asked, OneTimeLink.Purpose.RESULT, to="", now=timezone.now())
    visitor.open(f"/privacy/link/{token}/", "one-time link")
    visitor.press("Continue", "one-time link, used")
    go_out(visitor)
    visitor.open(f"/privacy/link/{token}/", "one-time link, spent", status=403)


@each_dimension
def test_pages_for_what_went_wrong(site: Site, visitor: Visitor) -> None:
    visitor.open("/nothing/", "404", status=404)
    visitor.open("/accounts/login/")
    visitor.context.clear_cookies()
    visitor.fill(login="alice", password=factories.PASSWORD)
    visitor.press("Sign in", "403, form out of date", status=403)
    # What cannot be provoked from a browser is served as the site's handlers answer it.
    policy = Client().get("/nothing/").headers["Content-Security-Policy"]
    for status, view in ((400, views.bad_request), (403, views.permission_denied), (500, views.server_error)):
        serve(visitor, status, view(RequestFactory().get("/")).content.decode(), policy)
    for name in ("400_signed_out", "429", "503", "503_away", "maintenance"):
        status = int(name[:3]) if name[:3].isdigit() else 503
        answer = views._plain(RequestFactory().get("/"), status, f"{name}.html")
        serve(visitor, status, answer.content.decode(), policy, name)


def serve(visitor: Visitor, status: int, body: str, policy: str, name: str = "") -> None:
    headers = {"Content-Security-Policy": policy, "Content-Type": "text/html; charset=utf-8"}
    name = name or str(status)
    visitor.page.route(f"**/{name}/", lambda route: route.fulfill(status=status, body=body, headers=headers))
    visitor.open(f"/{name}/", f"error {name}", status=status)


@each_dimension
def test_pages_of_a_customer(site: Site, visitor: Visitor) -> None:
    page = visitor.page
    come_in(visitor, "alice")
    alice = site.customer("alice")
    for path, name in (
        ("/account/", "account of alice"), ("/account/details/", "contact data"), ("/account/details/edit/", "contact data, edit"),
        ("/account/addresses/new/", "new address"), ("/orders/", "orders of alice"), ("/rma/", "returns of alice"),
        ("/rma/new/", "new return"), ("/privacy/held/", "what we hold about alice"), ("/privacy/requests/", "requests, none"),
        ("/accounts/email/", "address of the login"), ("/accounts/password/change/", "change the password"),
        ("/accounts/logout/", "sign out"), ("/accounts/reauthenticate/", "password again"),
    ):  # fmt: skip
        visitor.open(path, name)
    visitor.open("/account/addresses/new/")
    visitor.follow("main form button[type=submit]", "new address, nothing filled in")
    visitor.open(f"/account/addresses/{alice.addresses.get().pk}/", "address")
    for order in Order.objects.filter(customer=alice).order_by("placed_on"):
        visitor.open(f"/orders/{order.pk}/", f"order of {order.placed_on.year}")
    for number, rma in enumerate(RMA.objects.filter(customer=alice).order_by("pk")):
        visitor.open(f"/rma/{rma.pk}/", f"return {number}")
    number = Certificate.objects.filter(rma__customer=alice).values_list("number", flat=True)[0]
    visitor.open(f"/rma/certificates/{number}/", "calibration certificate")
    visitor.open("/rma/new/")
    page.check("[name=service][value=repair]")
    visitor.fill(serial="ILT2400-01234", model_name="ILT2400", fault="W" * 120 + " stays dark. Serial no. on the back.")
    visitor.follow("main form button[type=submit]", "new return, answers to check")
    visitor.open("/privacy/requests/new/erasure/", "ask for removal, with warnings")
    visitor.press("Show me what would happen", "removal planned, much of it stays")
    visitor.press("Take the request back", "take a removal back, asked")
    visitor.press("Take the request back", "removal taken back")
    visitor.open("/privacy/requests/", "requests")
    visitor.open("/privacy/openings/", "who looked")
    asked = taken_in("access", alice.subject_id, identity="login", actor=as_customer(alice), now=timezone.now())
    site.work()
    (export.folder() / Export.objects.get(request=asked).path).write_bytes(b"x")
    visitor.open(f"/privacy/requests/{asked.pk}/", "copy of the data, damaged")
    visitor.press("Ask for the copy again", "copy of the data, damaged and asked for again")
    go_out(visitor)
    come_in(visitor, "pat")
    visitor.open(f"/admin/privacy/request/{asked.pk}/change/", "request whose copy is damaged")


@each_dimension
def test_pages_of_somebody_who_has_nothing_yet(site: Site, visitor: Visitor) -> None:
    factories.login("nina", "nina@post.example")
    factories.communication(email="nina@post.example")
    come_in(visitor, "nina")
    for path in (
        "/account/",
        "/orders/",
        "/rma/",
        "/privacy/held/",
        "/privacy/openings/",
        "/account/claim/",
        "/rma/new/",
    ):
        visitor.open(path, f"empty {path}")
    visitor.press("Look", "empty claim") if visitor.page.url.endswith("/claim/") else None


@each_dimension
def test_pages_of_the_second_factor(site: Site, visitor: Visitor) -> None:
    user = come_in(visitor, "bob")
    visitor.open("/accounts/2fa/", "second factor, none")
    visitor.open("/accounts/2fa/totp/activate/", "second factor, set up")
    visitor.fill(code="000000")
    visitor.follow("main button[type=submit]", "second factor, wrong code", status=401)
    secret = visitor.page.inner_text("main dd.code")
    visitor.fill(code=code_for(secret))
    visitor.follow("main button[type=submit]", "second factor, on")
    visitor.open("/accounts/2fa/", "second factor, overview")
    visitor.open("/accounts/2fa/recovery-codes/", "recovery codes")
    visitor.open("/accounts/2fa/recovery-codes/generate/", "recovery codes, new ones")
    visitor.open("/accounts/2fa/totp/deactivate/", "second factor, switch off")
    visitor.open("/accounts/2fa/reauthenticate/", "second factor again")
    go_out(visitor)
    visitor.open("/accounts/login/")
    visitor.fill(login="bob", password=factories.PASSWORD)
    visitor.press("Sign in", "second factor at the login")
    assert Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).count() == 1


def code_for(secret: str) -> str:
    """Return what an authenticator app shows now."""
    return format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))


@each_dimension
def test_pages_of_the_back_office(site: Site, visitor: Visitor) -> None:
    for role, name, found in back_office(site):
        go_out(visitor)
        come_in(visitor, name)
        for path in found:
            visitor.open(f"/admin/{path}", f"{role}: {path_name(path)}")
    go_out(visitor)
    factories.staff("newly", "newly@ilt.example", roles=("sales",), acknowledged=False)
    come_in(visitor, "newly")
    visitor.open("/admin/", "staff who has not signed")
    visitor.open("/admin/accounts/customer/", "staff who has not signed: customers")
    visitor.open("/account/confidentiality/", "confidentiality acknowledgement")


def path_name(path: str) -> str:
    return "/".join("x" if len(part) > 30 else part for part in path.split("/")) or "front page"


def back_office(site: Site) -> Iterator[tuple[str, str, list[str]]]:
    """Yield role, login and paths of the back office, each with something on it."""
    now = timezone.now()
    jana = Customer.objects.get(reference="DEMO-06")
    order, rma = Order.objects.filter(customer=jana).first(), RMA.objects.filter(customer=jana).first()
    message = jana.communications.first() or factories.communication(jana)
    about = taken_in("erasure", jana.subject_id, channel="phone", identity="in_person", actor=PAT, now=now)
    services.make_plan(about, actor=PAT, now=now)
    hold = holds.place("orders.order", order.pk, reason="claim", reference="C-77", actor=PAT, now=now)
    letter = Letter.objects.get(request=about, kind="acknowledgement")
    Letter.objects.filter(pk=letter.pk).update(by=Letter.By.POST, next_attempt_at=None)
    review = ClaimReview.objects.create(
        customer=jana, user=factories.login("eve", "eve@nordlicht.example"), reason="contact", opened_at=now
    )
    look = joining.ask(jana.subject_id, actor=PAT, now=now)
    with vault.internal():
        factories.communication(email=str(jana.email))
    here, waiting = RMA.objects.filter(state="in_service")[0], Order.objects.open()[0]
    asked = f"privacy/request/{about.pk}"
    company = Company.objects.get(pk=jana.company_id)
    yield "privacy", "pat", [
        "", "privacy/request/", f"{asked}/change/", f"{asked}/step/confirm/", f"{asked}/step/extend/", f"{asked}/step/hold/",
        f"{asked}/history/", f"{asked}/letter/{letter.pk}/", "privacy/request/add/", "privacy/hold/",
        f"privacy/hold/{hold.pk}/change/", "privacy/hold/add/", "accounts/claimreview/",
        "accounts/joining/", "accounts/joining/add/", f"accounts/joining/{look.pk}/change/", f"accounts/joining/{look.pk}/step/join/",
        f"accounts/claimreview/{review.pk}/change/", f"accounts/customer/{jana.pk}/change/",
    ]  # fmt: skip
    yield "sales", "carol", [
        "", "orders/", f"accounts/customer/{jana.pk}/change/", f"orders/order/{waiting.pk}/change/",
        "accounts/communication/", "accounts/communication/add/", f"accounts/communication/{message.pk}/change/",
        "accounts/company/", f"accounts/company/{company.pk}/change/", "orders/product/", "orders/product/add/",
    ]  # fmt: skip
    yield "service", "dan", ["", "rma/rma/", f"rma/rma/{rma.pk}/change/", f"rma/rma/{here.pk}/step/message/"]
    yield "accounting", "erin", ["", f"orders/order/{order.pk}/change/", f"accounts/customer/{jana.pk}/change/"]


@each_dimension
def test_letters(site: Site, visitor: Visitor, tmp_path: Path) -> None:
    mail.outbox.clear()
    alice = site.customer("alice")
    for kind in ("access", "erasure"):
        filing.file(
            filing.Receipt(
                kind=kind, subject=alice.subject_id, channel="web", received_on=factories.TODAY, identity="login"
            ),
            actor=as_customer(alice),
            now=timezone.now(),
        )
        site.work()
    refused = Request.objects.get(kind="erasure")
    services.refuse(
        refused, ground="Two people claim this account.", authority="Art. 12(2) GDPR", actor=PAT, now=timezone.now()
    )
    site.work()
    assert len(mail.outbox) >= 3
    for number, sent in enumerate(mail.outbox):
        (html,) = (str(one.content) for one in sent.alternatives)
        file = tmp_path / f"{number}.html"
        file.write_text(html)
        visitor.open(f"file://{file}", f"letter {sent.subject}")


def test_the_nu_checker_finds_no_error_in_what_was_seen(findings: Findings) -> None:
    assert checker.errors(findings.bodies) == []
    assert len(findings.bodies) > 100, "run the whole file"


@each_dimension
def test_a_contact_that_changes_hands(site: Site, visitor: Visitor) -> None:
    def link(kind: str) -> str:
        with vault.internal():
            text = [str(letters.given(one)[0]) for one in Letter.objects.filter(kind=kind).order_by("queued_at", "pk")][
                -1
            ]
        return re.findall(r"https?://[^/\s]+(/account/contact/\S+)", text)[0]

    come_in(visitor, "alice")
    visitor.open("/account/details/edit/")
    visitor.fill(email="new.alice@post.example")
    visitor.press("Save", "contact data, an address waits for its confirmation")
    visitor.press("Send the link again", "contact data, a link is on its way")
    confirm, not_me = link("contact_confirm"), link("contact_not_me")
    visitor.open(confirm, "confirm a contact address")
    visitor.press("Confirm the address", "contact data, confirmed")
    go_out(visitor)
    visitor.open(not_me, "this was not me")
    visitor.press("This was not me", "this was not me, told")
    come_in(visitor, "alice")
    visitor.open("/account/details/", "contact data, disputed")
    go_out(visitor)
    come_in(visitor, "carol")
    number = Customer.objects.get(user=User.objects.named("alice").get()).pk
    visitor.open(f"/admin/accounts/customer/{number}/change/", "customer with a disputed contact")


def told(kind: str, pattern: str) -> str:
    """Return what the last letter of a kind gives: a link's path."""
    with vault.internal():
        (text,) = [
            str(letters.given(one)[0]) for one in Letter.objects.filter(kind=kind).order_by("-queued_at", "-pk")[:1]
        ]
    return re.findall(pattern, text)[0]


@each_dimension
def test_the_pages_of_the_second_person(site: Site, visitor: Visitor) -> None:
    come_in(visitor, "mona")
    visitor.open("/admin/", "manager: front page")
    visitor.open("/admin/privacy/secondlook/", "second person, nothing waits")
    now = timezone.now()
    asked = taken_in(
        "erasure", site.customer("alice").subject_id, channel="in_person", identity="in_person", actor=PAT, now=now
    )
    services.add_note(asked, text=f"Seen at the desk: {'W' * 120}", actor=PAT, now=now)
    site.work()
    look = SecondLook.objects.get(request=asked)
    go_out(visitor)
    come_in(visitor, "pat")
    visitor.open(f"/admin/privacy/secondlook/{look.pk}/step/decide/", "second person, decide by the evidence")
    visitor.open(f"/admin/privacy/request/{asked.pk}/change/", "request with evidence")
    visitor.page.set_viewport_size({"width": WIDE.width, "height": 800})
    assert visitor.page.evaluate(_CUT_OFF) == [], "the evidence is read to its end"
    visitor.page.set_viewport_size({"width": NARROW.width, "height": 800})
    go_out(visitor)
    come_in(visitor, "mona")
    visitor.open("/admin/privacy/secondlook/", "second person, one waits")
    visitor.open(f"/admin/privacy/secondlook/{look.pk}/change/", "second person, the request")
    visitor.follow("#content a[href*='/step/']", "second person, decide")
    visitor.follow("#content [type=submit]", "second person, nothing chosen", status=400)
    visitor.page.check("[name=outcome][value=go_on]")
    visitor.follow("#content [type=submit]", "second person, decided")
    visitor.open("/admin/privacy/secondlook/?state=decided", "second person, decided ones")


@each_dimension
def test_pages_behind_the_links_of_letters(site: Site, visitor: Visitor) -> None:
    now, alice = timezone.now(), site.customer("alice")
    with system("sweep"):
        notices.warn(alice.subject_id, on=timezone.localdate(now), ends_after=timezone.localdate(now), now=now)
    keep = told("account_ending", r"https?://[^/\s]+(/privacy/keep/\S+)")
    visitor.open(keep, "keep the account")
    visitor.follow("main [type=submit]", "keep the account, kept")
    visitor.open("/privacy/keep/nothing/", "keep the account, no such link", status=403)

"""What can be changed by a POST: where, by whom, with which data, and the table in which it shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from privacy.requests import second
from tests import factories
from tests.journeys.everybody import Everybody

ADDRESS = {"purpose": "billing", "street": "1 New Street", "city": "Salem", "country": "US"}
RETURN = {
    "stage": "send", "service": "repair", "serial": "ILT2400-9911", "model_name": "ILT2400", "fault": "Stays dark.",
    "contact_name": "Somebody", "email": "somebody@post.example", "return_street": "1 New Street",
    "return_city": "Salem", "return_country": "US",
}  # fmt: skip
FILING = {
    "kind": "access", "channel": "phone", "received_on": "2026-11-20", "asked_by": "self", "identity": "pending",
    "email": "somebody@post.example",
}  # fmt: skip
MESSAGE = {
    "department": "support", "channel": "phone", "received_on": "2026-11-20", "direction": "in", "topic": "product",
    "contact_name": "Somebody", "body": "Which filter fits?",
}  # fmt: skip
PRODUCT = {"sku": "ILT-NEW", "name": "New meter", "kind": "goods", "price": "10", "is_active": "on"}
SESSION, LETTER = "default.accounts_session", "default.privacy_letter"


@dataclass(frozen=True)
class Effect:
    """One POST that does something. `is_own`: everybody has such a page, so what counts is whose record changes."""

    pattern: str
    arguments: str
    by: tuple[str, ...]
    table: str
    data: dict[str, Any] = field(default_factory=dict)
    is_own: bool = False


def effects(world: Everybody) -> list[Effect]:
    """Return every state-changing POST of the product, with bob's records where it takes a record."""
    bob = world.bob.records
    password = {"password": factories.PASSWORD}
    sign_up = {"username": "mallory", "email": "mallory@post.example", "password1": factories.PASSWORD}
    change = {
        "oldpassword": factories.PASSWORD,
        "password1": "another horse battery staple",
        "password2": "another horse battery staple",
    }
    hold = {"number": bob["order"].number, "reason": "authority", "reference": "C-77"}
    address = world.alice.of("accounts.login_address", "email")[0]
    anybody, staff = ("anonymous",), ("carol", "erin", "pat")
    own = [
        Effect("/accounts/login/", "-", anybody, SESSION, {"login": address, **password}),
        Effect("/accounts/signup/", "-", anybody, "default.accounts_user", sign_up),
        Effect("/accounts/logout/", "-", ("bob",), SESSION),
        Effect("/accounts/reauthenticate/", "-", ("bob",), SESSION, password),
        Effect("/accounts/email/", "-", ("bob",), LETTER, {"action_add": "", "email": "new@post.example"}),
        Effect("/accounts/password/change/", "-", ("bob",), "default.accounts_user", change),
        Effect("/accounts/password/reset/", "-", anybody, LETTER, {"email": address}),
        Effect("/account/details/edit/", "-", ("bob",), "default.accounts_customer", {"first_name": "New", "country": "US"}),
        Effect("/account/addresses/new/", "-", ("bob",), "default.accounts_address", ADDRESS),
        Effect("/account/confidentiality/", "-", staff, "default.privacy_acknowledgement"),
        Effect("/rma/new/", "-", ("bob",), "default.rma_rma", RETURN),
        Effect("/privacy/requests/new/<str:kind>/", "=access", ("bob",), "default.privacy_requestevent"),
        Effect("/privacy/ask/", "-", anybody, "default.privacy_request", {"kind": "access", "email": "nobody@post.example"}),
    ]  # fmt: skip
    of_bob = [
        Effect("/account/addresses/<uuid:pk>/", "address", ("bob",), "default.accounts_address", ADDRESS),
        Effect("/account/addresses/<uuid:pk>/remove/", "address", ("bob",), "default.accounts_address"),
        Effect("/account/freight/<uuid:pk>/remove/", "freight", ("bob",), "default.accounts_freightaccount"),
        Effect("/rma/<uuid:pk>/step/", "rma", ("bob",), "default.rma_rma", {"to": "in_transit", "seen": "authorised/"}),
        Effect("/rma/<uuid:pk>/message/", "rma", ("bob",), "default.rma_rmanote", {"text": "Any news?"}),
        Effect("/privacy/requests/<uuid:pk>/confirm/", "erasure", ("bob",), "default.privacy_request", {"plan_hash": bob["erasure"].plan_hash}),
        Effect("/privacy/requests/<uuid:pk>/withdraw/", "erasure", ("bob",), "default.privacy_request"),
        Effect("/privacy/requests/<uuid:pk>/export/", "access", ("bob",), "default.privacy_export"),
    ]  # fmt: skip
    step = "<path:object_id>/step/<slug:name>/"
    back_office = [
        Effect("/admin/privacy/hold/add/", "-", ("pat",), "default.privacy_hold", hold),
        Effect(
            f"/admin/privacy/secondlook/{step}", "look,=decide", ("pat",), "default.privacy_secondlook",
            {"outcome": "go_on", "words": "", "seen": second.shown(bob["look"].request)},
        ),
        Effect(f"/admin/privacy/hold/{step}", "hold,=lift", ("pat",), "default.privacy_hold"),
        Effect("/admin/privacy/request/add/", "-", ("pat",), "default.privacy_request", FILING),
        Effect(f"/admin/privacy/request/{step}", "erasure,=withdraw", ("pat",), "default.privacy_request"),
        Effect(f"/admin/privacy/request/{step}", "erasure,=refuse", ("pat",), "default.privacy_request", {"ground": "Unfounded.", "authority": "Art. 12(2) GDPR"}),
        Effect(f"/admin/privacy/request/{step}", "access,=posted", ("pat",), LETTER, {"letter": str(bob["letter"].pk)}),
        Effect(f"/admin/privacy/request/{step}", "access,=note", ("pat",), "default.privacy_request", {"text": "Called back."}),
        Effect("/admin/privacy/request/search/", "-", ("pat",), SESSION, {"q": "bob@example.com"}),
        Effect("/admin/orders/product/add/", "-", ("carol",), "default.orders_product", PRODUCT),
        Effect("/admin/orders/product/<path:object_id>/change/", "product", ("carol",), "default.orders_product", PRODUCT),
        Effect(f"/admin/orders/order/{step}", "order,=ship", ("carol",), "default.orders_order"),
        Effect(f"/admin/orders/order/{step}", "order,=cancel", ("carol",), "default.orders_order"),
        Effect(f"/admin/orders/order/{step}", "unpaid,=pay", ("erin",), "default.orders_payment", {"method": "transfer"}),
        Effect("/admin/orders/product/search/", "-", staff, SESSION, {"q": "radiometer"}),
        Effect("/admin/orders/order/search/", "-", staff, SESSION, {"q": bob["order"].number}),
        Effect(f"/admin/rma/rma/{step}", "rma,=received", ("carol",), "default.rma_rma"),
        Effect("/admin/rma/rma/search/", "-", ("carol", "pat"), SESSION, {"q": bob["rma"].number}),
        Effect("/admin/accounts/customer/<path:object_id>/change/", "customer", ("carol", "pat"), "default.accounts_customer", {"first_name": "New", "country": "US", "change_reason": "our mistake"}),
        Effect(f"/admin/accounts/customer/{step}", "customer,=keep", ("carol", "pat"), "default.privacy_auditevent", {"reason": "phone"}),
        Effect("/admin/accounts/customer/<path:object_id>/why/", "customer", staff, SESSION, {"reason": "contact"}),
        Effect("/admin/accounts/customer/search/", "-", staff, SESSION, {"q": "978-555-0123"}),
        Effect("/admin/accounts/company/<path:object_id>/change/", "company", ("carol", "erin"), "default.accounts_company", {"name": "New Ltd", "country": "US"}),
        Effect("/admin/accounts/company/search/", "-", staff, SESSION, {"q": "Lumen"}),
        Effect("/admin/accounts/communication/add/", "-", ("carol", "erin"), "default.accounts_communication", MESSAGE),
        Effect("/admin/accounts/communication/<path:object_id>/change/", "communication", ("carol", "erin"), "default.accounts_communication", {"contact_name": "New", "department": "support", "topic": "order"}),
        Effect(f"/admin/accounts/communication/{step}", "communication,=close", ("carol", "erin"), "default.accounts_communication"),
        Effect("/admin/accounts/communication/search/", "-", staff, SESSION, {"q": "bob@post.example"}),
        Effect("/admin/accounts/joining/add/", "-", ("pat",), "default.accounts_joining", {"person": "bob2@example.com"}),
        Effect(f"/admin/accounts/joining/{step}", "joining,=close", ("pat",), "default.accounts_joining"),
        Effect(f"/admin/accounts/claimreview/{step}", "review,=refuse", ("pat",), "default.accounts_claimreview"),
    ]  # fmt: skip
    return [*(_own(one) for one in own), *of_bob, *back_office]


def _own(effect: Effect) -> Effect:
    return Effect(effect.pattern, effect.arguments, effect.by, effect.table, effect.data, is_own=True)


#: Patterns that take a POST which changes nothing lasting, or only with what this table cannot
#: know; each with its reason.
WITHOUT: dict[str, str] = {
    "/": "the front page answers a POST as a GET",
    "/account/contact/send/": "sends a link only while an address waits for it (tests/accounts/test_notices.py)",
    "/account/contact/confirm/<str:token>/": "the token and the login are the proof (tests/accounts/test_notices.py)",
    "/account/contact/not-me/<str:token>/": "the token is the proof (tests/accounts/test_objections.py)",
    "/account/claim/": "only looks again when nothing on file matches (tests/accounts/test_claim.py)",
    "/account/look/": "asks once while nothing was decided (tests/accounts/test_looks.py)",
    "/privacy/outcome/": "shows an outcome for its code",
    "/privacy/requests/<uuid:pk>/export/destroy/": "destroys a file, which no rollback brings back (tests/journeys/test_copy_after_erasure.py)",
    "/admin/privacy/request/<uuid:object_id>/letter/<uuid:letter_id>/copy/": "only for a letter with a copy, once (tests/privacy/requests/test_paper.py)",
    "/privacy/keep/<str:token>/": "the token is the proof (tests/journeys/test_keep_account.py)",
    "/privacy/link/<str:token>/": "the token is the proof (tests/privacy/views/test_views.py)",
    "/accounts/password/set/": "for logins without a password, of which there are none",
    "/accounts/login/code/confirm/": "login codes are off",
    "/accounts/reauthenticate/code/": "codes by mail are off",
    "/accounts/reauthenticate/code/confirm/": "codes by mail are off",
    "/accounts/confirm-email/": "needs a code that waits in the same session (tests/accounts/test_sign_up.py)",
    "/accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": "the key is the proof (tests/accounts/test_login.py)",
    "/accounts/2fa/authenticate/": "needs a login half-way (tests/accounts/test_login.py)",
    "/accounts/2fa/reauthenticate/": "needs a second factor",
    "/accounts/2fa/totp/activate/": "needs a code of the authenticator",
    "/accounts/2fa/totp/deactivate/": "needs a second factor",
    "/accounts/2fa/recovery-codes/generate/": "needs a second factor",
    "/accounts/2fa/recovery-codes/download/": "needs a second factor; answers a POST as a GET",
}

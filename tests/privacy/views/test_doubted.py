"""What the person reads of a request that somebody changed past the site: that staff have to look, and whom to call."""

from __future__ import annotations

import io
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import models
from django.test import Client

from accounts.models import Customer
from privacy.requests import filing
from privacy.requests.models import Request
from tests import factories, pages
from tests.asked import NOW, TODAY, filed, run
from tests.factories import as_customer

pytestmark = pytest.mark.django_db

TOLD = "is not what this website wrote into it"


@pytest.fixture(autouse=True)
def _today() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def alice() -> Customer:
    return factories.customer(user=factories.login())


def planted(request: Request, **columns: Any) -> None:
    """Write into the row as whoever can write to the main database does."""
    models.QuerySet(Request).filter(pk=request.pk).update(**columns)


@pytest.mark.parametrize("kind", ["erasure", "zzz"])
def test_a_request_that_was_changed_past_the_site_is_told_as_that_and_shows_nothing(alice: Customer, kind: str) -> None:
    request = filed(alice, "access")
    run(request)
    browser = pages.signed_in(alice.user, again=True)
    here = f"/privacy/requests/{request.pk}/"
    assert TOLD not in pages.check(browser.get(here)), "as the site wrote it"
    planted(request, kind=kind)
    for path in (here, f"{here}confirm/"):
        told = pages.check(browser.get(path), status=409)
        assert TOLD in told and request.reference in told and "call us" in told
        assert "another role" not in told and "Download" not in told
    bob = pages.signed_in(factories.login("bob", "bob@example.com"), again=True)
    assert bob.get(here).status_code == 404


def test_its_outcome_by_code_is_told_as_that_too(alice: Customer) -> None:
    receipt = filing.Receipt(
        kind="access", subject=alice.subject_id, channel="web", received_on=TODAY, identity=Request.Identity.LOGIN
    )
    request, code = filing.file(receipt, actor=as_customer(alice), now=NOW)
    run(request)
    asked = {"reference": request.reference, "code": code}
    browser = Client()
    assert TOLD not in pages.check(browser.post("/privacy/outcome/", asked))
    planted(request, kind="erasure")
    assert TOLD in pages.check(browser.get(f"/privacy/requests/{request.pk}/"), status=409), "with the proof in it"
    assert TOLD in pages.check(Client().post("/privacy/outcome/", asked), status=409)
    wrong = Client().post("/privacy/outcome/", {**asked, "code": "0000-0000-0000"})
    assert wrong.status_code == 401 and TOLD not in wrong.text


@pytest.mark.parametrize("state", ["planned", "replied"])
def test_a_kind_that_is_not_known_is_run_by_no_operator(alice: Customer, state: str) -> None:
    request = filed(alice, "access")
    planted(request, kind="zzz", state=state)
    for how in ("--yes", "--dry-run"):
        with pytest.raises(CommandError, match="does not know what is asked") as refused:
            call_command("request_run", request.reference, how, stdout=io.StringIO())
        assert refused.value.returncode == 3


def test_a_kind_that_is_no_word_is_told_so_that_it_wipes_no_line_of_a_terminal(alice: Customer) -> None:
    request = filed(alice)
    planted(request, kind="\x1b[2K\rnone open\n")
    request.refresh_from_db()
    assert request.title.endswith(r"('\x1b[2K\rnone open\n')")
    planted(request, kind="portability")
    request.refresh_from_db()
    assert request.title.endswith("(portability)")

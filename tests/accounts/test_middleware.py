"""Where a page leads that must wait: to a first password, or to the second factor, and what it takes along."""

from __future__ import annotations

import pytest

from tests import factories, pages

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/account/contact/not-me/Tk9uLVNlY3JldA/", "/privacy/link/Tk9uLVNlY3JldA/"])
def test_a_token_in_an_address_goes_into_no_other_address(path: str) -> None:
    newly = pages.signed_in(factories.staff("newly", "newly@ilt.example", roles=("sales",), must_change_password=True))
    answer = newly.get(path)
    assert answer.status_code == 302 and answer["Location"] == "/accounts/password/change/"
    assert newly.get("/account/")["Location"] == "/accounts/password/change/?next=%2Faccount%2F", "the control"

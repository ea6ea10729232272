"""A search narrows the list that answers it, and no other: it sticks to nothing, and its URL says nothing of it."""

from __future__ import annotations

import pytest
from django.test import Client

from tests import factories
from tests.privacy.admin.test_admin import at_work

CUSTOMERS = "/admin/accounts/customer/"
REQUESTS = "/admin/privacy/request/"

pytestmark = pytest.mark.django_db


def searched(team: Client, text: str, names: str = CUSTOMERS) -> str:
    """Search and return where the answer stands."""
    answer = team.post(f"{names}search/", {"q": text})
    assert answer.status_code == 302
    return str(answer["Location"])


def test_a_list_that_is_opened_anew_shows_all_again() -> None:
    alice, bob = factories.customer("Alice", "Archer"), factories.customer("Bob", "Baker")
    carol = at_work("sales")
    where = searched(carol, "Archer")
    narrowed = carol.get(where).text
    assert alice.reference in narrowed and bob.reference not in narrowed
    anew = carol.get(CUSTOMERS).text
    assert alice.reference in anew and bob.reference in anew and 'class="found"' not in anew


def test_what_was_searched_stands_in_no_address_and_filters_stay_within_it() -> None:
    alice, _ = factories.customer("Alice", "Archer"), factories.customer("Bob", "Baker")
    carol = at_work("sales")
    where = searched(carol, "Archer")
    assert "archer" not in where.lower() and str(alice.pk) not in where and alice.reference not in where
    page = carol.get(f"{where}&kind__exact={alice.kind}").text
    assert "1 found." in page and "Baker" not in page


def test_a_search_of_before_or_of_somebody_else_shows_the_whole_list_and_says_so() -> None:
    alice, bob = factories.customer("Alice", "Archer"), factories.customer("Bob", "Baker")
    carol, dave = at_work("sales"), at_work("privacy")
    first, second = searched(carol, "Archer"), searched(carol, "Baker")
    assert bob.reference in carol.get(second).text
    for team in (carol, dave):
        page = team.get(first, follow=True)
        assert page.redirect_chain[-1][0] == CUSTOMERS
        assert "That search has ended. This is the whole list." in page.text
        assert alice.reference in page.text and bob.reference in page.text


def test_an_empty_search_and_show_all_end_it() -> None:
    factories.customer("Alice", "Archer")
    carol = at_work("sales")
    for words in ({"q": ""}, {"q": "Archer", "clear": "1"}):
        where = searched(carol, "Archer")
        assert carol.post(f"{CUSTOMERS}search/", words)["Location"] == CUSTOMERS
        assert "That search has ended" in carol.get(where, follow=True).text

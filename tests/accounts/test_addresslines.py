"""A letter is addressed as the post of its country wants it."""

from __future__ import annotations

import re

import pytest

from accounts import addresslines, people
from privacy import vault
from tests import factories, pages

PLACES = [
    ("US", "Salem", "MA", "01970", ["Salem MA 01970"]),
    ("CA", "Québec", "QC", "G1R 2S5", ["Québec QC G1R 2S5"]),
    ("AU", "Ultimo", "NSW", "2007", ["Ultimo NSW 2007"]),
    ("GB", "Leeds", "ENG", "LS1 1AA", ["Leeds", "LS1 1AA"]),
    ("GB", "London", "London", "N1 7ZZ", ["London", "N1 7ZZ"]),
    ("GB", "Keswick", "Cumbria", "CA12 5AA", ["Keswick", "Cumbria", "CA12 5AA"]),
    ("IE", "Cork", "CO", "T12 W8KP", ["Cork", "T12 W8KP"]),
    ("DE", "Rostock", "MV", "18055", ["18055 Rostock"]),
    ("IT", "Milano", "MI", "20121", ["20121 Milano MI"]),
    ("JP", "Shibuya-ku", "JP-13", "150-0002", ["Shibuya-ku 150-0002"]),
    ("JP", "Shibuya-ku", "Tokyo", "150-0002", ["Shibuya-ku 150-0002", "Tokyo"]),
    ("FR", "", "RE", "97400", ["97400", "RE"]),
    ("SG", "", "", "018956", ["018956"]),
    ("", "Anywhere", "", "", ["Anywhere"]),
]


@pytest.mark.parametrize(("country", "city", "region", "postal_code", "lines"), PLACES)
def test_the_place_stands_as_the_post_of_the_country_wants_it(
    country: str, city: str, region: str, postal_code: str, lines: list[str]
) -> None:
    found = addresslines.of_place(country=country, city=city, region=region, postal_code=postal_code)
    assert found == lines


@pytest.mark.django_db(databases="__all__")
def test_an_envelope_to_canada_has_the_postal_code_behind_the_province() -> None:
    alice = factories.customer(country="CA")
    address = factories.address(
        alice, street="85 rue des Érables", street2="", city="Québec", region="QC", postal_code="G1R 2S5", country="CA"
    )
    assert alice.subject_id is not None
    with vault.internal():
        lines = people.lines_to(alice.subject_id, address)
    assert lines[1:] == ["85 rue des Érables", "Québec QC G1R 2S5", "Canada"]


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize(
    ("last_name", "first_line"), [("", "Lumen Works"), ("Archer", "Archer")], ids=["no name", "a name"]
)
def test_an_envelope_to_a_contact_without_a_name_has_the_companys(last_name: str, first_line: str) -> None:
    alice = factories.customer("", last_name, company=factories.company("Lumen Works"))
    address = factories.address(alice)
    assert alice.subject_id is not None
    with vault.internal():
        assert people.lines_to(alice.subject_id, address)[:2] == [first_line, "12 Elm Street"]
        assert people.postal(alice.subject_id, factories.NOW)[:1] == [first_line]


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ({"city": "Salem", "region": "MA", "postal_code": "01970", "country": "US"}, "Salem MA 01970<br>United States"),
        (
            {"city": "Leeds", "region": "", "postal_code": "LS1 1AA", "country": "GB"},
            "Leeds<br>LS1 1AA<br>United Kingdom",
        ),
        ({"city": "Rostock", "region": "", "postal_code": "18055", "country": "DE"}, "18055 Rostock<br>Germany"),
        ({"city": "<b>Leeds", "region": "", "postal_code": "", "country": "GB"}, "&lt;b&gt;Leeds<br>United Kingdom"),
        ({"city": "", "region": "", "postal_code": "", "country": "GB"}, "<br>United Kingdom"),
    ],
    ids=["US", "GB", "DE", "escaped", "no place"],
)
def test_the_page_writes_the_place_as_the_envelope_does(place: dict[str, str], shown: str) -> None:
    user = factories.login()
    factories.address(factories.customer(user=user), street="1 High Street", street2="", **place)
    text = pages.check(pages.signed_in(user).get("/account/details/"))
    (address,) = re.findall(r"<address>.*?</address>", re.sub(r"\s*\n\s*", "", text), re.DOTALL)
    assert address == f"<address>1 High Street<br>{shown.removeprefix('<br>')}</address>"

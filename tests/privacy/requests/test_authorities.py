"""Each person is told of the authority, and the ground, that is there for him; the GDPR's words only where it covers
him."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from accounts import countries, regions
from ilt_site import startup
from privacy import vault
from privacy.letters.models import Letter
from privacy.requests import authorities, contents, grounds, plan, proof, services, writing
from privacy.retention import jurisdiction, rules
from tests import factories, pages
from tests.asked import NOW, PRIVACY, TODAY, confirmed, filed, run, taken_in
from tests.factories import an_order

GDPR = re.compile(r"GDPR|Art\. ?\d|Article \d|edpb")
#: What the published policy cites to everybody, and says that it does.
PROMISED = (
    "for which it cites Article 6 of the GDPR",
    "Our privacy policy, which cites Article 6 of the GDPR",
    "our policy: needed for legitimate business interaction under Article 6 GDPR",
)
EU = "or to the data protection authority of the country where you work or where you think the rule was broken"
PLACES = [
    ("DE", "", "the data protection authority of your federal state, which the federal commissioner lists (bfdi.bund.de, in German), " + EU),
    ("RE", "", "the Commission nationale de l'informatique et des libertés (cnil.fr, in French), " + EU),
    ("AX", "", "the Tietosuojavaltuutetun toimisto (tietosuoja.fi, in Finnish and Swedish), " + EU),
    ("NO", "", "the Datatilsynet (datatilsynet.no, in Norwegian), " + EU),
    (
        "GB",
        "Scotland",
        "the Information Commissioner's Office, which becomes the Information Commission (ico.org.uk, in English), and you can",
    ),
    (
        "CH",
        "",
        "the Eidgenössischer Datenschutz- und Öffentlichkeitsbeauftragter (edoeb.admin.ch, in German, French and Italian), and",
    ),
    ("BR", "", "the Autoridade Nacional de Proteção de Dados (gov.br/anpd, in Portuguese), and you can"),
    (
        "CA",
        "QC",
        "the Commission d'accès à l'information (cai.gouv.qc.ca, in French) and to the Office of the Privacy Commissioner of Canada "
        "(priv.gc.ca, in English and French), and you can",
    ),
    ("CA", "ON", "the Office of the Privacy Commissioner of Canada (priv.gc.ca, in English and French), and you can"),
    ("AU", "NSW", "the Office of the Australian Information Commissioner (oaic.gov.au, in English), and you can"),
    (
        "US",
        "CA",
        "the California Privacy Protection Agency (CalPrivacy) (cppa.ca.gov, in English) and to the Attorney General of California "
        "(oag.ca.gov, in English) and to the Federal Trade Commission (ftc.gov, in English), and you can",
    ),
    ("US", "MA", "the Attorney General of Massachusetts (mass.gov/ago, in English) and to the Federal Trade Commission (ftc.gov,"),
    ("US", "RI", "the Attorney General of Rhode Island and to the Federal Trade Commission (ftc.gov, in English), and you can"),
    ("PR", "", "the attorney general of your state or territory and to the Federal Trade Commission (ftc.gov, in English), and"),
    ("JE", "", "the Jersey Office of the Information Commissioner (jerseyoic.org, in English), and you can"),
    ("TH", "", "the data protection authority of your country, where there is one, or to a court."),
    ("", "", "the data protection authority of your country, where there is one, or to a court."),
]  # fmt: skip
IDS = [f"{country}-{region}" for country, region, _ in PLACES]


def beside_the_promise(text: str) -> str:
    for one in PROMISED:
        text = text.replace(one, "")
    return text


@pytest.mark.parametrize(("country", "region", "words"), PLACES, ids=IDS)
def test_every_letter_names_the_persons_own_authority_and_no_law_of_others(
    db: None, country: str, region: str, words: str
) -> None:
    alice = factories.customer("Alice", "Archer", email="alice@example.com", country=country, region=region)
    request = filed(alice)
    everything = {
        "received_on": NOW.date(), "merged": True, "expires_at": NOW, "several": True, "ground": "A ground.",
        "authority": jurisdiction.rule("Art. 12(5) GDPR", country), "records": 1, "erased": [], "kept": [], "done_on": NOW,
        "file_until": NOW, "token_until": NOW, "backups_until": NOW, "recipients": ["carrier"], "reason": "A reason.",
        "words": "Some words.", "due_on": NOW.date(), "what": "fetched", "times": 2,
    }  # fmt: skip
    ends = (
        "copy_ready",
        "copy_posted",
        "erasure_done",
        "refused",
        "expired",
        "extended",
        "late",
        "not_you",
        "rest_erased",
        "kept_longer",
    )
    others = (
        "acknowledgement",
        "link_identity",
        "not_identified",
        "plan_changed",
        "withdrawn",
        "plan_ready",
        "plan_confirmed",
    )
    for one in (*ends, *others):
        writing.queue(one, to="alice@example.com", context=everything, key=f"t:{one}", request=request, now=NOW)
    with vault.internal():
        written = {one.kind: (one.text, pages.read(one.html)) for one in Letter.objects.filter(key__startswith="t:")}
    assert len(written) == len(ends) + len(others)
    for kind, (text, html) in written.items():
        assert (f"You can also complain to {words}" in text) is (kind in ends), kind
        assert ("You can also complain to " in html) is (kind in ends), kind
        first = kind in ends and country == "GB"
        assert ("section 164A of the Data Protection Act 2018" in text) is first, kind
        assert ("we have to confirm within 30 days that we have your complaint" in html) is first, kind
        if not jurisdiction.covers(country):
            assert not GDPR.search(beside_the_promise(text + html)), kind


@pytest.mark.parametrize(("country", "region", "words"), PLACES, ids=IDS)
def test_grounds_and_the_copy_cite_no_gdpr_to_whom_it_does_not_cover(
    db: None, country: str, region: str, words: str
) -> None:
    alice = factories.customer("Alice", "Archer", email="alice@example.com", country=country, region=region)
    factories.address(alice, street="17 Quince Row", city="Town", country=country or "DE")
    an_order(alice)
    schedule = rules.load()
    told = [
        *(one.basis_for("person", country) for name in schedule.classes for one in schedule.reasons(name)),
        *(one.authority.texts[jurisdiction.of(country)] for name in schedule.classes for one in schedule.reasons(name)),
        *(one.ground for one in plan.leave(schedule, TODAY, country)),
        jurisdiction.ground("Art. 17(1)(a) GDPR", country),
        jurisdiction.rule("Art. 12(6) GDPR", country),
        *(jurisdiction.told(one, country) for one in (*contents.RIGHTS, contents.AUTOMATED, contents.TRANSFERS)),
        authorities.complaint(country, region),
    ]
    law = jurisdiction.covers(country)
    assert law == {"DE": "GDPR", "RE": "GDPR", "AX": "GDPR", "NO": "GDPR", "GB": "UK GDPR", "": "GDPR"}.get(country, "")
    if law:
        assert all(f" {law}" in one for one in told if re.match(r"Art\. \d", one))
        assert sum("GDPR" in one for one in told) > 20
    else:
        assert [one for one in told if GDPR.search(beside_the_promise(one))] == []
        assert not any("()" in one or " ." in one for one in told)


def test_each_ground_told_where_no_gdpr_covers_the_person_is_one_of_the_policys_two() -> None:
    """The policy lets data stay for legitimate business or where the law requires it (P10);
    consent ends when withdrawn."""
    policys = (
        "needed for legitimate business",
        "legally required",
        "only if you consent",
        "needed to respect your wish",
    )
    schedule = rules.load()
    told = {one.authority.texts["US"] for name in schedule.classes for one in schedule.reasons(name)}
    assert len(told) > 5
    assert [
        one for one in told if "our privacy policy" not in one.lower() or not any(each in one for each in policys)
    ] == []


def test_an_answer_to_somebody_in_rhode_island_says_why_by_the_policy(db: None, outbox: list[Any]) -> None:
    alice = factories.customer("Alice", "Archer", email="alice@example.com", country="US", region="RI")
    an_order(alice, invoiced=TODAY)
    request = confirmed(alice)
    run(request)
    (text,) = (
        one.body for one in outbox if "What" in one.body and "removed" in one.body and "Rhode Island" in one.body
    )
    assert "You can also complain to the Attorney General of Rhode Island and to the Federal Trade Commission" in text
    assert not GDPR.search(beside_the_promise(text))
    for decision in request.decisions.all():
        assert not GDPR.search(beside_the_promise(f"{decision.ground} {decision.authority}"))


@pytest.mark.parametrize(
    ("country", "rule"), [("DE", " (Art. 12(2) GDPR)"), ("GB", " (Art. 12(2) UK GDPR)"), ("US", "")]
)
def test_a_refusal_cites_the_gdpr_only_where_it_covers_the_person(db: None, country: str, rule: str) -> None:
    alice = factories.customer("Alice", "Archer", email="alice@example.com", country=country)
    request = taken_in("access", alice.subject_id, channel="mail", actor=PRIVACY)
    services.refuse(request, ground="Nobody knows you.", authority="Art. 12(2) GDPR", actor=PRIVACY, now=NOW)
    with vault.internal():
        text = Letter.objects.get(request=request, kind="refused").text
    assert f"Nobody knows you.{rule}\n" in text


@pytest.mark.parametrize(
    ("country", "kind", "rules"),
    [
        ("DE", "access", ["Art. 12(2) GDPR", "Art. 12(5) GDPR", "Art. 15(4) GDPR"]),
        ("", "erasure", ["Art. 12(2) GDPR", "Art. 12(5) GDPR"]),
        ("GB", "erasure", ["Art. 12(2) GDPR", "Art. 12(5) GDPR"]),
        ("US", "access", ["Art. 12(2) GDPR", "Art. 15(4) GDPR"]),
        ("AU", "erasure", ["Art. 12(2) GDPR"]),
        ("CH", "erasure", ["Art. 12(2) GDPR"]),
    ],
)
def test_nobody_is_refused_for_a_reason_that_neither_the_law_over_them_nor_the_policy_knows(
    db: None, country: str, kind: str, rules: list[str]
) -> None:
    alice = factories.customer("Alice", "Archer", email="alice@example.com", country=country)
    request = taken_in(kind, alice.subject_id, channel="mail", actor=PRIVACY)
    assert list(grounds.of(request)) == rules
    for rule in grounds.WORDS.keys() - set(rules):
        with pytest.raises(proof.BadRequest, match="our policy knows no such reason"):
            services.refuse(request, ground="You asked nine times.", authority=rule, actor=PRIVACY, now=NOW)
    request.refresh_from_db()
    assert request.is_open
    services.refuse(request, ground="Nobody knows you.", authority=rules[0], actor=PRIVACY, now=NOW)
    assert not request.is_open


def test_every_state_of_the_european_economic_area_has_an_authority_of_its_own() -> None:
    for country in jurisdiction.EU | jurisdiction.OVERSEAS | jurisdiction.UK:
        (one,) = authorities.named(country)
        assert re.search(r" \([a-z/.-]+\.[a-z]{2,3}, in [A-Z]", one), one


def test_every_state_has_its_attorney_general_and_no_code_is_of_no_place() -> None:
    for state in regions.CODES["US"] - {"AA", "AE", "AP", *authorities.TERRITORIES}:
        assert "Attorney General of " in " ".join(authorities.named("US", state)), state
    listed, states = authorities._read()
    assert set(states) < regions.CODES["US"]
    for one in listed:
        for place in one.of:
            country, _, part = place.partition("-")
            assert country in countries.NAMES and (not part or part in regions.CODES[country])
        assert one.website not in ("", one.address) and one.checked_on is None


def test_the_operator_is_told_how_many_authorities_nobody_looked_up() -> None:
    listed, _ = authorities._read()
    assert authorities.not_looked_up(TODAY) == (len(listed), len(listed))
    (told,) = startup.authorities_looked_up()
    assert told.id == "site.I001" and f"Of {len(listed)} authorities" in told.msg and not told.is_serious()
    for days, is_doubtful in ((0, False), (365, False), (366, True)):
        assert replace(listed[0], checked_on=TODAY - timedelta(days=days)).is_doubtful(TODAY) == is_doubtful


def test_a_code_of_no_country_is_read_as_an_unknown_one() -> None:
    assert [jurisdiction.of(one) for one in ("UK", "EL", "ZZ", "", None)] == ["EU"] * 5

"""Which law's time counts: by country, part of it, and the day of receipt; a table that is wrong is refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from privacy import checks
from privacy.requests import regimes
from privacy.requests.regimes import Place, RegimeError, regime_for

TODAY = date(2026, 11, 20)
ON = frozenset({"CALIFORNIA", "CONNECTICUT"})


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (Place("DE"), "eu"),
        (Place("NO"), "eu"),
        (Place("RE"), "eu"),  # Réunion
        (Place("AX"), "eu"),  # Åland
        (Place(), "eu"),  # the strictest, when no country is known
        (Place("GB"), "uk"),
        (Place("GB", "SCT"), "uk"),
        (Place("US", "MA", ON), "policy"),
        (Place("US", "CA"), "policy"),
        (Place("US", "CA", ON), "california"),
        (Place("US", "California", ON), "california"),
        (Place("US", "CT"), "policy"),
        (Place("US", "CT", ON), "connecticut"),
        (Place("US", "", ON), "policy"),
        (Place("CA"), "canada"),
        (Place("CA", "ON", ON), "canada"),
        (Place("CA", "QC"), "quebec"),
        (Place("CA", "Québec"), "quebec"),
        (Place("CA", "CA", ON), "canada"),  # Canada's own code, written as its province
        (Place("BR"), "brazil"),
        (Place("br", "CA"), "brazil"),
        (Place("CH"), "switzerland"),
        (Place("MX", "CA", ON), "policy"),
        (Place("AU", "WA"), "policy"),
    ],
)
def test_the_country_and_the_part_of_it_choose_the_law(place: Place, name: str) -> None:
    assert regime_for(place, TODAY).name == name


@pytest.mark.parametrize(
    ("place", "first"),
    [
        (Place("GB"), date(2026, 2, 5)),
        (Place("CH"), date(2023, 9, 1)),
        (Place("BR"), date(2020, 9, 18)),
        (Place("US", "CA", ON), date(2020, 1, 1)),
        (Place("US", "CT", ON), date(2026, 7, 1)),
        (Place("CA"), date(2004, 1, 1)),
        (Place("DE"), date(2018, 5, 25)),
    ],
)
def test_a_law_counts_from_its_day(place: Place, first: date) -> None:
    there = regime_for(place, first)
    assert there.starts_on == first
    before = regime_for(place, date.fromordinal(first.toordinal() - 1))
    assert before.starts_on < first and before != there


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("[[regime]", "not valid TOML"),
        ("[regime]", "tables"),
        ('[[regime]]\nname = "x"', "it needs"),
        ('[[regime]]\nname = "x"\nlaw = "y"\nfrom = 2020-01-01\nmonths = 1\ndays = 30', "it needs"),
        ('[[regime]]\nname = "x"\nlaw = "y"\nfrom = 2020-01-01\nmonths = 1\nlongest_days = 30', "extends in months"),
        ('[[regime]]\nname = "x"\nlaw = "y"\nfrom = 2020-01-01\nmonth = 1', "month is unknown"),
        ('[[regime]]\nname = "x"\nlaw = "y"\nfrom = 2020-01-01\nmonths = 0', "months is unknown or has a wrong value"),
        ('[[regime]]\nname = "x"\nlaw = "y"\nfrom = 2020-01-01\nmonths = true', "months is unknown or has a wrong value"),
        ('[[regime]]\nname = "x"\nlaw = "y"\nfrom = "2020-01-01"\nmonths = 1', "from is unknown or has a wrong value"),
        ('[[regime]]\nname = "x"\nlaw = "y"\nfrom = 2020-01-01\nmonths = 1\npause = "ask"', "a word that is not known"),
        ('[[regime]]\nname = "x"\nlaw = "y"\nfrom = 2020-01-01\nmonths = 1', "for everybody else"),
        ('[[regime]]\nname = "x"\nlaw = "y"\nfrom = 1965-01-01\nmonths = 1\n' * 2, "Two regimes"),
    ],
)  # fmt: skip
def test_a_table_that_is_wrong_is_refused_with_its_place(wrong: str, sentence: str) -> None:
    with pytest.raises(RegimeError, match=sentence.replace("(", r"\(")):
        regimes.parse(wrong)


def test_a_wrong_file_is_a_problem_of_the_check_in_a_sentence(tmp_path: Path) -> None:
    wrong, latin, missing = tmp_path / "wrong.toml", tmp_path / "latin.toml", tmp_path / "missing.toml"
    wrong.write_text("[[regime]")
    latin.write_bytes(b"# caf\xe9")
    assert regimes.problems(wrong)[0].startswith("The regimes are not valid TOML: ")
    assert regimes.problems(latin) == ["The regimes cannot be read: UnicodeDecodeError."]
    assert regimes.problems(missing) == ["The regimes cannot be read: FileNotFoundError."]
    assert regimes.problems() == [] and checks.check_regimes() == []


def test_connecticut_counts_45_days_after_the_receipt_and_once_as_many_again() -> None:
    law = regime_for(Place("US", "CT", ON), TODAY)
    assert (law.last_day(TODAY), law.last_day(TODAY, is_extended=True)) == (date(2027, 1, 4), date(2027, 2, 18))


def test_quebec_counts_30_days_after_the_receipt_and_knows_no_longer_time() -> None:
    law = regime_for(Place("CA", "QC"), TODAY)
    assert (law.last_day(TODAY), law.has_extension) == (date(2026, 12, 20), False)

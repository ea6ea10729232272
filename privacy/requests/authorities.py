"""To whom a person can complain: the authority of the country, and the part of it, where the
person is (authorities.toml).

What must never happen: a person is sent to an authority, or told of a law, that is not there for him. So a country
without a table gets a sentence that is true anywhere, and the GDPR's own words stand only where it covers the person.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

from privacy.calendar import part_of
from privacy.retention import jurisdiction

HERE = Path(__file__).with_name("authorities.toml")
LOOKED_UP_FOR = timedelta(days=365)
ANYWHERE = "the data protection authority of your country, where there is one, or to a court"
# Parts of the United States with a country code of their own.
TERRITORIES = frozenset({"AS", "GU", "MP", "PR", "UM", "VI"})


@dataclass(frozen=True, slots=True)
class Authority:
    """One authority, as authorities.toml explains it."""

    of: tuple[str, ...]
    name: str
    website: str
    language: str
    law: str = ""
    address: str = ""
    checked_on: date | None = None

    def is_doubtful(self, today: date) -> bool:
        """Say whether nobody of the company has looked this up within a year before `today`."""
        return self.checked_on is None or self.checked_on < today - LOOKED_UP_FOR

    def __str__(self) -> str:
        return f"{self.name} ({self.website}, in {self.language})"


def named(country: str | None, region: str = "") -> tuple[str, ...]:
    """Return the authorities of a person there, as a letter names them: of the part of the country first; none when
    unknown."""
    code = (country or "").upper()
    code, part = ("US", code) if code in TERRITORIES else (code, part_of(code, region) if region else "")
    found = [str(one) for one in _read()[0] if part and f"{code}-{part}" in one.of]
    if code == "US" and not found:
        state = _read()[1].get(part, "")
        found = [f"Attorney General of {state}" if state else "attorney general of your state or territory"]
    return (*found, *(str(one) for one in _read()[0] if code in one.of))


def where_to(country: str | None, region: str = "") -> str:
    """Return to whom a person there can complain, as it goes on after "You can complain to" (Art. 12(4), 13(2)(d),
    77)."""
    found = named(country, region)
    if not found:
        return ANYWHERE
    own = " and to ".join(_article(one) for one in found)
    if jurisdiction.covers(country) == "GDPR":
        return (
            f"{own}, or to the data protection authority of the country where you work or where you think the rule was broken (addresses: "
            "edpb.europa.eu/about-edpb/about-edpb/members_en), and you can go to court"
        )
    return f"{own}, and you can go to court"


def not_looked_up(today: date) -> tuple[int, int]:
    """Return how many authorities nobody of the company has looked up within a year before
    `today`, and how many there are."""
    listed, _ = _read()
    return sum(one.is_doubtful(today) for one in listed), len(listed)


def complaint(country: str | None, region: str = "") -> str:
    """Return the whole sentence of the copy (Art. 15(1)(f)); in the United Kingdom to the company first (DPA 2018 s.
    164A)."""
    first = (
        "To us first, if you like: your law gives us 30 days to confirm that we have a complaint. Also"
        if country == "GB"
        else "To us, and"
    )
    return f"{first} to {where_to(country, region)}."


def to_us(country: str | None) -> str:
    """Return what comes of a complaint to the company, as the law of the person promises it ("" where none does).

    In the United Kingdom section 164A of the Data Protection Act 2018, in force since 19 June 2026.
    """
    if jurisdiction.covers(country) != "UK GDPR":
        return ""
    return (
        "The law of the United Kingdom gives you the right to complain to us (section 164A of the Data Protection Act 2018). By it "
        "we have to confirm within 30 days that we have your complaint, to look into it without undue delay and to tell you what "
        "came of it."
    )


def _article(name: str) -> str:
    return name if name.startswith("the ") else f"the {name}"


@lru_cache(maxsize=1)
def _read() -> tuple[tuple[Authority, ...], dict[str, str]]:
    raw = tomllib.loads(HERE.read_text(encoding="utf-8"))
    return tuple(Authority(**{**one, "of": tuple(one["of"])}) for one in raw["authority"]), raw["attorneys_general"]

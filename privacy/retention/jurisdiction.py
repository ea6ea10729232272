"""Under whose law a decision is explained to a person: everybody has the same rights, wording and clocks differ."""

from __future__ import annotations

import re
from typing import Literal

from django_countries.data import COUNTRIES

Jurisdiction = Literal["EU", "UK", "US"]
JURISDICTIONS: tuple[Jurisdiction, ...] = ("EU", "UK", "US")

#: Member States, and the three EEA states in which the GDPR applies as well.
EU = frozenset(
    {
        "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU",
        "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK", "IS", "LI", "NO",
    }
)  # fmt: skip
#: Parts of France and Finland with a code of their own, in which the GDPR applies. They are not in the Union's VAT
#: area.
OVERSEAS = frozenset({"AX", "GF", "GP", "MF", "MQ", "RE", "YT"})
#: Where the Union's VAT is due: Member States, and Monaco, which counts as France (Art. 7 Directive 2006/112/EC). A
#: part of a Member State outside that area that has no code of its own, such as the Canary Islands, counts with it.
EU_VAT = EU - {"IS", "LI", "NO"} | {"MC"}
UK = frozenset({"GB"})


#: What the published policy cites to everybody, wherever the GDPR does not cover a person.
CITED = "Our privacy policy, which cites Article 6 of the GDPR"
OWN = "Our privacy policy"
_ARTICLE = re.compile(r" ?\(Art\. [^()]*(?:\(\w+\)[^()]*)*\)|, Art\. [0-9]+(?:\(\w+\))*")


def of(country: str | None) -> Jurisdiction:
    """Return whose law is explained to a person in `country` (ISO 3166-1 alpha-2).

    An unknown country, and a code of none, count as EU, the strictest; every other country is
    explained the company's own law.
    """
    code = (country or "").upper()
    if code not in COUNTRIES or code in EU or code in OVERSEAS:
        return "EU"
    return "UK" if code in UK else "US"


def covers(country: str | None) -> str:
    """Return "GDPR" or "UK GDPR" for a person whom it covers, "" for one whom neither does."""
    return {"EU": "GDPR", "UK": "UK GDPR", "US": ""}[of(country)]


def rule(article: str, country: str | None) -> str:
    """Return a rule of the GDPR, as "Art. 12(6) GDPR", as it binds the company towards a person in
    `country`; "" where it does not."""
    law = covers(country)
    return article.replace(" GDPR", f" {law}") if law else ""


def ground(article: str, country: str | None) -> str:
    """Return the ground of a decision as it is told to a person in `country`: the article, or the
    policy where no GDPR covers him."""
    return rule(article, country) or (CITED if article.startswith("Art. 6(") else OWN)


def law(ground: str, authority: str) -> str:
    """Return by what right data are kept, in one text: where no GDPR covers a person the policy stands there once."""
    if ground in (CITED, OWN) and authority:
        return authority
    return ". ".join(filter(None, (ground, authority)))


def told(text: str, country: str | None) -> str:
    """Return a sentence as it is told to a person in `country`: without the articles of a law that does not cover
    him."""
    return text if covers(country) else _ARTICLE.sub("", text)

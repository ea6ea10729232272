"""Under whose law a decision is explained to a person: everybody has the same rights, wording and clocks differ."""

from __future__ import annotations

from typing import Literal

Jurisdiction = Literal["EU", "UK", "US"]
JURISDICTIONS: tuple[Jurisdiction, ...] = ("EU", "UK", "US")

#: Member States, and the three EEA states in which the GDPR applies as well.
EU = frozenset(
    {
        "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU",
        "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK", "IS", "LI", "NO",
    }
)  # fmt: skip
#: Parts of France and Finland with a code of their own, in which the GDPR applies. They are not in the Union's VAT area.
OVERSEAS = frozenset({"AX", "GF", "GP", "MF", "MQ", "RE", "YT"})
#: Where the Union's VAT is due: Member States, and Monaco, which counts as France (Art. 7 Directive 2006/112/EC). A part
#: of a Member State outside that area that has no code of its own, such as the Canary Islands, counts with it.
EU_VAT = EU - {"IS", "LI", "NO"} | {"MC"}
UK = frozenset({"GB"})


def of(country: str | None) -> Jurisdiction:
    """Return whose law is explained to a person in `country` (ISO 3166-1 alpha-2).

    An unknown country counts as EU, the strictest; every other country is explained the company's own law.
    """
    code = (country or "").upper()
    if not code or code in EU or code in OVERSEAS:
        return "EU"
    return "UK" if code in UK else "US"


def rule(article: str, country: str | None) -> str:
    """Return a rule of the GDPR, as "Art. 12(6) GDPR", as it binds the company towards a person in `country`."""
    here = of(country)
    if here == "UK":
        return article.replace(" GDPR", " UK GDPR")
    return article if here == "EU" else f"our privacy policy, on the terms of {article}"

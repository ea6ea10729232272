"""Countries by ISO 3166-1: the one list (django-countries), and the one door through which a country comes in.

What must never happen: a country that is none stands on file. The person's law, clock and authority are read from
it, and what no list knows would be read as another law. So a form, an import, the desk and every service take a
code of the list and nothing else (`accounts.validators.validate_country`); whatever else people write for a
country is answered with its code.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from django_countries import countries

NAMES: dict[str, str] = {one.code: str(one.name) for one in countries}
#: What the code of a country is one of.
CODE = "code of ISO 3166-1"
#: For a select box: nothing chosen, then all by name.
CHOICES: list[tuple[str, str]] = [("", "Choose a country"), *NAMES.items()]
#: Codes that stand for exactly one country of today: reserved for it in the standard, or the one
#: it had before (ISO 3166-3).
FORMER = {"UK": "GB", "EL": "GR", "BU": "MM", "DD": "DE", "FX": "FR", "TP": "TL", "ZR": "CD"}
# What else people write, and what lists of other programs call a country.
_ALSO = {
    "AS": "American Samoa|Samoa (American)",
    "BA": "Bosnia",
    "BL": "St Barthelemy",
    "BQ": "Caribbean NL|Caribbean Netherlands",
    "BS": "Bahamas",
    "CD": "Congo (Dem. Rep.)|Congo-Kinshasa|DR Congo",
    "CF": "Central African Rep.",
    "CG": "Congo (Rep.)|Congo-Brazzaville",
    "CV": "Cape Verde",
    "CZ": "Czech Republic",
    "DE": "Deutschland",
    "FK": "Falkland Islands",
    "GB": "Great Britain|Britain|England|Scotland|Wales|Northern Ireland|United Kingdom (UK)",
    "GR": "Hellas",
    "KN": "St Kitts & Nevis",
    "KR": "Korea, Republic of|Republic of Korea",
    "LC": "St Lucia",
    "MF": "St Martin (French)|St Martin",
    "MK": "Macedonia",
    "MM": "Burma|Myanmar (Burma)",
    "MO": "Macau",
    "NL": "Holland|The Netherlands",
    "NR": "Nauru",
    "PM": "St Pierre & Miquelon",
    "RU": "Russian Federation",
    "SH": "St Helena",
    "SX": "St Maarten (Dutch)",
    "SZ": "Swaziland|Eswatini (Swaziland)",
    "TC": "Turks & Caicos Is",
    "TF": "French S. Terr.",
    "TL": "East Timor",
    "TR": "Turkey",
    "TW": "Taiwan, Province of China",
    "US": "USA|U.S.A.|United States of America|United States (US)|America",
    "VA": "Vatican City|Vatican",
    "VC": "St Vincent",
    "VG": "Virgin Islands (UK)|British Virgin Islands",
    "VI": "Virgin Islands (US)|US Virgin Islands",
    "VN": "Viet Nam",
    "WS": "Samoa (western)",
}


def name_of(code: str) -> str:
    """Return the country's name, or the code itself when the list does not know it."""
    return NAMES.get(code, code)


def find(text: str) -> str:
    """Return the code of what somebody wrote for a country: a code of any case, one of before, a name; "" for anything
    else."""
    return _written().get(_key(text[:100]), "")


def _key(text: str) -> str:
    """Return a text as it is compared: without accents, capitals, blanks and signs."""
    plain = unicodedata.normalize("NFKD", text.replace("&", " and "))
    return re.sub(r"[^a-z0-9]", "", "".join(c for c in plain if not unicodedata.combining(c)).casefold())


@cache
def _written() -> dict[str, str]:
    found = {_key(one): code for code, spelled in _ALSO.items() for one in spelled.split("|")}
    found |= {_key(one): code for one, code in FORMER.items()}
    found |= {_key(str(name)): code for code, name in countries.countries.items() if isinstance(name, str)}
    found |= {_key(name): code for code, name in NAMES.items()}
    return found | {code.casefold(): code for code in NAMES}

"""States and provinces by ISO 3166-2, and the field of a region that keeps them apart from free text.

What must never happen: a text that somebody typed stands in a readable column. So the readable column `state` takes the
code of a state, province or territory of the United States, Canada or Australia and nothing else; every other region is
sealed in the envelope of its record's city. Callers read and write `region` and need not know which it is.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models

from privacy.vault.fields import EncryptedTextField, Opener
from privacy.vault.results import Unreadable

if TYPE_CHECKING:
    from privacy.vault.sealed import SealedModel

# Code, name, and what else people write, divided by |. The armed forces have no code of ISO 3166-2, only the post's.
_TABLES = {
    "US": """
        AL|Alabama|Ala
        AK|Alaska
        AZ|Arizona|Ariz
        AR|Arkansas|Ark
        CA|California|Calif|Cal
        CO|Colorado|Colo
        CT|Connecticut|Conn
        DE|Delaware|Del
        DC|District of Columbia|Washington DC|Washington D.C.
        FL|Florida|Fla
        GA|Georgia
        HI|Hawaii|Hawai'i
        ID|Idaho
        IL|Illinois|Ill
        IN|Indiana|Ind
        IA|Iowa
        KS|Kansas|Kan|Kans
        KY|Kentucky
        LA|Louisiana
        ME|Maine
        MD|Maryland
        MA|Massachusetts|Mass
        MI|Michigan|Mich
        MN|Minnesota|Minn
        MS|Mississippi|Miss
        MO|Missouri
        MT|Montana|Mont
        NE|Nebraska|Neb|Nebr
        NV|Nevada|Nev
        NH|New Hampshire
        NJ|New Jersey
        NM|New Mexico|N. Mex.
        NY|New York|New York State
        NC|North Carolina|N. Car.
        ND|North Dakota|N. Dak.
        OH|Ohio
        OK|Oklahoma|Okla
        OR|Oregon|Ore|Oreg
        PA|Pennsylvania|Penn|Penna
        RI|Rhode Island
        SC|South Carolina|S. Car.
        SD|South Dakota|S. Dak.
        TN|Tennessee|Tenn
        TX|Texas|Tex
        UT|Utah
        VT|Vermont
        VA|Virginia|Virg
        WA|Washington|Wash|Washington State
        WV|West Virginia|W. Va.
        WI|Wisconsin|Wis|Wisc
        WY|Wyoming|Wyo
        AS|American Samoa
        GU|Guam
        MP|Northern Mariana Islands
        PR|Puerto Rico
        UM|United States Minor Outlying Islands|US Minor Outlying Islands
        VI|Virgin Islands|US Virgin Islands|Virgin Islands, U.S.
        AA|Armed Forces Americas|Armed Forces (the Americas)
        AE|Armed Forces Europe|Armed Forces (Europe)
        AP|Armed Forces Pacific|Armed Forces (Pacific)
    """,
    "CA": """
        AB|Alberta|Alta
        BC|British Columbia|Colombie-Britannique
        MB|Manitoba|Man
        NB|New Brunswick|Nouveau-Brunswick
        NL|Newfoundland and Labrador|Newfoundland & Labrador|Newfoundland|Labrador|Nfld|Terre-Neuve-et-Labrador
        NS|Nova Scotia|Nouvelle-Écosse
        NT|Northwest Territories|NWT|Territoires du Nord-Ouest
        NU|Nunavut
        ON|Ontario|Ont
        PE|Prince Edward Island|PEI|Île-du-Prince-Édouard
        QC|Quebec|Que|PQ
        SK|Saskatchewan|Sask
        YT|Yukon|Yukon Territory
    """,
    "AU": """
        ACT|Australian Capital Territory
        NSW|New South Wales
        NT|Northern Territory
        QLD|Queensland
        SA|South Australia
        TAS|Tasmania|Tassie
        VIC|Victoria
        WA|Western Australia
    """,
}
_ASKED = {
    "US": "Enter a state or territory of the United States by its name or code, such as Massachusetts or MA, or leave this empty.",
    "CA": "Enter a province or territory of Canada by its name or code, such as Quebec or QC, or leave this empty.",
    "AU": "Enter a state or territory of Australia by its name or code, such as New South Wales or NSW, or leave this empty.",
}
HINT = "For the United States, Canada and Australia: the name or code of the state or province."
LONGEST = 40


def _key(text: str) -> str:
    """Return a text as it is compared: without accents, capitals, blanks and signs."""
    plain = unicodedata.normalize("NFKD", text.replace("&", "and"))
    return re.sub(r"[^a-z0-9]", "", "".join(c for c in plain if not unicodedata.combining(c)).casefold())


def _read(country: str, table: str) -> tuple[frozenset[str], dict[str, str]]:
    codes: set[str] = set()
    names: dict[str, str] = {}
    for line in table.split("\n"):
        code, *spelled = line.strip().split("|")
        if code:
            codes.add(code)
            names |= {_key(one): code for one in (code, f"{country}-{code}", *spelled)}
    return frozenset(codes), names


#: What such a code is one of; every other region stands as it was given.
CODE = "code of ISO 3166-2 in the United States, Canada and Australia"
_NAMES = {
    country: {line.strip().split("|")[0]: line.strip().split("|")[1] for line in table.split("\n") if line.strip()}
    for country, table in _TABLES.items()
}
_READ = {country: _read(country, table) for country, table in _TABLES.items()}
CODES = {country: codes for country, (codes, _) in _READ.items()}


def code(country: str, text: str) -> str:
    """Return the code of what somebody typed as a region, "" where the country has no list or the list not this."""
    if country not in _READ or not text:
        return ""
    return _READ[country][1].get(_key(text[: 2 * LONGEST]), "")


def name_of(text: str, country: Any = "") -> str:
    """Return the name of a state or province of this country, given by its code or in another way; any other text as it
    is."""
    found = code(country, text) if isinstance(country, str) else ""
    return _NAMES[country][found] if found else text


def clean(country: str, text: str) -> str:
    """Return the code of a region of the United States, Canada or Australia, and any other region as it is.

    Raises ValidationError when such a country has no region of this name or code.
    """
    if country not in CODES or not text.strip():
        return text
    if not (found := code(country, text)):
        raise ValidationError(_ASKED[country], code="region")
    return found


def plain() -> models.Q:
    """Return the condition under which a row's `state` is one of the codes of its country, or empty."""
    known = models.Q(state="")
    for country, codes in CODES.items():
        known |= models.Q(country=country, state__in=sorted(codes))
    return known


class StateField(models.CharField):
    """The readable column of a code. It is written through the region of its record only."""

    # Named as before there were codes: processes of the version before go on during an upgrade.
    _fixed: ClassVar[dict[str, Any]] = {
        "max_length": LONGEST,
        "blank": True,
        "default": "",
        "editable": False,
        "db_column": "region",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, **self._fixed})

    def deconstruct(self) -> tuple[str, str, Any, dict[str, Any]]:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs


class RegionField(EncryptedTextField):
    """A region: its code in the column `state` where the country has a list that knows it, else sealed."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", LONGEST)
        kwargs.setdefault("verbose_name", "state or region")
        super().__init__(**kwargs, beside=("state",))

    def contribute_to_class(self, cls: type[models.Model], name: str, private_only: bool = False) -> None:
        super().contribute_to_class(cls, name, private_only=private_only)
        setattr(cls, name, _Region(self))

    def clean(self, value: Any, model_instance: Any) -> Any:
        value = super().clean(value, model_instance)
        if model_instance is None or isinstance(value, Unreadable):
            return value
        return clean(model_instance.country, value)


class _Region(Opener):
    """Read the code if there is one, else open the envelope; set the one and clear the other, by the record's
    country."""

    __slots__ = ()

    def __get__(self, instance: SealedModel | None, owner: type[SealedModel]) -> Any:
        if instance is None:
            return self
        if state := instance.state:  # type: ignore[attr-defined]
            return state
        name = self.field.attname
        return instance.__dict__[name] if name in instance.__dict__ else super().__get__(instance, owner)

    def __set__(self, instance: Any, value: Any) -> None:
        if not isinstance(value, Unreadable):
            instance.state = found = code(instance.country, value) if isinstance(value, str) else ""
            value = "" if found else value
        instance.__dict__[self.field.attname] = value

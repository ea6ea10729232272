"""In which order the post of a country wants the place of an address: city, region and postal code.

What must never happen: a letter with a copy or a code that goes astray because its place is written as another
country's. The order follows the Universal Postal Union's systems by country. Pure.
"""

from __future__ import annotations

#: The post wants the short code of the state or province: before the postal code, on the line of the city.
WITH_REGION = frozenset({"AU", "CA", "US"})
#: The postal code stands behind the city.
BEHIND = frozenset(
    "BD BH BM BN HK ID IN JO JP KH KR LB MT MV NP NZ PK SA SG TH TW VG".split()  # noqa: SIM905
)
#: The postal code is a line of its own, below the city.
BELOW = frozenset("BR CO EG FK GB GG GI IE IM JE KE LK MM RU UA ZA".split())  # noqa: SIM905


def of_place(*, country: str, city: str, region: str, postal_code: str) -> list[str]:
    """Return the lines of a place as the post of its country wants them; none that are blank.

    A region that is a code, or the city once more, is left out where the post has no use for it and the city is known.
    """
    if country in WITH_REGION:
        return _lines((city, region, postal_code))
    if region.casefold() == city.casefold() or (city and not _is_name(region) and country != "IT"):
        region = ""
    if country in BELOW:
        return _lines((city,), (region,), (postal_code,))
    if country in BEHIND:
        return _lines((city, postal_code), (region,))
    if country == "IT":  # the province's two letters belong to the line of the city
        return _lines((postal_code, city, region))
    return _lines((postal_code, city), (region,))


def _is_name(region: str) -> bool:
    """Return whether it is a word, and no code such as MV, B or JP-13."""
    return len(region) > 3 and not any(sign.isdigit() for sign in region)


def _lines(*lines: tuple[str, ...]) -> list[str]:
    return [line for parts in lines if (line := " ".join(part for part in parts if part))]

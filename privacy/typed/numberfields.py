"""What the numbers of a field are: telephone numbers, products' numbers, identifiers. None of
these is a card number (P8, P22).

What must never happen: a customer whose telephone number happens to have a card's check digit cannot leave it (one in
ten with as many digits as a card), or a card number is taken because a field was called by another name. So each kind
says which of its own numbers cards have not, by their length and by what makes them: everything else that looks like a
card number is refused as it is in free text. Measured in tests/privacy/typed/test_numberfields.py. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from stdnum import ean

from privacy.typed import cards, phones
from privacy.typed.cards import Found

#: The longest number that is no card's whatever its first digits are: schemes issue 14 digits and more, but for old
#: cards of Visa, which ended in the nineties.
LONGEST = 13
#: What payment providers publish to try such a card out.
TRIED = frozenset({"4222222222222"})
_NUMBER = re.compile(rf"(?<!\d)\d{{{LONGEST}}}(?!\d)", re.ASCII)


class Kind(Enum):
    """What stands in a field."""

    TEXT = "text"  # anything
    PHONE = "phone"
    PRODUCT = (
        "product"  # a product's number or name, in which its EAN (GTIN-13) may stand: 13 digits with a check digit
    )
    IDENTIFIER = "identifier"  # a number that a shop, a company or a maker gave: 13 digits


def find(text: str, of: Kind, kinds: frozenset[str] = cards.ALL) -> list[Found]:
    """Return what must not be kept in a field of this kind, as `cards.find` does; places are those of a
    telephone number's plain text."""
    if of is Kind.TEXT:
        return cards.find(text, kinds)
    if of is Kind.PHONE:
        text = phones.plain(text)
    found = cards.find(text, kinds)
    if not any(one.kind == cards.CARD for one in found):
        return found
    own = _OWN[of](text)
    return [one for one in found if one.kind != cards.CARD or not any(a <= one.start and one.end <= b for a, b in own)]


def refuse(value: object, of: Kind, kinds: frozenset[str] = cards.ALL) -> None:
    """Raise ValidationError when a field of this kind holds what must not be kept; the message never quotes it."""
    if isinstance(value, str):
        cards.refuse_found(find(value, of, kinds))


def _products(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in _NUMBER.finditer(text) if ean.is_valid(found.group())]


def _identifiers(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in _NUMBER.finditer(text) if found.group() not in TRIED]


_OWN: dict[Kind, Callable[[str], list[tuple[int, int]]]] = {
    Kind.PHONE: phones.spans,
    Kind.PRODUCT: _products,
    Kind.IDENTIFIER: _identifiers,
}

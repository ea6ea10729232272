"""A field knows what its numbers are; free text is guarded as before. The figures are counted over sets made here."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from django.core.exceptions import ValidationError
from stdnum import ean, luhn

from privacy.typed import cards, numberfields
from privacy.typed.numberfields import Kind

CARDS = frozenset({cards.CARD})
#: What German and Austrian providers give to mobile telephones: the first digits, and how many follow.
MOBILES = {
    "49": [
        *((f"15{x}", 8) for x in ("11", "12", "14", "15", "16", "17", "20", "21", "22", "23", "25", "26", "29", "70", "73")),
        *((f"15{x}", 7) for x in ("11", "12", "14", "15", "16", "17", "20", "21", "22", "23", "25", "26", "29", "70", "73")),
        *((f"15{x}", 7) for x in ("75", "77", "78", "79", "90")),
        *((f"1{x}", n) for x in (60, 62, 63, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79) for n in (7, 8)),
    ],
    "43": [(f"6{x}", n) for x in (50, 60, 61, 63, 64, 65, 67, 70, 76, 77, 78, 80, 81, 88, 90, 99) for n in (7, 8, 9, 10)],
}  # fmt: skip
#: What providers of payments publish, to try cards of every scheme.
TRIED = [
    "4111111111111111",
    "4012888888881881",
    "4222222222222",
    "4242424242424242",
    "4000056655665556",
    "4917610000000000",
    "4462030000000000",
    "4988438843884305",
    "4166676667666746",
    "4646464646464644",
    "5555555555554444",
    "5105105105105100",
    "5200828282828210",
    "2223003122003222",
    "378282246310005",
    "371449635398431",
    "378734493671000",
    "343434343434343",
    "341134113411347",
    "30569309025904",
    "38520000023237",
    "36148900647913",
    "36227206271667",
    "3056930009020004",
    "6011111111111117",
    "6011000990139424",
    "6011981111111113",
    "3530111333300000",
    "3566002020360505",
    "6200000000000005",
    "6200000000000047",
    "6205500000000000004",
    "6304000000000000",
    "6759649826438453",
    "5018000000000009",
]


def mobiles(code: str, each: int) -> Iterator[str]:
    """Random mobile numbers of a country, without its code."""
    dice = random.Random(code)
    for begins, more in MOBILES[code]:
        yield from (begins + "".join(dice.choices("0123456789", k=more)) for _ in range(each))


def made(seed: str, begins: str, length: int) -> str:
    """A number with the check digit of a card."""
    dice = random.Random(seed)
    digits = begins + "".join(dice.choices("0123456789", k=length - len(begins) - 1))
    return digits + luhn.calc_check_digit(digits)


def is_refused(text: str, of: Kind) -> bool:
    return bool(numberfields.find(text, of, CARDS))


@pytest.mark.parametrize("code", ["49", "43"])
@pytest.mark.parametrize(
    "spelt", ["+{code}{number}", "+{code} {number}", "+{code} (0){number}", "00{code}{number}", "0{number}"]
)
def test_every_german_and_austrian_mobile_is_a_telephone_number(code: str, spelt: str) -> None:
    numbers = [spelt.format(code=code, number=number) for number in mobiles(code, 100)]
    assert [number for number in numbers if is_refused(number, Kind.PHONE)] == []
    if spelt == "+{code}{number}":  # the control: as free text many of them are cards
        assert sum(bool(cards.find(number, CARDS)) for number in numbers) > len(numbers) / 50


@pytest.mark.parametrize("number", ["4915112345009", "4366412345002", "+49 1511 2345 5009", "01149 15112345009"])
def test_a_mobile_number_without_its_plus_or_in_groups_is_one_too(number: str) -> None:
    assert not is_refused(number, Kind.PHONE)


@pytest.mark.parametrize("card", TRIED)
@pytest.mark.parametrize("of", Kind)
def test_every_card_that_providers_publish_is_refused_in_every_field(card: str, of: Kind) -> None:
    assert cards.find(card, CARDS)
    fours = " ".join(card[place : place + 4] for place in range(0, len(card), 4))
    for text in (card, fours, fours.replace(" ", "-"), f"no. {card}", f"{card}, {card}"):
        assert is_refused(text, of), text
    if of is Kind.PHONE:
        for text in (f"+{card}", f"+{fours}", f"{card} x12", f"+49 30 901820, {card}", f"+49 30 901820 x{card}"):
            assert is_refused(text, of) or not cards.find(text, CARDS), text


def test_no_card_of_today_is_a_telephone_number_and_few_are_one_behind_a_plus() -> None:
    """Cards of 13 digits are none of today: Visa gave them out until the nineties, Maestro hardly ever."""
    today = [
        made(
            f"{low} {length} {turn}", str(random.Random(f"{low} {turn} {length}").randint(int(low), int(high))), length
        )
        for low, high, lengths in cards.RANGES
        for length in sorted(lengths)
        if length > numberfields.LONGEST
        for turn in range(40)
    ]
    assert len(today) > 3000 and all(cards.find(card, CARDS) for card in today)
    assert [card for card in today if not is_refused(card, Kind.PHONE)] == []
    behind_plus = [card for card in today if not is_refused(f"+{card}", Kind.PHONE)]
    assert len(behind_plus) < len(today) / 200
    assert {len(card) for card in behind_plus} <= {14, 15}  # Italian numbers, by their plan


def test_an_ean_stands_in_the_fields_of_a_product_only() -> None:
    dice = random.Random(5)
    eans = [digits + ean.calc_check_digit(digits) for digits in (f"4{dice.randrange(10**11):011}" for _ in range(3000))]
    like_cards = [number for number in eans if cards.find(number, CARDS)]
    assert len(like_cards) > 200
    assert [number for number in like_cards if is_refused(f"Light meter {number}", Kind.PRODUCT)] == []
    assert all(is_refused(f"Light meter {number}", Kind.TEXT) for number in like_cards)
    wrong = [number[:-1] + str((int(number[-1]) + 5) % 10) for number in eans]
    of_cards = [number for number in wrong if cards.find(number, CARDS)]
    assert of_cards and all(is_refused(number, Kind.PRODUCT) for number in of_cards)


def test_thirteen_digits_are_an_identifier_and_no_more_of_them() -> None:
    ids = [made(f"id {turn}", begins, 13) for turn in range(500) for begins in ("4", "5018", "57", "6304")]
    assert all(cards.find(number, CARDS) for number in ids)
    assert [number for number in ids if is_refused(number, Kind.IDENTIFIER)] == []
    for begins, length in (("4", 16), ("51", 16), ("36", 14), ("37", 15), ("62", 19)):
        assert is_refused(made("x", begins, length), Kind.IDENTIFIER)
    assert is_refused(f"{ids[0]} 4111 1111 1111 1111", Kind.IDENTIFIER)
    assert is_refused(ids[0], Kind.TEXT)


def test_what_else_must_not_be_kept_is_refused_in_these_fields_too() -> None:
    for of in Kind:
        with pytest.raises(ValidationError, match="security code"):
            numberfields.refuse("cvv 123", of)
        numberfields.refuse(None, of)

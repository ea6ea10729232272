"""Telephone numbers as people write them: which numbers stand in a text, and by what each is found.

What must never happen: a person who cannot leave a number because of the way it is written (P8), a call-back to another
country because two numbers end alike, a card number taken for a telephone number (P22). So a number that says its
country is found by all its digits; one that says none is found by those that are dialled within a country, and whoever
relies on it asks for the country besides (`fits`). A card number has 14 digits and more; what a telephone number may
have is said in `spans`. Pure: the numbering plans are the data of the package phonenumbers.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import phonenumbers

HOME = "US"  # a number without a country was dialled from here, where its numbering plan knows it
LONGEST = 60  # signs of one field
MOST = 4  # numbers in one field
LONGEST_OF_ALL = 15  # digits that a number may have with the code of its country (E.164)
SHORTEST_BARE, LONGEST_BARE = 11, 13  # digits of a number with the country's code and without "+"
SPLIT, SPLIT_ANYHOW = 7, 10  # digits that make a number of their own beside "/": one that begins as numbers do, and any

#: Digits behind a number that are dialled afterwards: "ext. 5", "x12", "#12", ";ext=12", "DW 3".
_EXTENSION = re.compile(
    r"(?<=[0-9)])[ ,;(]{0,3}(?:(?:extension|extn|ext|x|dw|durchwahl|poste)[ .:=#]{0,3}|#[ ]?)[0-9]{1,8}(?![0-9])\)?",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r" / ?| ?/ | ?[,;] ?| or | and ", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9 ()+./-]+")
#: A number that is dialled by the letters on the keys: 1-800-LIGHTS1.
_LETTERS = re.compile(r"\+?[0-9](?:[ .()-]{0,2}[0-9]){2,5}[ .()-]{0,2}[A-Za-z][A-Za-z0-9-]{2,11}")
_AMONG_WORDS = re.compile(r"\+?\d(?:[ ()./-]{0,3}\d){6,14}", re.ASCII)
_ABROAD = re.compile(r"\A(?:00|011)(?=[1-9])")


@dataclass(frozen=True, slots=True)
class Number:
    """One number of a text: where it stands, all its digits with "+" where a country is known, and those within a
    country.

    `is_abroad`: it is written with the code of its country, with "+", 00 or 011; else it may be dialled as it is
    within a country. `is_bare`: its digits are a number with the code of a country, although nothing says so.
    `is_known`: a numbering plan knows it so.
    """

    start: int
    end: int
    whole: str
    within: tuple[str, ...]
    is_abroad: bool = False
    is_bare: bool = False
    is_known: bool = False


def plain(text: str) -> str:
    """Return a text with ASCII digits, plain blanks and dashes, and without what cannot be seen."""
    return "".join(map(_plain, unicodedata.normalize("NFKC", text))).strip()


def _plain(character: str) -> str:
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    match unicodedata.category(character):
        case "Zs":
            return " "
        case "Pd":
            return "-"
        case "Cf" | "Mn" | "Me":
            return ""
    return {"\u2212": "-", "\u2044": "/", "\u2215": "/"}.get(character, character)


def is_written(text: str) -> bool:
    """Say whether a text is one telephone number or a few, in whatever spelling; three digits at least."""
    if len(text) > LONGEST:
        return False
    pieces = _pieces(plain(text))
    return (
        0 < len(pieces) <= MOST
        and all(_DIGITS.fullmatch(piece) or _is_letters(piece) for _, piece in pieces)
        and sum(c.isdigit() for _, piece in pieces for c in piece) >= 3
    )


def read(text: str) -> list[Number]:
    """Return the numbers of a text in order, also those among words; places are those in `plain(text)`."""
    text = plain(text[: 2 * LONGEST])
    pieces = [one for one in _pieces(text) if _DIGITS.fullmatch(one[1]) or _is_letters(one[1])]
    pieces = pieces or [(found.start(), found.group().strip()) for found in _AMONG_WORDS.finditer(text)]
    return [_number(place, piece) for place, piece in pieces if any(c.isdigit() for c in piece)]


def spans(text: str) -> list[tuple[int, int]]:
    """Return where numbers stand in an already plain text that are no card numbers, whatever their check digit.

    Written with "+", 00 or 011: up to 13 digits where the country's plan has numbers of that length, since no
    card has so few; 14 and 15 where the plan knows the very number. Without any sign: 11 to 13 digits that are a
    number with its country's code.
    """
    return [(one.start, one.end) for one in read(text) if one.is_known and (one.is_abroad or one.is_bare)]


def stored(text: str) -> list[str]:
    """Return the texts by which a value is found: of each number all digits, and those within the country."""
    found: list[str] = []
    for one in read(text):
        found += [one.whole] if one.whole else []
        found += [f"n{digits}" for digits in one.within]
        found += [] if one.is_abroad else [f"u{digits}" for digits in one.within]
    return list(dict.fromkeys(found))


def asked(text: str) -> list[str]:
    """Return the texts of which each finds a value: all digits where a country is said, else those within a country.

    A number that says its country is found in a value that says none by the digits within, too:
    `fits` says whether it may be.
    """
    found: list[str] = []
    for one in read(text):
        if one.whole and (one.is_abroad or one.is_bare):
            found += [one.whole, *(f"u{digits}" for digits in one.within)]
        if not one.whole or not one.is_abroad:
            found += [f"n{digits}" for digits in one.within]
    return list(dict.fromkeys(found))


def sure(text: str) -> list[str]:
    """Return the texts that find the same number of the same country only; none for what says no country."""
    return [one.whole for one in read(text) if one.whole and (one.is_abroad or one.is_bare)]


def fits(text: str, country: str) -> bool:
    """Say whether no number of the text says another country than this one ("" is where we are)."""
    region = country or HOME
    code = f"+{phonenumbers.country_code_for_region(region)}"
    return all(
        one.whole.startswith(code) or (one.is_bare and _valid(one.within[0], region) is not None)
        for one in read(text)
        if one.is_abroad or one.is_bare
    )


def reached(text: str, country: str) -> frozenset[str]:
    """Return the numbers, each with the code of its country, for which a text on file stands with somebody of
    this country ("" is where we are): what says its country stands for itself in every one, all else for a
    number of that country, too."""
    code = f"+{phonenumbers.country_code_for_region(country or HOME)}"
    found: set[str] = set()
    for one in read(text):
        found |= {one.whole} if one.whole else set()
        if not (one.is_abroad or (one.is_bare and one.whole.startswith(code))):
            found |= {f"{code}{digits}" for digits in one.within}
    return frozenset(found)


def same(text: str) -> str:
    """Return what two spellings of the same numbers have in common; "" when there is no digit."""
    return "/".join(one.whole or one.within[0] for one in read(text))


def _pieces(text: str) -> list[tuple[int, str]]:
    """Return the parts of a plain text that are numbers or nothing, with their places, without extensions."""
    text = _EXTENSION.sub(lambda found: " " * len(found.group()), text)
    pieces: list[tuple[int, str]] = []
    start = 0
    for end, after in [*(found.span() for found in _BETWEEN.finditer(text)), (len(text), len(text))]:
        piece, place = text[start:end], start
        parts = piece.split("/")
        if not all(map(_begins_number, parts)):
            parts = [piece]
        for part in parts:
            if part.strip():
                pieces.append((place + len(part) - len(part.lstrip()), part.strip()))
            place += len(part) + 1
        start = after
    return pieces


def _begins_number(part: str) -> bool:
    digits = sum(c.isdigit() for c in part)
    return digits >= (SPLIT if part.lstrip()[:1] in ("+", "0", "(") else SPLIT_ANYHOW)


def _is_letters(piece: str) -> bool:
    return bool(_LETTERS.fullmatch(piece)) and _parsed(_on_keys(piece), HOME) is not None


def _on_keys(piece: str) -> str:
    return phonenumbers.convert_alpha_characters_in_number(piece)


def _number(place: int, piece: str) -> Number:
    end = place + len(piece)
    piece = _on_keys(piece)
    digits = "".join(c for c in piece if c.isdigit())
    if "+" in piece:
        # "+49 (0)151": the plan knows whether the zero is dialled from abroad.
        number = _parsed(piece[piece.index("+") :], None)
        if number is None:
            return Number(place, end, "", _without_trunk(digits), is_abroad=True)
        typed = "".join(c for c in piece.replace("(0)", "") if c.isdigit())
        is_known = len(typed) <= LONGEST_BARE or (
            len(typed) <= LONGEST_OF_ALL and _e164(number) == f"+{typed}" and phonenumbers.is_valid_number(number)
        )
        return Number(place, end, _e164(number), (_within(number),), is_abroad=True, is_known=is_known)
    shorter = _ABROAD.sub("", digits, count=1)
    if shorter != digits and len(shorter) <= LONGEST_OF_ALL and (number := _valid("+" + shorter, None)) is not None:
        return Number(place, end, _e164(number), (_within(number),), is_abroad=True, is_known=True)
    if (number := _valid(digits, HOME)) is not None:
        return Number(place, end, _e164(number), (_within(number),), is_known=True)
    within = _without_trunk(digits)
    if SHORTEST_BARE <= len(digits) <= LONGEST_BARE and (number := _valid("+" + digits, None)) is not None:
        within = tuple(dict.fromkeys([*within, _within(number)]))
        return Number(place, end, _e164(number), within, is_bare=True, is_known=True)
    return Number(place, end, "", within)


def _parsed(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    """Return a number of which a plan has such a length."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    number.extension = None
    return number if phonenumbers.is_possible_number(number) else None


def _valid(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    """Return a number that a plan knows."""
    number = _parsed(text, region)
    return number if number is not None and phonenumbers.is_valid_number(number) else None


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _within(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.national_significant_number(number).lstrip("0") or "0"


def _without_trunk(digits: str) -> tuple[str, ...]:
    """Return the digits within a country of a number that does not say which: without the zero
    that is dialled before them.

    Where something else than a zero is dialled (8 in Russia, 06 in Hungary), without that, too, if a plan there knows
    it.
    """
    found = [digits.lstrip("0") or digits]
    for prefix, regions in _prefixes().items():
        if digits.startswith(prefix):
            numbers: Iterator[phonenumbers.PhoneNumber | None] = (_valid(digits, region) for region in regions)
            found += [_within(number) for number in numbers if number is not None]
    return tuple(dict.fromkeys(found))


@cache
def _prefixes() -> dict[str, list[str]]:
    """Return what is dialled before a number within a country, where it is no zero and not how it is here, and where
    that is."""
    found: dict[str, list[str]] = defaultdict(list)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
        prefix = metadata.national_prefix if metadata is not None else None
        if prefix and prefix not in ("0", "1"):
            found[prefix].append(region)
    return dict(found)

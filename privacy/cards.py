"""The guard against card numbers, security codes and stray social security numbers in any text (P22, P26).

What must never happen: a full card number stored or logged, in whichever field it was typed. We never need one:
payment happens on the provider's page. So text that holds one is refused (forms, imports) or redacted (logs,
reasons); what was found is never quoted back. No security code may be kept at all (PCI DSS 3.3.1). A mistake in the
other direction, a refused order number, is cured by typing it otherwise.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from django.core.exceptions import ValidationError
from stdnum import iban
from stdnum.us import ssn

CARD = "card number"
SECURITY_CODE = "security code"
SSN = "social security number"
ALL = frozenset({CARD, SECURITY_CODE, SSN})

# First digits (lowest and highest, of equal length) and the lengths issued under them.
RANGES: tuple[tuple[str, str, frozenset[int]], ...] = (
    ("4", "4", frozenset({13, 16, 18, 19})),  # Visa
    ("51", "55", frozenset({16})),  # Mastercard
    ("2221", "2720", frozenset({16})),
    ("34", "34", frozenset({15})),  # American Express
    ("37", "37", frozenset({15})),
    ("300", "305", frozenset(range(14, 20))),  # Diners Club
    ("3095", "3095", frozenset(range(14, 20))),
    ("36", "36", frozenset(range(14, 20))),
    ("38", "39", frozenset(range(14, 20))),
    ("3528", "3589", frozenset(range(16, 20))),  # JCB
    ("6011", "6011", frozenset(range(16, 20))),  # Discover
    ("644", "649", frozenset(range(16, 20))),
    ("65", "65", frozenset(range(16, 20))),
    ("62", "62", frozenset(range(16, 20))),  # UnionPay
    ("2200", "2204", frozenset(range(16, 20))),  # Mir
    ("60", "60", frozenset({16})),  # RuPay
    ("81", "82", frozenset({16})),
    ("508", "509", frozenset({16})),  # RuPay, Elo
    ("5067", "5067", frozenset({16})),  # Elo
    ("6363", "6363", frozenset({16})),
    ("5018", "5018", frozenset(range(13, 20))),  # Maestro
    ("5020", "5020", frozenset(range(13, 20))),
    ("5038", "5038", frozenset(range(13, 20))),
    ("56", "58", frozenset(range(13, 20))),
    ("6304", "6304", frozenset(range(13, 20))),
    ("6759", "6763", frozenset(range(13, 20))),
)
SHORTEST, LONGEST = 13, 19
_DOUBLED = dict(
    zip("0123456789", (0, 2, 4, 6, 8, 1, 3, 5, 7, 9), strict=True)
).__getitem__  # the cross sum of twice a digit

_GROUP = re.compile(r"\d+")
# Thirteen digits and more with at most three separators between them: nothing shorter can be a card number.
_CHAIN = re.compile(r"\d(?:[\W_]{0,3}\d){12,}")
_IBAN = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![^\W_])")
_SECURITY_CODE = re.compile(
    r"(?<![^\W_])(?:cvv2?|cvc2?|cvn|csc|cid|(?:card )?(?:security|verification) (?:code|value|number)|card code)"
    r"[^\w\n]{0,4}(?:is|was|code|no|number|nr)?[^\w\n]{0,4}(\d{3,4})(?!\d)",
    re.IGNORECASE,
)
_SSN = re.compile(r"(?<![\d-])\d{3}([ .\u2010-\u2015-])\d{2}\1\d{4}(?![\d-])")
_SSN_NAMED = re.compile(r"(?:(?<![^\W_])ssn|social security)[^\d\n]{0,20}(\d{9})(?!\d)", re.IGNORECASE)
# From the beginning of a run of such characters only, and never back: else each of them would be a beginning.
_EMAIL = re.compile(r"(?<![^\s@<>,;:()\"])[^\s@<>,;:()\"]++@[^\s@<>,;:()\"]{1,190}")
_LONG_NUMBER = re.compile(r"(?<![\w-])\+?\d(?:[ .()/-]{0,2}\d){6,}")


@dataclass(frozen=True, slots=True)
class Found:
    """Where something that must not be kept stands in a text; never the thing itself."""

    kind: str
    start: int
    end: int


class _Group(NamedTuple):
    digits: str
    start: int
    end: int
    after_newline: bool


def find(text: str, kinds: frozenset[str] = ALL) -> list[Found]:
    """Return where card numbers, security codes and SSNs stand in `text`, in order, without overlaps (P22).

    A card number is 13 to 19 digits of any script with up to three separators between them, in a range that card
    schemes issue, with a right check digit. Takes time in proportion to the text's length.
    """
    if not _may_hold(text):
        return []
    plain = _with_plain_digits(text)
    found: list[Found] = []
    if CARD in kinds:
        found += _cards(_without_ibans(plain))
    if SECURITY_CODE in kinds:
        found += [Found(SECURITY_CODE, *match.span(1)) for match in _SECURITY_CODE.finditer(plain)]
    if SSN in kinds:
        found += [Found(SSN, *match.span()) for match in _SSN.finditer(plain) if _is_ssn(match.group())]
        found += [Found(SSN, *match.span(1)) for match in _SSN_NAMED.finditer(plain) if _is_ssn(match.group(1))]
    return list(_without_overlaps(found))


def redact(text: str, kinds: frozenset[str] = ALL) -> tuple[str, list[Found]]:
    """Return `text` with "[card number]" and the like in the place of what `find` finds, and what was found."""
    found = find(text, kinds)
    parts, end = [], 0
    for one in found:
        parts += [text[end : one.start], f"[{one.kind}]"]
        end = one.end
    return "".join([*parts, text[end:]]), found


def refuse(value: object) -> None:
    """Raise ValidationError when a text holds what must not be kept; the message never quotes it (form validator)."""
    if not isinstance(value, str):
        return
    found = find(value)
    if not found:
        return
    kind = found[0].kind
    advice = {
        CARD: "Card numbers are never stored here. Payment is made on the payment provider's page only.",
        SECURITY_CODE: "The security code of a card must never be written down. Payment is made elsewhere.",
        SSN: "A social security number is taken only as a tax identifier, in its own field.",
    }[kind]
    raise ValidationError(f"This looks like a {kind}. {advice}", code="refused")


def blot(text: str) -> str:
    """Return a reason fit for a log: card numbers, SSNs, e-mail addresses and long numbers are blotted out."""
    text, _ = redact("".join(character if character.isprintable() else " " for character in text))
    return _LONG_NUMBER.sub("[number]", _EMAIL.sub("[e-mail]", text))


def _may_hold(text: str) -> bool:
    """Whether the text has three digits at all: most texts have not."""
    return sum(1 for _ in zip(range(3), _any_digit(text), strict=False)) == 3


def _any_digit(text: str) -> Iterator[str]:
    return (character for character in text if character.isdigit())


class _PlainDigits(dict[int, str]):
    """Characters to the ASCII digit they stand for, or themselves; one character each, so places stay.

    A character is looked up when it is first met: there are a million of them, and texts use few.
    """

    def __missing__(self, code: int) -> str:
        digit = unicodedata.digit(chr(code), None)
        self[code] = chr(code) if digit is None else str(digit)
        return self[code]


_PLAIN_DIGITS = _PlainDigits()


def _with_plain_digits(text: str) -> str:
    return text if text.isascii() else text.translate(_PLAIN_DIGITS)


def _without_ibans(text: str) -> str:
    """Blank out valid IBANs: their groups of four look like a card's."""

    def blank(match: re.Match[str]) -> str:
        return "x" * len(match.group()) if iban.is_valid(match.group()) else match.group()

    return _IBAN.sub(blank, text)


def _cards(text: str) -> Iterator[Found]:
    for chain in _chains(text):
        breaks = sum(group.after_newline for group in chain)
        start = 0
        while start < len(chain):
            length = _card_from(chain, start, breaks)
            if length:
                yield Found(CARD, chain[start].start, chain[start + length - 1].end)
            start += length or 1


def _chains(text: str) -> Iterator[list[_Group]]:
    """Yield groups of digits that at most three separators part: whatever might be read as one number."""
    for whole in _CHAIN.finditer(text):
        chain: list[_Group] = []
        end = whole.start()
        for match in _GROUP.finditer(text, *whole.span()):
            start, stop = match.span()
            between = text[end:start]
            chain.append(_Group(match[0], start, stop, between != " " and ("\n" in between or "\r" in between)))
            end = stop
        yield chain


def _card_from(chain: list[_Group], start: int, breaks: int) -> int:
    """Return how many groups from `start` on make a card number, the longest such; 0 when none do.

    `breaks` is the number of line breaks in the whole chain.
    """
    opening = chain[start].digits
    small_allowed = len(chain) <= LONGEST  # see _has_card_shape: small groups count only when they are the whole chain
    if (
        len(opening) < 4
        and not small_allowed
        and not (breaks and any(group.after_newline for group in chain[start + 1 : start + 4]))
    ):
        return 0
    ranges = _ranges_of((opening if len(opening) > 1 else "".join(one.digits for one in chain[start : start + 4]))[:2])
    digits, best = "", 0
    for end in range(start, len(chain) if ranges else start):
        group = chain[end].digits
        if len(group) + len(digits) > LONGEST:
            break
        digits += group
        if (
            len(digits) >= SHORTEST
            and _has_check_digit(digits)
            and any(low <= digits[: len(low)] <= high and len(digits) in lengths for low, high, lengths in ranges)
            and _is_laid_out(chain, start, end + 1, breaks)
        ):
            best = end + 1 - start
    return best


@cache
def _ranges_of(two: str) -> tuple[tuple[str, str, frozenset[int]], ...]:
    """Return the ranges that numbers beginning with these two digits may be in."""
    return tuple(one for one in RANGES if one[0][:2] <= two[: len(one[0])] <= one[1][:2])


def _has_check_digit(digits: str) -> bool:
    """Luhn's check, quick: a text of numbers asks for it at every group."""
    return (sum(map(int, digits[-1::-2])) + sum(map(_DOUBLED, digits[-2::-2]))) % 10 == 0


def _is_laid_out(chain: list[_Group], start: int, end: int, all_breaks: int) -> bool:
    """Whether the groups look like one card number, and not like telephone numbers, dates or amounts in a row."""
    groups = chain[start:end]
    if _has_card_shape([len(group.digits) for group in groups], whole=end - start == len(chain)):
        return True
    # A number broken over two lines, wherever: join what the line break parts. In a long list each line is its own.
    breaks = sum(group.after_newline for group in groups[1:])
    if breaks == 0 or all_breaks > 3:
        return False
    joined = [len(groups[0].digits)]
    for group in groups[1:]:
        if group.after_newline:
            joined[-1] += len(group.digits)
        else:
            joined.append(len(group.digits))
    return _has_card_shape(joined, whole=end - start == len(chain))


def _has_card_shape(sizes: list[int], *, whole: bool) -> bool:
    if len(sizes) == 1 or all(size >= 4 for size in sizes[:-1]):
        return True
    # Digit by digit, or in twos and threes: only when nothing else stands around, else telephone numbers look so.
    return whole and len(set(sizes[:-1])) == 1 and sizes[-1] <= sizes[0]


def _is_ssn(text: str) -> bool:
    return bool(ssn.is_valid(re.sub(r"\D", "", text)))


def _without_overlaps(found: list[Found]) -> Iterator[Found]:
    end = -1
    for one in sorted(found, key=lambda each: (each.start, -each.end)):
        if one.start >= end:
            yield one
            end = one.end

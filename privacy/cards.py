"""The guard against card numbers, security codes, bank accounts and stray social security numbers in any text (P22, P26).

What must never happen: a full card number or a bank account stored or logged, in whichever field it was typed. We never
need one: payment happens on the provider's page. So text that holds one is refused (forms, imports) or redacted (logs,
reasons); what was found is never quoted back. No security code may be kept at all (PCI DSS 3.3.1). A mistake in the
other direction, a refused order number, is cured by typing it otherwise.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from django.core.exceptions import ValidationError
from stdnum import iban
from stdnum.us import rtn, ssn

CARD = "card number"
SECURITY_CODE = "security code"
SSN = "social security number"
BANK = "bank account"
ALL = frozenset({CARD, SECURITY_CODE, SSN, BANK})

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
_VALUES = bytes.maketrans(b"0123456789", bytes(range(10)))
_DOUBLED = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))  # the cross sum of twice a digit

_GROUP = re.compile(r"\d+")
_NEWLINE = re.compile(r"[\r\n]")
# Thirteen digits and more with at most three separators between them: nothing shorter can be a card number.
_CHAIN = re.compile(r"\d(?:[\W_]{0,3}\d){12,}")
_IBAN = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![^\W_])")
# An IBAN as people write it, in small letters and with other separators too; its check digits decide.
# Looked for at every word, so that the word before it does not hide it.
_IBAN_ANYHOW = re.compile(
    r"(?<![^\W_])(?=([A-Z]{2}[ .\u00a0-]?[0-9]{2}(?:[ .\u00a0-]?[A-Z0-9]){11,30}))[A-Z]", re.IGNORECASE | re.ASCII
)
# A word that says "bank" beside a number: a routing number by its check digit, an account by the word alone.
_BANK_WORD = re.compile(
    r"(?<![^\W_])(?:(?P<routing>routing|aba|rtn|transit)|bank[ -]?a/?c|bank[ -]?acc(?:oun)?t|acct|a/c|account (?:no|nr|number|#)"
    r"|(?:checking|savings) (?:acct|account))(?![^\W_])",
    re.IGNORECASE,
)
_BESIDE = re.compile(r"[^\d\n]{0,24}+(?<![\w-])(\d(?:[ -]?\d){5,16})(?![\w-])")
# What such a number is instead: a telephone number, a day, an account with a carrier or with us.
_NO_ACCOUNT = re.compile(r"\d{3}[ -]\d{3}[ -]\d{4}|\d{4}-\d{2}-\d{2}")
_NO_BANK = re.compile(
    r"(?<![^\W_])(?:fedex|ups|dhl|usps|tnt|freight|carrier|courier|shipping|collect|customer|portal|user)[^\w\n]+(?:\w+[^\w\n]+)?$",
    re.IGNORECASE,
)
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


def find(text: str, kinds: frozenset[str] = ALL) -> list[Found]:
    """Return where card numbers, security codes and SSNs stand in `text`, in order, without overlaps (P22).

    A card number is 13 to 19 digits of any script with up to three separators between them, in a range that card
    schemes issue, with a right check digit. Takes time in proportion to the text's length.
    """
    if not _may_hold(text):
        return []
    plain = _with_plain_digits(text)
    found: list[Found] = []
    if CARD in kinds and _CHAIN.search(plain):
        found += _cards(_without_ibans(plain))
    if SECURITY_CODE in kinds:
        found += [Found(SECURITY_CODE, *match.span(1)) for match in _SECURITY_CODE.finditer(plain)]
    if SSN in kinds:
        found += [Found(SSN, *match.span()) for match in _SSN.finditer(plain) if _is_ssn(match.group())]
        found += [Found(SSN, *match.span(1)) for match in _SSN_NAMED.finditer(plain) if _is_ssn(match.group(1))]
    if BANK in kinds:
        found += _bank_accounts(plain)
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
        BANK: "Bank accounts are not written down here: payments are made on the payment provider's page or by invoice.",
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


def _bank_accounts(text: str) -> Iterator[Found]:
    """Yield IBANs by their check digits, and US routing and account numbers that stand beside such a word."""
    for match in _IBAN_ANYHOW.finditer(text):
        end = _iban_end(match[1])
        if end:
            yield Found(BANK, match.start(), match.start() + end)
    for word in _BANK_WORD.finditer(text):
        beside = _BESIDE.match(text, word.end())
        if (
            beside is None
            or _NO_ACCOUNT.fullmatch(beside[1])
            or _NO_BANK.search(text[max(word.start() - 30, 0) : word.start()])
        ):
            continue
        digits = re.sub(r"\D", "", beside[1])
        if word["routing"] and not (len(digits) == 9 and _is_routing(digits)):
            continue
        yield Found(BANK, *beside.span(1))


def _iban_end(text: str) -> int:
    """Return where an IBAN at the beginning of the text ends, 0 when there is none: words may follow it without a sign."""
    places = [place for place, character in enumerate(text) if character.isalnum()]
    whole = "".join(text[place] for place in places).upper()
    for length in range(min(len(whole), 34), 14, -1):
        turned = whole[4:length] + whole[:4]
        if int("".join(str(int(character, 36)) for character in turned)) % 97 == 1 and iban.is_valid(whole[:length]):
            return places[length - 1] + 1
    return 0


def _is_routing(digits: str) -> bool:
    """Whether nine digits are a routing number of a US bank, by its check digit (stdnum.us.rtn)."""
    return bool(rtn.is_valid(digits))


def _cards(text: str) -> Iterator[Found]:
    for whole in _CHAIN.finditer(text):
        chain = _Chain(text, *whole.span())
        for first, last in chain.cards():
            yield Found(CARD, chain.starts[first], chain.starts[last] + chain.sizes[last])


class _Chain:
    """Groups of digits that at most three separators part: whatever might be read as one number.

    A text may be one chain of ten thousand groups, and each of them may begin a card number. So what is asked for at
    every group is prepared once: where a group's digits stand among all digits, and Luhn's sums up to there.
    """

    def __init__(self, text: str, start: int, end: int) -> None:
        """Take the groups of digits that stand between two places of `text`."""
        groups = _GROUP.findall(text, start, end)
        self.starts = [match.start() for match in _GROUP.finditer(text, start, end)]
        self.sizes = list(map(len, groups))
        self.digits = "".join(groups)
        self.offsets = [0, *accumulate(self.sizes)]
        self.newlines = set(self._after_newlines(text)) if _NEWLINE.search(text, start, end) else set()
        # By the parity of a number's last place: from it on every second digit counts as the cross sum of its double.
        digits = bytearray(self.digits, "ascii")
        plain, doubled = digits.translate(_VALUES), digits.translate(_DOUBLED)
        plain[1::2], doubled[1::2] = doubled[1::2], plain[1::2]
        self.luhn = [0, *accumulate(plain)], [0, *accumulate(doubled)]

    def _after_newlines(self, text: str) -> Iterator[int]:
        """Yield the places of the groups that a line break parts from the one before."""
        for place, start in enumerate(self.starts[1:], 1):
            if _NEWLINE.search(text, self.starts[place - 1] + self.sizes[place - 1], start):
                yield place

    def cards(self) -> Iterator[tuple[int, int]]:
        """Yield the first and last group of each card number; from each group on the longest."""
        offsets, groups, luhn = self.offsets, len(self.sizes), self.luhn
        may_be_small = groups <= LONGEST  # groups of three and less count only as the whole chain: _has_card_shape
        first = end = 0
        while first < groups:
            begin, best = offsets[first], 0
            if may_be_small or self.sizes[first] >= 4 or first + 1 in self.newlines:
                while end <= groups and offsets[end] < begin + SHORTEST:
                    end += 1
                after = end
                while after <= groups and (stop := offsets[after]) <= begin + LONGEST:
                    sums = luhn[(stop - 1) % 2]
                    if (
                        (sums[stop] - sums[begin]) % 10 == 0
                        and _is_issued(self.digits[begin:stop])
                        and self._is_laid_out(first, after)
                    ):
                        best = after
                    after += 1
            if best:
                yield first, best - 1
            first = best or first + 1

    def _is_laid_out(self, start: int, end: int) -> bool:
        """Whether the groups look like one card number, and not like telephone numbers, dates or amounts in a row."""
        sizes = self.sizes[start:end]
        whole = len(sizes) == len(self.sizes)
        if _has_card_shape(sizes, whole=whole):
            return True
        # A number broken over two lines, wherever: join what the line break parts. In a long list each line is its own.
        if len(self.newlines) > 3 or self.newlines.isdisjoint(range(start + 1, end)):
            return False
        joined = sizes[:1]
        for place, size in enumerate(sizes[1:], start + 1):
            if place in self.newlines:
                joined[-1] += size
            else:
                joined.append(size)
        return _has_card_shape(joined, whole=whole)


def _is_issued(digits: str) -> bool:
    return any(low <= digits[: len(low)] <= high and len(digits) in lengths for low, high, lengths in RANGES)


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

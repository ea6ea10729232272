"""The guard against card numbers, security codes, bank accounts and stray social security numbers in any text (P22,
P26).

What must never happen: a full card number or a bank account stored or logged, in whichever field it was typed. We never
need one: payment happens on the provider's page. So text that holds one is refused (forms, imports) or redacted (logs,
reasons); what was found is never quoted back. No security code may be kept at all (PCI DSS 3.3.1). A mistake in the
other direction, a refused order number, is cured by typing it otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

from django.core.exceptions import ValidationError
from stdnum.us import ssn

from privacy.typed import banks
from privacy.typed.folded import ALONE, LINK, SEP, SEP_IN_LINE, fold

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
# Thirteen digits and more with any separators between them: nothing shorter can be a card number.
_CHAIN = re.compile(r"\d(?:[\W_]*+\d){12,}")
_SECURITY_WORD = (
    r"(?:c ?v ?v ?2?|c ?v ?c ?2?|cvn|csc|cid|(?:card )?(?:security|verification) (?:code|value|number)|card code)"
)
_SPACED_CODE = rf"\d(?:{SEP_IN_LINE}\d){{2,3}}"
_SECURITY_CODE = re.compile(
    rf"(?<![^\W_]){_SECURITY_WORD}"
    r"[^\w\n]{0,4}(?:is|was|code|no|number|nr)?(?:[^\w\n]{0,4}(?P<code>\d{3,4})(?!\d)"
    rf"|[^\w\n]{{0,4}}(?P<spaced>{_SPACED_CODE})(?!{SEP_IN_LINE}?\d)|[^\w]{{0,4}}(?P<next>\d{{3,4}}|{_SPACED_CODE}){ALONE})",
    re.IGNORECASE,
)
_SECURITY_CODE_FIRST = re.compile(
    rf"(?<![\w.,/-])(?P<code>\d{{3,4}}|(?<!\d ){_SPACED_CODE})(?!\d)(?:{LINK}(?:card )?(?:cvv2?|cvc2?|cvn)"
    r"|[^\w]{0,4}+(?:is|was)[^\w]{1,3}+(?:(?:my|our|the|his|her|their|its)[^\w]{1,3}+)?"
    r"(?:card )?(?:(?:security|verification) (?:code|value|number)|card code))(?![^\W_])",
    re.IGNORECASE,
)
_SSN = re.compile(r"(?<![\d-])(?:\d{3}([ .-])\d{2}\1\d{4}|(?<![/_])\d{3}([/_])\d{2}\2\d{4})(?![\d-])")
_SSN_WORD = r"(?<![^\W_])(?:ssn|social security)(?![^\W_])"
_SSN_NAMED = re.compile(rf"(?:(?<![^\W_])ssn|social security)[^\d]{{0,20}}(\d(?:{SEP}?\d){{8}})(?!\d)", re.IGNORECASE)
_SSN_FIRST = re.compile(rf"(?<![\w-])(\d(?:{SEP}?\d){{8}})(?!\d){LINK}{_SSN_WORD}", re.IGNORECASE)
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
    """Return where card numbers, bank accounts, security codes and SSNs stand in `text`, in order, without overlaps
    (P22).

    A card number is 13 to 19 digits of any script with any separators between them, in a range that card schemes issue,
    with a right check digit. What cannot be seen, and the width and kind of characters, hides nothing. Takes time in
    proportion to the text's length.
    """
    if not _may_hold(text):
        return []
    folded = fold(text)
    plain = folded.text
    found: list[Found] = []
    if CARD in kinds and _CHAIN.search(plain):
        found += _cards(banks.without_ibans(plain))
    if SECURITY_CODE in kinds:
        found += [
            Found(SECURITY_CODE, *match.span(match.lastgroup or 0))
            for pattern in (_SECURITY_CODE, _SECURITY_CODE_FIRST)
            for match in pattern.finditer(plain)
        ]
    if SSN in kinds:
        found += [Found(SSN, *match.span()) for match in _SSN.finditer(plain) if _is_ssn(match.group())]
        found += [
            Found(SSN, *match.span(1))
            for pattern in (_SSN_NAMED, _SSN_FIRST)
            for match in pattern.finditer(plain)
            if _is_ssn(match.group(1))
        ]
    if BANK in kinds:
        found += [Found(BANK, *span) for span in banks.spans(plain)]
    return [Found(one.kind, folded.place(one.start), folded.place(one.end - 1) + 1) for one in _without_overlaps(found)]


def redact(text: str, kinds: frozenset[str] = ALL) -> tuple[str, list[Found]]:
    """Return `text` with "[card number]" and the like in the place of what `find` finds, and what was found."""
    found = find(text, kinds)
    parts, end = [], 0
    for one in found:
        parts += [text[end : one.start], f"[{one.kind}]"]
        end = one.end
    return "".join([*parts, text[end:]]), found


def refuse(value: object) -> None:
    """Raise ValidationError when a text holds what must not be kept; the message never quotes it (form validator).

    For a field of numbers of its own see `privacy.typed.numberfields`.
    """
    if isinstance(value, str):
        refuse_found(find(value))


def refuse_found(found: Sequence[Found]) -> None:
    """Raise ValidationError with the advice for the first of what was found, if anything was."""
    if not found:
        return
    kind = found[0].kind
    advice = {
        CARD: "Card numbers are never stored here. Payment is made on the payment provider's page only.",
        SECURITY_CODE: "The security code of a card must never be written down. Payment is made elsewhere.",
        BANK: "Bank accounts are not written down here: payments are made on the payment provider's page or by invoice.",
        SSN: "A social security number is not taken here: leave it out.",
    }[kind]
    raise ValidationError(f"This looks like a {kind}. {advice}", code="refused")


def blot(text: str) -> str:
    """Return a reason fit for a log: card numbers, SSNs, e-mail addresses and long numbers are blotted out."""
    text, _ = redact(text)  # before blanks take the place of what cannot be seen: they would part what it only hides
    text, _ = redact("".join(character if character.isprintable() else " " for character in text))
    return _LONG_NUMBER.sub("[number]", _EMAIL.sub("[e-mail]", text))


def _may_hold(text: str) -> bool:
    """Whether the text has three digits at all: most texts have not. One sign may stand for two of them."""
    return sum(2 - character.isdigit() for character, _ in zip(_any_digit(text), range(3), strict=False)) >= 3


def _any_digit(text: str) -> Iterator[str]:
    return (character for character in text if character.isnumeric())


def _cards(text: str) -> Iterator[Found]:
    for whole in _CHAIN.finditer(text):
        groups = _Chain(text, *whole.span())
        for first, last in chain(groups.cards(), groups.in_other_groups()):
            yield Found(CARD, groups.starts[first], groups.starts[last] + groups.sizes[last])


class _Chain:
    """Groups of digits that nothing but separators part: whatever might be read as one number.

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
        ends = map(int.__add__, self.starts, self.sizes)
        self.between = [text[begin:after] for begin, after in zip(ends, self.starts[1:], strict=False)]
        self.newlines = {place for place, signs in enumerate(self.between, 1) if "\n" in signs}
        self.text = text
        # By the parity of a number's last place: from it on every second digit counts as the cross sum of its double.
        digits = bytearray(self.digits, "ascii")
        plain, doubled = digits.translate(_VALUES), digits.translate(_DOUBLED)
        plain[1::2], doubled[1::2] = doubled[1::2], plain[1::2]
        self.luhn = [0, *accumulate(plain)], [0, *accumulate(doubled)]

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

    def in_other_groups(self) -> Iterator[tuple[int, int]]:
        """Yield the first and last group of each card number that is grouped as no card is, by one and the same sign.

        All groups that the sign joins make the number, so that parts of something longer are none.
        """
        first, groups = 0, len(self.sizes)
        while first < groups - 1:
            last = first + 1
            while last < groups - 1 and self.between[last] == self.between[first]:
                last += 1
            begin, stop = self.offsets[first], self.offsets[last + 1]
            if (
                SHORTEST <= stop - begin <= LONGEST
                and self.between[first] in {" ", ".", "/", "_", "-"}
                and self.text[max(self.starts[first] - 1, 0)] != "+"
                and _has_odd_shape(self.sizes[first : last + 1])
                and (self.luhn[(stop - 1) % 2][stop] - self.luhn[(stop - 1) % 2][begin]) % 10 == 0
                and _is_issued(self.digits[begin:stop])
            ):
                yield first, last
            first = last

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


def _has_odd_shape(sizes: list[int]) -> bool:
    """Whether the groups may be a card number although none is grouped so: digit by digit, or threes among longer ones.

    No North American telephone number with more behind it, no order number of a large shop, no row of measured values.
    """
    if set(sizes) == {1}:
        return True
    return (
        min(sizes) >= 3
        and 2 * sum(size >= 4 for size in sizes) >= len(sizes)
        and sizes[:3] != [3, 3, 4]
        and sizes != [3, 7, 7]
    )


def _is_ssn(text: str) -> bool:
    return bool(ssn.is_valid(re.sub(r"\D", "", text)))


def _without_overlaps(found: list[Found]) -> Iterator[Found]:
    end = -1
    for one in sorted(found, key=lambda each: (each.start, -each.end)):
        if one.start >= end:
            yield one
            end = one.end

"""The guard against card numbers, security codes, bank accounts and stray social security numbers in any text (P22,
P26).

What must never happen: a full card number or a bank account stored or logged, in whichever field it was typed. We never
need one: payment happens on the provider's page. So text that holds one is refused (forms, imports) or redacted (logs,
reasons); what was found is never quoted back. No security code may be kept at all (PCI DSS 3.3.1). A mistake in the
other direction, a refused order number, is cured by typing it otherwise.
"""

from __future__ import annotations

import re
import string
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate, chain

from django.core.exceptions import ValidationError
from stdnum import iban, numdb
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

_AS_DIGITS = {character: str(int(character, 36)) for character in string.digits + string.ascii_uppercase}

# In folded text (see _Folded) every blank is " ", every dash "-", every line break "\n", and a run of these is one of
# them.
_RUN = re.compile(r"[ \n./_-]{2,}")
_SEP = r"[ \n./_-]"
_SEP_IN_LINE = r"[ ./_-]"
_GROUP = re.compile(r"\d+")
# Thirteen digits and more with any separators between them: nothing shorter can be a card number.
_CHAIN = re.compile(r"\d(?:[\W_]*+\d){12,}")
_IBAN = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![^\W_])")
# An IBAN as people write it, in small letters and with other separators too; its check digits decide.
# Looked for at every word, so that the word before it does not hide it.
_IBAN_ANYHOW = re.compile(
    rf"(?<![^\W_])(?=([A-Z]{{2}}{_SEP}?[0-9]{{2}}(?:{_SEP}?[A-Z0-9]){{11,30}}))[A-Z]",
    re.IGNORECASE | re.ASCII,
)
# Behind letters without a gap only as it is printed, in fours or unbroken: else names of products would begin one.
_IBAN_GLUED = re.compile(
    rf"(?<=[A-Z])(?=([A-Z]{{2}}[0-9]{{2}}(?:{_SEP}?[A-Z0-9]{{4}}){{2,7}}(?:{_SEP}?[A-Z0-9]{{1,3}})?))[A-Z]",
    re.IGNORECASE | re.ASCII,
)
# A word that says "bank" beside a number: a routing number by its check digit, an account by the word alone.
_BANK = (
    r"(?:bank[ -]?a/?c|bank[ -]?acc(?:oun)?t|acct|a/c|account (?:no|nr|number|#)"
    r"|(?:checking|savings) (?:acct|account))(?![^\W_])"
)
_ROUTING = r"(?:routing|aba|rtn|transit)(?![^\W_])"
_BANK_WORD = re.compile(rf"(?<![^\W_])(?:(?P<routing>{_ROUTING})|{_BANK})", re.IGNORECASE)
# "account" alone says nothing: it may be one with us. With a bank named on the same line it is the bank's.
_ACCOUNT = re.compile(r"(?<![^\W_])account(?![^\W_])", re.IGNORECASE)
_BANK_NAMED = re.compile(
    r"(?<![^\W_])(?:[a-z]{0,12}bank|banco|banque|credit union|sparkasse|chase|wells fargo|citi|capital one|hsbc|barclays"
    r"|santander|pnc|ach|swift|bic)(?![^\W_])",
    re.IGNORECASE,
)
_ACCOUNT_NUMBER = rf"\d(?:{_SEP_IN_LINE}?\d){{5,16}}"
_ALONE = r"(?= ?(?:\n|\Z))"
# Behind the word on its line, or at the beginning of the next one: announced by a sign, or alone on that line.
_BESIDE = re.compile(
    rf"(?:[^\d\n]{{0,24}}+(?<![\w-])(?P<same>{_ACCOUNT_NUMBER})(?![\w-])"
    rf"|(?: ?(?:is|no|nr|number)[^\w\n]{{0,4}}+|[^\w\n]{{1,4}}+)\n[^\w\n]{{0,3}}+(?P<next>{_ACCOUNT_NUMBER})(?![\w-])"
    rf"|[^\d\n]{{0,24}}+\n(?P<alone>{_ACCOUNT_NUMBER}){_ALONE})",
    re.IGNORECASE,
)
# Before the word: "… is our routing number", "… (acct)".
_LINK = r"[^\w]{0,4}+(?:(?:is|was|are|as)[^\w]{1,3}+)?(?:(?:my|our|the|his|her|their|your|its|a|an)[^\w]{1,3}+)?"
_ROUTING_FIRST = re.compile(
    rf"(?<![\w-])(?P<number>\d(?:{_SEP}?\d){{8}})(?![\w-])[^\d]{{0,24}}?(?<![^\W_]){_ROUTING}", re.IGNORECASE
)
_ACCOUNT_FIRST = re.compile(
    rf"(?<![\w-])(?P<number>\d(?:{_SEP_IN_LINE}?\d){{5,16}}+)(?![\w-])(?={_LINK}(?:[a-z]{{1,20}}[^\w]{{1,3}}+)?{_BANK})"
    r"(?=[^\w]{0,4}+(?:is|was|are|as|my|our|his|her|their|your)(?![^\W_])|[ :=-]{0,3}+[(=])",
    re.IGNORECASE,
)
# What such a number is instead: a telephone number, a day, an amount, an address of a computer, an account with a
# carrier or with us.
_NO_ACCOUNT = re.compile(
    r"\d{3}[ ./_-]\d{3}[ ./_-]\d{4}|(?:\d{4}[./-]\d{1,2}[./-]\d{1,2}|(?:\d{1,2}[./-])?\d{1,2}[./-]\d{4}|\d{1,2}[./-]\d{1,2}[./-]\d\d)(?: \d\d?)?"
    r"|\d{1,5}\.\d\d?|(?:[12]?\d?\d\.){3}[12]?\d?\d"
)
_NO_BANK = re.compile(
    r"(?<![^\W_])(?:fedex|ups|dhl|usps|tnt|freight|carrier|courier|shipping|collect|customer|portal|user)[^\w\n]+(?:\w+[^\w\n]+)?$",
    re.IGNORECASE,
)
_LABELLED = re.compile(
    r"(?<![^\W_])(?:order|po|serial|invoice|rma|tracking|phone|tel|telephone|fax|ref|reference|sku|part|lot|quote|vat)"
    r"[^\w\n]{0,3}(?:(?:no|nr|number)[^\w\n]{0,3})?$",
    re.IGNORECASE,
)
_SECURITY_WORD = (
    r"(?:c ?v ?v ?2?|c ?v ?c ?2?|cvn|csc|cid|(?:card )?(?:security|verification) (?:code|value|number)|card code)"
)
_SPACED_CODE = rf"\d(?:{_SEP_IN_LINE}\d){{2,3}}"
_SECURITY_CODE = re.compile(
    rf"(?<![^\W_]){_SECURITY_WORD}"
    r"[^\w\n]{0,4}(?:is|was|code|no|number|nr)?(?:[^\w\n]{0,4}(?P<code>\d{3,4})(?!\d)"
    rf"|[^\w\n]{{0,4}}(?P<spaced>{_SPACED_CODE})(?!{_SEP_IN_LINE}?\d)|[^\w]{{0,4}}(?P<next>\d{{3,4}}|{_SPACED_CODE}){_ALONE})",
    re.IGNORECASE,
)
_SECURITY_CODE_FIRST = re.compile(
    rf"(?<![\w.,/-])(?P<code>\d{{3,4}}|(?<!\d ){_SPACED_CODE})(?!\d)(?:{_LINK}(?:card )?(?:cvv2?|cvc2?|cvn)"
    r"|[^\w]{0,4}+(?:is|was)[^\w]{1,3}+(?:(?:my|our|the|his|her|their|its)[^\w]{1,3}+)?"
    r"(?:card )?(?:(?:security|verification) (?:code|value|number)|card code))(?![^\W_])",
    re.IGNORECASE,
)
_SSN = re.compile(r"(?<![\d-])(?:\d{3}([ .-])\d{2}\1\d{4}|(?<![/_])\d{3}([/_])\d{2}\2\d{4})(?![\d-])")
_SSN_WORD = r"(?<![^\W_])(?:ssn|social security)(?![^\W_])"
_SSN_NAMED = re.compile(rf"(?:(?<![^\W_])ssn|social security)[^\d]{{0,20}}(\d(?:{_SEP}?\d){{8}})(?!\d)", re.IGNORECASE)
_SSN_FIRST = re.compile(rf"(?<![\w-])(\d(?:{_SEP}?\d){{8}})(?!\d){_LINK}{_SSN_WORD}", re.IGNORECASE)
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
    folded = _fold(text)
    plain = folded.text
    found: list[Found] = []
    if CARD in kinds and _CHAIN.search(plain):
        found += _cards(_without_ibans(plain))
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
        found += _bank_accounts(plain)
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


class _Folds(dict[int, str]):
    """Characters to what the guard reads in them: the ASCII digit, a blank, "-", a line break, their NFKC form, or
    nothing for what is not seen or only stands on another character.

    A character is looked up when it is first met: there are a million of them, and texts use few.
    """

    def __missing__(self, code: int) -> str:
        character = chr(code)
        digit = unicodedata.digit(character, None)
        self[code] = (
            str(digit) if digit is not None else "".join(map(self._of, unicodedata.normalize("NFKC", character)))
        )
        return self[code]

    @staticmethod
    def _of(character: str) -> str:
        if character in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029":
            return "\n"
        match unicodedata.category(character):
            case "Zs" | "Cc":
                return " "
            case "Pd":
                return "-"
            case "Cf" | "Mn" | "Me":
                return ""
        return "-" if character == "\u2212" else "/" if character in "\u2044\u2215" else character


_FOLDS = _Folds()


@dataclass(frozen=True, slots=True)
class _Folded:
    """A text as the guard reads it, and where each of its characters stands in the text that was given."""

    text: str
    starts: Sequence[int] = ()  # where each character of the given text begins; empty: each is one character
    ends: list[int] = field(default_factory=list)  # where each shortened run ends in `text`
    lost: list[int] = field(default_factory=list)  # and what has been left out up to there

    def place(self, at: int) -> int:
        """Return the place in the given text of the character that stands at a place of this one."""
        runs = bisect_right(self.ends, at)
        at += self.lost[runs - 1] if runs else 0
        return bisect_right(self.starts, at) - 1 if self.starts else at


def _fold(text: str) -> _Folded:
    """Return the text with each character folded and each run of blanks, breaks, dashes, dots, slashes and underscores
    as one: a line break if one is in it, else a blank if one is, else its first."""
    starts: Sequence[int] = ()
    if text.isascii():
        text = text.translate(_FOLDS)
    else:
        parts = list(map(_FOLDS.__getitem__, map(ord, text)))
        starts = [0, *accumulate(map(len, parts))][:-1]
        text = "".join(parts)
    kept: list[str] = []
    ends: list[int] = []
    lost: list[int] = []
    end = gone = 0
    for run in _RUN.finditer(text):
        signs = run.group()
        kept += [text[end : run.start()], "\n" if "\n" in signs else " " if " " in signs else signs[0]]
        end = run.end()
        gone += len(signs) - 1
        ends.append(end - gone)
        lost.append(gone)
    return _Folded("".join([*kept, text[end:]]) if ends else text, starts, ends, lost)


def _without_ibans(text: str) -> str:
    """Blank out valid IBANs: their groups of four look like a card's."""

    def blank(match: re.Match[str]) -> str:
        return "x" * len(match.group()) if iban.is_valid(match.group()) else match.group()

    return _IBAN.sub(blank, text)


def _bank_accounts(text: str) -> Iterator[Found]:
    """Yield IBANs by their check digits, and US routing and account numbers that stand beside such a word."""
    for match in chain(_IBAN_ANYHOW.finditer(text), _IBAN_GLUED.finditer(text)):
        end = _iban_end(match[1])
        if end:
            yield Found(BANK, match.start(), match.start() + end)
    for word in _BANK_WORD.finditer(text):
        beside = _BESIDE.match(text, word.end())
        if beside and not _NO_BANK.search(text[max(word.start() - 30, 0) : word.start()]):
            yield from _account(beside, is_routing=bool(word["routing"]))
    for first in _ROUTING_FIRST.finditer(text):
        yield from _account(first, is_routing=True)
    for first in _ACCOUNT_FIRST.finditer(text):
        if not _LABELLED.search(text[max(first.start() - 30, 0) : first.start()]):
            yield from _account(first, is_routing=False)
    for word in _ACCOUNT.finditer(text):
        beside = _BESIDE.match(text, word.end())
        if (
            beside
            and _is_bank_named(text, word.start(), beside.end())
            and not _NO_BANK.search(text[max(word.start() - 30, 0) : word.start()])
        ):
            yield from _account(beside, is_routing=False)


def _account(match: re.Match[str], *, is_routing: bool) -> Iterator[Found]:
    """Yield the number that stands beside the word, if it may be what the word says."""
    name = match.lastgroup or ""
    if _NO_ACCOUNT.fullmatch(match[name]):
        return
    digits = re.sub(r"\D", "", match[name])
    if not is_routing or (len(digits) == 9 and _is_routing(digits)):
        yield Found(BANK, *match.span(name))


def _is_bank_named(text: str, start: int, end: int) -> bool:
    """Whether a bank is named on the line, within some words before or behind."""
    before = text[max(start - 40, 0) : start].rpartition("\n")[2]
    behind = text[end : end + 40].partition("\n")[0]
    return bool(_BANK_NAMED.search(before) or _BANK_NAMED.search(behind))


def _iban_end(text: str) -> int:
    """Return where an IBAN at the beginning of the text ends, 0 when there is none: words may follow it without a
    sign."""
    length = _iban_length(
        text[:2].upper()
    )  # most of what looks like one begins with no country, or is too short for it
    if not length:
        return 0
    places = [place for place, character in enumerate(text) if character.isalnum()]
    if len(places) < length:
        return 0
    whole = "".join(text[place] for place in places[:length]).upper()
    turned = whole[4:] + whole[:4]
    if int("".join(_AS_DIGITS[character] for character in turned)) % 97 != 1 or not iban.is_valid(whole):
        return 0
    return places[length - 1] + 1


@cache
def _iban_length(country: str) -> int:
    """Return how long an IBAN of the country is, by the registry (stdnum.iban); 0 where there is none."""
    known = numdb.get("iban").info(country)[0][1]
    return 4 + sum(int(size) for size in re.findall(r"(\d+)!", known["bban"])) if known else 0


def _is_routing(digits: str) -> bool:
    """Whether nine digits are a routing number of a US bank, by its check digit (stdnum.us.rtn)."""
    return bool(rtn.is_valid(digits))


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

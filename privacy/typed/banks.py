"""Where bank accounts stand in a text: IBANs by their check digits, US numbers beside a word that says "bank" (P22).

Read by `privacy.typed.cards`, which refuses and redacts what is found. The text is a folded one
(`privacy.typed.folded`).
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from functools import cache
from itertools import chain

from stdnum import iban, numdb
from stdnum.us import rtn

from privacy.typed.folded import ALONE, LINK, SEP, SEP_IN_LINE

Span = tuple[int, int]
_AS_DIGITS = {character: str(int(character, 36)) for character in string.digits + string.ascii_uppercase}

_IBAN = re.compile(r"(?<![^\W_])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![^\W_])")
# An IBAN as people write it, in small letters and with other separators too; its check digits decide.
# Looked for at every word, so that the word before it does not hide it.
_IBAN_ANYHOW = re.compile(
    rf"(?<![^\W_])(?=([A-Z]{{2}}{SEP}?[0-9]{{2}}(?:{SEP}?[A-Z0-9]){{11,30}}))[A-Z]",
    re.IGNORECASE | re.ASCII,
)
# Behind letters without a gap only as it is printed, in fours or unbroken: else names of products would begin one.
_IBAN_GLUED = re.compile(
    rf"(?<=[A-Z])(?=([A-Z]{{2}}[0-9]{{2}}(?:{SEP}?[A-Z0-9]{{4}}){{2,7}}(?:{SEP}?[A-Z0-9]{{1,3}})?))[A-Z]",
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
_ACCOUNT_NUMBER = rf"\d(?:{SEP_IN_LINE}?\d){{5,16}}"
# Behind the word on its line, or at the beginning of the next one: announced by a sign, or alone on that line.
_BESIDE = re.compile(
    rf"(?:[^\d\n]{{0,24}}+(?<![\w-])(?P<same>{_ACCOUNT_NUMBER})(?![\w-])"
    rf"|(?: ?(?:is|no|nr|number)[^\w\n]{{0,4}}+|[^\w\n]{{1,4}}+)\n[^\w\n]{{0,3}}+(?P<next>{_ACCOUNT_NUMBER})(?![\w-])"
    rf"|[^\d\n]{{0,24}}+\n(?P<alone>{_ACCOUNT_NUMBER}){ALONE})",
    re.IGNORECASE,
)
# Before the word: "… is our routing number", "… (acct)".
_ROUTING_FIRST = re.compile(
    rf"(?<![\w-])(?P<number>\d(?:{SEP}?\d){{8}})(?![\w-])[^\d]{{0,24}}?(?<![^\W_]){_ROUTING}", re.IGNORECASE
)
_ACCOUNT_FIRST = re.compile(
    rf"(?<![\w-])(?P<number>\d(?:{SEP_IN_LINE}?\d){{5,16}}+)(?![\w-])(?={LINK}(?:[a-z]{{1,20}}[^\w]{{1,3}}+)?{_BANK})"
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


def without_ibans(text: str) -> str:
    """Blank out valid IBANs: their groups of four look like a card's."""

    def blank(match: re.Match[str]) -> str:
        return "x" * len(match.group()) if iban.is_valid(match.group()) else match.group()

    return _IBAN.sub(blank, text)


def spans(text: str) -> Iterator[Span]:
    """Yield where they stand: IBANs by their check digits, US routing and account numbers beside such a word."""
    for match in chain(_IBAN_ANYHOW.finditer(text), _IBAN_GLUED.finditer(text)):
        end = iban_end(match[1])
        if end:
            yield match.start(), match.start() + end
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


def _account(match: re.Match[str], *, is_routing: bool) -> Iterator[Span]:
    """Yield where the number beside the word stands, if it may be what the word says."""
    name = match.lastgroup or ""
    if _NO_ACCOUNT.fullmatch(match[name]):
        return
    digits = re.sub(r"\D", "", match[name])
    if not is_routing or (len(digits) == 9 and _is_routing(digits)):
        yield match.span(name)


def _is_bank_named(text: str, start: int, end: int) -> bool:
    """Whether a bank is named on the line, within some words before or behind."""
    before = text[max(start - 40, 0) : start].rpartition("\n")[2]
    behind = text[end : end + 40].partition("\n")[0]
    return bool(_BANK_NAMED.search(before) or _BANK_NAMED.search(behind))


def iban_end(text: str) -> int:
    """Return where an IBAN at the beginning of the text ends, 0 when there is none: words may follow it without a
    sign."""
    length = iban_length(text[:2].upper())  # most of what looks like one begins with no country, or is too short for it
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
def iban_length(country: str) -> int:
    """Return how long an IBAN of the country is, by the registry (stdnum.iban); 0 where there is none."""
    known = numdb.get("iban").info(country)[0][1]
    return 4 + sum(int(size) for size in re.findall(r"(\d+)!", known["bban"])) if known else 0


def _is_routing(digits: str) -> bool:
    """Whether nine digits are a routing number of a US bank, by its check digit (stdnum.us.rtn)."""
    return bool(rtn.is_valid(digits))

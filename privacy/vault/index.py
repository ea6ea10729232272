"""Blind indexes: find a record by an encrypted value without opening anything.

A token is a keyed hash (HMAC-SHA256, one key per field and normaliser version, derived from the ring). Tokens live in
the key store and go with the data key, so a backup of the main database confirms no guess. What they give away to a
holder of key store and ring: equality, the first letters of names, and the signs of those in Chinese, Japanese and
Korean. There is none on the SSN.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from privacy.typed import phones
from privacy.vault import lookalikes
from privacy.vault import ring as rings

SHORTEST_PREFIX, LONGEST_PREFIX = 3, 6
MOST_PAIRS = 8  # pairs of signs that are asked for; they say enough
KELVIN = "\u212a"  # the one letter that composing alone would turn into an ASCII one
ACE = "xn--"  # begins a label of a domain whose letters are not ASCII


def _folded(value: str) -> str:
    return unicodedata.normalize("NFKC", value).strip().casefold()


def _address(value: str) -> str:
    """Fold an e-mail address without ever making two mailboxes one (CVE-2019-19844).

    Letter case counts for nobody. But a letter that only looks like or folds to an ASCII one ("ﬁ", the sign for kelvin,
    a full-width "a") makes an address that somebody else may own, so it stays what it is.
    """
    local, at, domain = _as_typed(value).rpartition("@")
    return local + at + _labels(domain, _unicode) if ACE in domain else local + at + domain


def _as_typed(value: str) -> str:
    """Fold an address in the spelling its domain was typed in."""
    if value.isascii():
        return value.strip().lower()
    composed = KELVIN.join(unicodedata.normalize("NFC", part) for part in value.strip().split(KELVIN))
    return "".join(_folded_on_its_side(c) for c in composed)


def _labels(domain: str, spelled: Callable[[str], str]) -> str:
    return ".".join(spelled(label) for label in domain.split("."))


def _unicode(label: str) -> str:
    """Return a label of a domain ("xn--bcher-kva") in letters ("bücher"), as it is when it is no such label.

    Only what leads back to the very same label counts: a made-up one must not become somebody else's domain.
    """
    if not label.startswith(ACE) or not label.isascii():
        return label
    try:
        letters = label.removeprefix(ACE).encode().decode("punycode")
    except ValueError:
        return label
    is_plain = all(c.isalnum() or c in "-\u00b7" or unicodedata.category(c).startswith("M") for c in letters)
    is_real = is_plain and not letters.isascii() and _as_typed(letters) == letters and _ascii(letters) == label
    return letters if is_real else label


def _ascii(label: str) -> str:
    return label if label.isascii() else ACE + label.encode("punycode").decode()


def _folded_on_its_side(character: str) -> str:
    folded = character.casefold()
    return folded if character.isascii() or not any(c.isascii() for c in folded) else character


def _alphanumeric(value: str) -> str:
    return "".join(c for c in _folded(value) if c.isalnum())


# name -> (version, function). A changed function needs a new version and a re-seal of the records, unless `spellings`
# still names what it returned before: then each token is found as it was placed, and its record's next save renews it.
NORMALISERS: dict[str, tuple[int, Callable[[str], str]]] = {
    "email": (2, _address),
    "username": (1, _folded),
    "lookalike": (1, lookalikes.skeleton),
    "phone": (2, phones.same),
    "identifier": (1, _alphanumeric),
    "reference": (1, _alphanumeric),
}

_CJK = "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+")
#: What people type for an apostrophe; the modifier letters among them would count as letters.
_APOSTROPHES = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201b\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u2032`\u00b4\uff07", "'")
)
#: Letters that no keyboard elsewhere has and that do not fall apart into a letter and a mark.
_LETTERS = {"ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d", "ŋ": "n", "ĸ": "k", "ə": "e", "ß": "ss"}
#: How those write a letter with a mark who cannot type the mark.
_WRITTEN_OUT = {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"}
_WITH = re.compile("LATIN SMALL LETTER ([A-Z]) WITH ")


def _plain(text: str) -> str:
    """Return a text in small letters, composed, without what cannot be seen, and with one kind of apostrophe."""
    folded = _folded("".join(c for c in text.translate(_APOSTROPHES) if unicodedata.category(c) != "Cf"))
    return unicodedata.normalize("NFC", folded)


def _bare(text: str) -> str:
    """Return a folded text with the letters of a plain keyboard: "łódź" is "lodz", "sørensen" is "sorensen"."""
    decomposed = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", "".join(_letter(c) for c in decomposed if not unicodedata.combining(c)))


def _letter(character: str) -> str:
    if character.isascii():
        return character
    if character in _LETTERS:
        return _LETTERS[character]
    found = _WITH.match(unicodedata.name(character, ""))
    return found[1].lower() if found else character


def _words(text: str, is_joined: bool) -> list[tuple[str, ...]]:
    """Return each word of a name in every spelling that counts for the same, the plain one first.

    An apostrophe joins where `is_joined` ("obrien"), or parts ("o", "brien").
    """
    plain = _plain(text).replace("'", "" if is_joined else " ")
    written_out = "".join(_WRITTEN_OUT.get(c, c) for c in plain)
    both = zip(_WORD.findall(_bare(plain)), _WORD.findall(_bare(written_out)), strict=True)
    return list(dict.fromkeys(tuple(dict.fromkeys(spelled)) for spelled in both))


def words(text: str) -> list[str]:
    """Return the words of a name, folded, with the letters of a plain keyboard, in order and without repeats."""
    return list(dict.fromkeys(spelled[0] for spelled in _words(text, is_joined=True)))


def _signs(word: str) -> list[str]:
    """Return the signs and pairs of signs of a word in Chinese, Japanese or Korean; none of any other word.

    Such a name has no blank between its parts, and is asked for by the family name, which is a sign or two of it.
    """
    if not re.match(f"[{_CJK}]", word):
        return []
    return list(dict.fromkeys([*word, *(word[place : place + 2] for place in range(len(word) - 1))]))


def normalise(normaliser: str, value: str) -> str:
    """Return what two spellings of the same value have in common; "" when nothing is left of it."""
    return NORMALISERS[normaliser][1](value)


def spellings(normaliser: str, value: str) -> list[str]:
    """Return every text under which a value may be indexed, the one of today first; none when nothing is left of it.

    An address at bücher.example stands in one spelling of its domain today, and stood in the one it was typed in
    before.
    """
    text = normalise(normaliser, value)
    found = [text]
    if normaliser == "email":
        local, at, domain = text.rpartition("@")
        found += [_as_typed(value), local + at + _labels(domain, _ascii)]
    if normaliser == "phone":
        found = phones.asked(value)
    return list(dict.fromkeys(found)) if text else []


class Entry(NamedTuple):
    """One token to be placed."""

    field: str
    value: bytes
    is_unique: bool


def token(field: str, scheme: str, text: str) -> bytes:
    """Return the 128-bit token of an already normalised text."""
    key = rings.current().derive(f"index:{field}:{scheme}")
    return hmac.digest(key, text.encode(), "sha256")[:16]


@dataclass(frozen=True)
class Exact:
    """Index a whole normalised value under the name `field`; `unique` lets one record only hold it.

    A telephone number stands under several texts, so that it is found in whatever spelling. Version 2 of it stands
    beside version 1 (which knew no number without its country but ours) under a name of its own, so that it is known
    which rows have it. With `is_sure` only the same number with its country is looked up.
    """

    field: str
    normaliser: str = "identifier"
    unique: bool = False
    is_sure: bool = False

    @property
    def stored_as(self) -> str:
        """The name under which the tokens stand."""
        return f"{self.field}.2" if self.normaliser == "phone" else self.field

    @property
    def scheme(self) -> str:
        return f"{self.normaliser}.{NORMALISERS[self.normaliser][0]}"

    def entries(self, value: str) -> Iterator[Entry]:
        """Yield the token of a value, or those of a telephone number, if anything is left of it after normalising."""
        texts = phones.stored(value) if self.normaliser == "phone" else [normalise(self.normaliser, value)]
        for text in filter(None, texts):
            yield Entry(self.stored_as, token(self.field, self.scheme, text), self.unique)

    def looked_up(self, value: str) -> list[list[bytes]]:
        """Return the tokens that a searched value must match, as an AND of ORs; empty means no search."""
        texts = phones.sure(value) if self.is_sure else spellings(self.normaliser, value)
        found = [token(self.field, self.scheme, text) for text in texts]
        return [found] if found else []


@dataclass(frozen=True)
class Words:
    """Index a name by word: each whole word and its prefixes of 3 to 6 letters; of Chinese, Japanese
    and Korean each sign and pair.

    Version 2 stands beside version 1 (whose words kept strokes, and which an apostrophe parted) under a name of its
    own, so that it is known which rows have it. What version 1 placed is asked for no more, and goes with its keys.
    """

    field: str
    scheme = "words.2"

    @property
    def stored_as(self) -> str:
        """The name under which the tokens stand."""
        return f"{self.field}.2"

    def entries(self, value: str) -> Iterator[Entry]:
        """Yield one token per word and prefix, or per sign and pair of signs."""
        texts: dict[str, None] = {}
        spellings_of = [*_words(value, is_joined=True), *_words(value, is_joined=False)]
        for word in dict.fromkeys(word for spelled in spellings_of for word in spelled):
            if signs := _signs(word):
                texts |= dict.fromkeys(f"~{sign}" for sign in signs)
                continue
            texts[f"={word}"] = None
            for length in range(SHORTEST_PREFIX, min(len(word), LONGEST_PREFIX) + 1):
                texts[word[:length]] = None
        for text in texts:
            yield Entry(self.stored_as, token(self.field, self.scheme, text), False)

    def looked_up(self, value: str) -> list[list[bytes]]:
        """Return the tokens each searched word must match: 3 to 6 letters begin a word, others are one; signs stand in
        one."""
        found = []
        for spelled in _words(value, is_joined=True):
            if signs := _signs(spelled[0]):
                pairs = [sign for sign in signs if len(sign) == 2] or signs
                found += [[token(self.field, self.scheme, f"~{sign}")] for sign in pairs[:MOST_PAIRS]]
                continue
            texts = [word if SHORTEST_PREFIX <= len(word) <= LONGEST_PREFIX else f"={word}" for word in spelled]
            found.append([token(self.field, self.scheme, text) for text in dict.fromkeys(texts)])
        return found


Blind = Exact | Words


def entries(blinds: Iterable[tuple[Blind, str]]) -> list[Entry]:
    """Return the tokens of several values without repeats (two fields may feed one index)."""
    return list(dict.fromkeys(entry for blind, value in blinds for entry in blind.entries(value)))

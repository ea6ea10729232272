"""Whether words give a link, code or key away, however it is spelled; and addresses that open a page by themselves.

What must never happen: a stored letter that opens anything. What a letter gives (`credentials`) is looked for as it is
and as it may have become on the way: escaped, percent-encoded, wrapped, without its hyphens, the token of a link alone.
An address that the letter does not give, whoever wrote it into a name or a reason, is taken out of the words.
docs/security.md says what neither finds.
"""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import unquote

from django.utils.html import strip_tags

SHORTEST = 8  # signs: a code of six digits may stand in a text by chance
TOKEN = 20  # signs of a part of a link that stands nowhere by chance
SIGNS = re.compile(r"[^0-9a-z]+")
SLASH = r"(?:/|%2[Ff]|&#47;|&#[Xx]2[Ff];|&sol;)"
# An address of a page that opens by it alone: whole where it is one, else its path.
OPENING = re.compile(
    r"(?:https?:[^\s\"'<>()]{1,120}?)?"
    rf"{SLASH}(?:privacy{SLASH}(?:link|keep)|account{SLASH}contact{SLASH}(?:confirm|not-me)"
    rf"|accounts{SLASH}(?:confirm-email|password{SLASH}reset{SLASH}key))"
    rf"{SLASH}[^\s\"'<>()]+"
)
TAKEN_OUT = "[Here stood an address that opens a page; it is not kept.]"


def stands_in(value: str, *texts: str) -> bool:
    """Say whether a link, code or key that a letter gives stands in one of the texts, in any of the usual spellings."""
    signs = _signs(_what_opens(value))
    return len(signs) >= SHORTEST and any(signs in _signs(text) or signs in _signs(strip_tags(text)) for text in texts)


def without_addresses(text: str) -> str:
    """Return a text or HTML with words in place of each address that opens a page by itself."""
    return OPENING.sub(TAKEN_OUT, text)


def _what_opens(value: str) -> str:
    """Return the token of a link, or the whole where it has none."""
    if "://" not in value:
        return value
    longest = max(re.split(r"[/?&=#]", value.partition("://")[2]), key=len)
    return longest if len(longest) >= TOKEN else value


def _signs(text: str) -> str:
    """Return what all spellings of a text have in common; whatever was encoded twice is decoded twice."""
    return SIGNS.sub("", unquote(unescape(unquote(unescape(text)))).casefold())

"""No link, code or key stands in a stored letter, however it is spelled, whoever wrote it there."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts.middleware import TOKENS
from privacy import letters, vault
from privacy.letters import spellings
from privacy.letters.models import Letter
from tests.factories import NOW

TOKEN = "Zq9wLkY3bN5xR8vT2mC7pJ4hG6fD1sA0eU-iOyKtWrQ"
LINK = f"https://portal.example/privacy/link/{TOKEN}/"
CODE, SHORT = "7K3M-9QXA-22BD", "ABCDE-FGHIJ"


def queue(words: str, **gives: str) -> Letter:
    context = {"ground": words, "request": None}
    return letters.queue("refused", to="alice@example.com", context=context, key="x:1", now=NOW, credentials=gives)


@pytest.mark.parametrize(
    ("words", "gives"),
    [
        (TOKEN, LINK),
        (f"portal.example/privacy/link/{TOKEN}", LINK),
        (f"/privacy/link/{TOKEN}/", LINK),
        (f"https://portal.example/accounts/login/?next={quote(f'/privacy/link/{TOKEN}/', safe='')}", LINK),
        (LINK.replace("/", "&#47;"), LINK),
        (quote(quote(LINK, safe=""), safe=""), LINK),
        (f"{LINK[:50]}\n{LINK[50:]}", LINK),
        (CODE.replace("-", ""), CODE),
        (CODE.lower().replace("-", " "), CODE),
        ("7K3M<strong>-9QXA</strong>-22BD", CODE),
        (SHORT, SHORT),
        ("ABCDE FGHIJ", SHORT),
        ("https://carrier.example/7f3a91c0", "https://carrier.example/7f3a91c0"),
    ],
)
def test_what_a_letter_gives_stands_in_its_words_in_no_spelling(db: None, words: str, gives: str) -> None:
    with pytest.raises(letters.CredentialInText) as refused:
        queue(f"See {words}, please.", link=gives)
    assert words not in str(refused.value) and not Letter.objects.exists()


def test_what_only_looks_alike_is_written() -> None:
    assert not spellings.stands_in("482913", "Order 482913 of 2026")
    assert not spellings.stands_in(CODE, "7K3M-9QXA is a half of it", "<p>22BD</p>")
    assert not spellings.stands_in(LINK, "https://portal.example/privacy/link/ asks for its token")
    assert not spellings.stands_in(CODE, base64.b64encode(CODE.encode()).decode()), "docs/security.md says so"
    assert spellings.without_addresses("https://portal.example/privacy/requests/7/, /privacy/link/ and P/keep/x") == (
        "https://portal.example/privacy/requests/7/, /privacy/link/ and P/keep/x"
    )


def opened_by_address(patterns: list[Any], space: str = "") -> set[str]:
    """Return the names of all pages that a token in their address opens."""
    found = set()
    for one in patterns:
        if isinstance(one, URLResolver):
            if one.namespace != "admin":
                found |= opened_by_address(one.url_patterns, f"{space}{one.namespace}:" if one.namespace else space)
        elif isinstance(one, URLPattern) and set(one.pattern.regex.groupindex) & TOKENS:
            found.add(f"{space}{one.name}")
    return found


def test_an_address_that_opens_a_page_is_taken_out_of_words_that_anybody_wrote(db: None) -> None:
    pages = opened_by_address(get_resolver().url_patterns)
    assert {"link", "keep", "contact_confirm", "account_reset_password_from_key"} <= pages, "the walk sees them"
    for name in pages:
        takes = {key: "3k" if key == "uidb36" else TOKEN for key in TOKENS}
        found = [one for one in get_resolver().reverse_dict.getlist(name) for one in one[0]]
        path = reverse(name, kwargs={key: takes[key] for key in found[0][1]})
        for spelled in (f"https://portal.example{path}", path, quote(path, safe=""), path.replace("/", "&#x2F;")):
            assert spellings.without_addresses(f'x "{spelled}" y') == f'x "{spellings.TAKEN_OUT}" y', name
    letter = queue(f"Dear {LINK},")
    with vault.internal():
        stored = f"{letter.headline}{letter.text}{letter.html}"
    assert TOKEN not in stored and stored.count(spellings.TAKEN_OUT) == 2

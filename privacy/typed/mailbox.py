"""What an e-mail address looks like. Letters outside ASCII before the @ are right (RFC 6531): some people's addresses
have them, and a rule that refuses them would shut those people out of their rights (P6)."""

from __future__ import annotations

import re
import unicodedata

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from privacy.typed import cards, numberfields


def validate(value: str) -> None:
    """Accept an e-mail address. Raises ValidationError with the code "invalid", or "refused" for a card number in it
    (P22)."""
    local, at, domain = value.rpartition("@")
    folded = "".join("x" if not c.isascii() and c.isalnum() else c for c in local)
    validate_email(folded + at + domain)
    numberfields.refuse(value, numberfields.Kind.IDENTIFIER, frozenset({cards.CARD}))


def validate_usual(value: str) -> None:
    """Accept an address in the spelling that all its others lead to. Raises ValidationError with the code "unusual".

    A name in quotation marks that needs none, and a domain in letters that every mail server reads as ASCII
    ones, reach the same mailbox as another address: beside it they would count as a second one, whose
    reader could be told and object.
    """
    local, _, domain = value.strip().rpartition("@")
    if _UNQUOTED.fullmatch(local) or any(not c.isascii() and _as_read(c).isascii() for c in domain):
        raise ValidationError(
            "Write the address as it is usually written: without quotation marks, and with plain letters after the @.",
            code="unusual",
        )


def as_sent(value: str) -> str:
    """Return an address with its domain as mail goes to it (IDNA): full-width letters, a soft hyphen or another full
    stop reach the mailbox of the plain spelling."""
    local, at, domain = value.strip().rpartition("@")
    try:
        return local + at + domain.encode("idna").decode()
    except UnicodeError:
        return value.strip()


_WORD = r"[^\s\"(),:;<>@\[\\\].]+"
_UNQUOTED = re.compile(rf'"{_WORD}(\.{_WORD})*"')
FULL_STOP = "\u3002"  # between two labels it is read as a dot


def _as_read(character: str) -> str:
    return "." if character == FULL_STOP else unicodedata.normalize("NFKC", character).lower()


class MailboxField(forms.EmailField):
    """A form field for an address, by the same rule."""

    default_validators = [validate]

"""What an e-mail address looks like. Letters outside ASCII before the @ are right (RFC 6531): some people's addresses have
them, and a rule that refuses them would shut those people out of their rights (P6)."""

from __future__ import annotations

from django import forms
from django.core.validators import validate_email

from privacy import cards


def validate(value: str) -> None:
    """Accept an e-mail address. Raises ValidationError with the code "invalid", or "refused" for a card number in it (P22)."""
    local, at, domain = value.rpartition("@")
    folded = "".join("x" if not c.isascii() and c.isalnum() else c for c in local)
    validate_email(folded + at + domain)
    if cards.find(value, frozenset({cards.CARD})):
        cards.refuse(value)


class MailboxField(forms.EmailField):
    """A form field for an address, by the same rule."""

    default_validators = [validate]

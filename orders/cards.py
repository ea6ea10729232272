"""What may be kept of a card: the provider's token, brand, last four, expiry. Nothing else, ever (P20, P22).

The envelope is sealed, so no database constraint can look into it; this check stands in front of every write instead.
"""

import re

from privacy.typed import cards

LAST_FOUR = re.compile(r"[0-9]{4}\Z")
EXPIRY = re.compile(r"(0[1-9]|1[0-2])/20[0-9]{2}\Z")
TOKEN = re.compile(r"[A-Za-z0-9_\-]{8,100}\Z")
BRAND = re.compile(r"[A-Za-z][A-Za-z ]{0,19}\Z")
# An unbroken run of this many digits is a card number, whether or not it passes Luhn's check.
DIGITS = re.compile(r"[0-9]{12,19}")


class CardRefused(ValueError):
    """Something that may be a card number, or no last four or expiry at all. The text never holds the value."""


def check_card(*, token: object = "", last_four: object = "", expiry: object = "", brand: object = "") -> None:
    """Refuse payment data that is more than token, brand, last four and expiry.

    Raises CardRefused, naming the field and never the value (P22).
    """
    fields = (
        ("token", token, TOKEN),
        ("last_four", last_four, LAST_FOUR),
        ("expiry", expiry, EXPIRY),
        ("brand", brand, BRAND),
    )
    for name, value, form in fields:
        # Erased and masked values are falsy and are never written back.
        if not isinstance(value, str) or not value:
            continue
        if not form.match(value):
            raise CardRefused(f"{name} is not in the allowed form")
        if cards.find(value) or DIGITS.search(value):
            raise CardRefused(f"{name} looks like a card number")


def last_four(number: str) -> str:
    """Return the last four digits of a card number that is about to be forgotten, or "" for anything else."""
    digits = re.sub(r"[ \-]", "", number)
    return digits[-4:] if digits.isascii() and digits.isdigit() and 12 <= len(digits) <= 19 else ""

"""What a value must look like before it is taken in. Lenient where the world is dirty: a phone number that no
numbering plan knows is still the number the person gave (P8), but a card number is never taken (P22).

Messages never repeat the value.
"""

from __future__ import annotations

import re

import stdnum.exceptions
from django.core.exceptions import ValidationError
from stdnum.eu import vat as eu_vat
from stdnum.us import ssn as us_ssn
from stdnum.us import tin as us_tin

from accounts import countries, spoiled
from privacy.typed import cards, mailbox, numberfields, phones
from privacy.typed.numberfields import Kind

EU = frozenset(
    {
        "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU",
        "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
    }
)  # fmt: skip
_REFERENCE = re.compile(r"[A-Z0-9][A-Z0-9-]{0,31}", re.ASCII)
_USERNAME = re.compile(r"[\w.+-]{1,150}")
_FREIGHT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./-]{2,39}", re.ASCII)


def no_card_number(text: str) -> None:
    """Refuse text in which a card number, a security code or a stray social security number stands (P22, P26)."""
    cards.refuse(text)


def no_card_for_product(text: str) -> None:
    """Refuse what `no_card_number` refuses, but for the EAN of a product."""
    numberfields.refuse(text, Kind.PRODUCT)


def no_card_for_identifier(text: str) -> None:
    """Refuse what `no_card_number` refuses, but for a number of 13 digits: a shop's or maker's own."""
    numberfields.refuse(text, Kind.IDENTIFIER)


def validate_mailbox(value: str) -> None:
    """Accept an e-mail address, also one with letters outside ASCII before the @, in its usual spelling."""
    mailbox.validate(value)
    mailbox.validate_usual(value)


def validate_phone(value: str) -> None:
    """Accept one telephone number or a few, in any spelling that people use, and no card number (P8, P22)."""
    if spoiled.SHORTENED.fullmatch(value.strip()):
        raise ValidationError(spoiled.DIGITS_GONE, code="phone")
    if not phones.is_written(value):
        raise ValidationError(
            "Enter a phone number: digits, spaces and + ( ) - . /, an extension as ext. 5; several with a comma between them.",
            code="phone",
        )
    # Some phone numbers are written like an SSN.
    numberfields.refuse(value, Kind.PHONE, frozenset({cards.CARD}))


def validate_reference(value: str) -> None:
    """Accept a customer number: capital letters, digits and dashes."""
    if not _REFERENCE.fullmatch(value):
        raise ValidationError("A customer number has 1 to 32 capital letters, digits or dashes.", code="reference")
    no_card_for_identifier(value)


def validate_username(value: str) -> None:
    """Accept letters, digits and . _ + - ; no @, so that a user name never looks like an e-mail address."""
    if not _USERNAME.fullmatch(value):
        raise ValidationError("Use letters, digits and the signs . _ + - only.", code="username")
    no_card_for_identifier(value)


def validate_country(value: str) -> None:
    """Accept a code of ISO 3166-1 (alpha-2) in capitals and nothing else; name the code of what is written
    otherwise."""
    if value in countries.NAMES:
        return
    if code := countries.find(value):
        raise ValidationError(f"Use the two-letter code {code} for {countries.name_of(code)}.", code="country")
    raise ValidationError("Use the two-letter code of a country (ISO 3166-1).", code="country")


def validate_freight_account(value: str) -> None:
    """Accept a carrier's account number; a card number is none."""
    if not _FREIGHT.fullmatch(value):
        raise ValidationError("A freight account has 3 to 40 letters, digits, dots or dashes.", code="freight")
    no_card_for_identifier(value)


def validate_ssn(value: str) -> None:
    """Accept a well-formed US social security number (P26)."""
    try:
        us_ssn.validate(value)
    except stdnum.exceptions.ValidationError:
        raise ValidationError("This is not a US social security number.", code="ssn") from None


def looks_like_ssn(value: str) -> bool:
    """Say whether the value is written as a social security number: those have a field of their own (P26)."""
    return bool(re.fullmatch(r"\d{3}-\d{2}-\d{4}", value.strip()))


def validate_vat(value: str, country: str) -> None:
    """Accept a VAT number whose check digits are right where the country's rule is known (EU); lenient elsewhere."""
    compact = re.sub(r"[\s.\-]", "", value).upper()
    if country in EU:
        prefix = "EL" if country == "GR" else country
        full = compact if compact.startswith(prefix) else prefix + compact
        try:
            eu_vat.validate(full)
        except stdnum.exceptions.ValidationError:
            raise ValidationError("This is not a VAT number of that country.", code="vat") from None
    elif not re.fullmatch(r"[A-Z0-9]{4,20}", compact, re.ASCII):
        raise ValidationError("A VAT number has 4 to 20 letters and digits.", code="vat")
    no_card_for_identifier(value)


def validate_tax_id(value: str, country: str) -> None:
    """Accept a Tax ID; a US one must be an EIN, ITIN or other TIN; a social security number is another kind of
    identifier."""
    wrong_form = "A Tax ID has 4 to 40 letters, digits, dots or dashes."
    if len(value) > 40:
        raise ValidationError(wrong_form, code="tax_id")
    if looks_like_ssn(value):
        raise ValidationError(
            "This looks like a social security number. It is not taken here: leave it out.", code="ssn"
        )
    if country == "US":
        try:
            us_tin.validate(value)
        except stdnum.exceptions.ValidationError:
            raise ValidationError("This is not a US Tax ID.", code="tax_id") from None
    elif not re.fullmatch(r"[A-Za-z0-9 ./-]{4,40}", value, re.ASCII):
        raise ValidationError(wrong_form, code="tax_id")
    no_card_for_identifier(value)

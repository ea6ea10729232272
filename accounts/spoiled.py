"""What a spreadsheet does to a file on its way: noticed, and left as it is, because only the
sender knows what stood there."""

from __future__ import annotations

import re

#: 9788186180 becomes 9.78819E+09 where a column is narrow: what is left is no number of anybody.
SHORTENED = re.compile(r"[0-9](?:[.,][0-9]+)?E\+[0-9]{1,3}", re.ASCII | re.IGNORECASE)
DIGITS_GONE = "A spreadsheet shortened a number here; its other digits are gone."
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|[lr][sd]quo|[nm]dash|#[0-9]{2,6}|#x[0-9a-f]{2,5});", re.IGNORECASE)
_LOST_ZERO = re.compile(r"[0-9]{3,4}(?:-[0-9]{4})?", re.ASCII)

MISREAD = "It looks like text that was read in a wrong encoding, so that each accented letter became two signs."
ENTITY = "It looks like text of a web page: a sign stands there as a code that begins with & and ends with a semicolon."
SEVERAL = "There is a semicolon in it: a program may have written several values into one field."
ONLY_A_NAME = "It has nothing but a name. Look whether it is a customer: programs write a total or a day under a list."
LOST = "A letter was lost when the text was read in a wrong encoding."
ZIP = "A postal code of the United States has five digits: a spreadsheet may have taken the zero at its beginning."


def text(value: str) -> str:
    """Return the notice for a text that was decoded twice ("MÃ¼ller"), lost a letter, or holds "&amp;"; "" for any
    other."""
    if _ENTITY.search(value):
        return ENTITY
    if value.isascii():
        return ""
    if "\ufffd" in value:
        return LOST
    for encoding in ("cp1252", "latin-1"):
        try:
            value.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
        return MISREAD
    return ""


def postal_code(country: str, value: str) -> str:
    """Return the notice for a postal code of the United States without its first zero; "" for any other."""
    return ZIP if country == "US" and _LOST_ZERO.fullmatch(value) else ""

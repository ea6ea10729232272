"""What is one line stays one line.

What must never happen: the name and e-mail of the next customer in somebody's street, because a quotation mark is
missing in a file. A line break in a field of one line is the sign of it. So none is taken in, by any door: no break
of any kind, and no other control character. Nor what is not seen: a sign that turns the direction of the words
behind it, or has no width, makes one name look like another. The field classes say so, and the vault refuses a
break where a value is sealed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

#: Controls of ASCII and Latin 1 (line feed, tab, form feed, next line …), and Unicode's separators of lines.
BREAK = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
#: Directional embeddings, overrides and isolates, and what has no width. Not U+200C and U+200D, which some scripts need
#: inside words, and not the directional marks U+200E, U+200F and U+061C, which turn nothing but themselves.
HIDDEN = re.compile("[\u200b\u2060\u202a-\u202e\u2066-\u2069\ufeff]")
MESSAGE = "This is one line: leave out line breaks, tabs and other control characters."
HIDDEN_MESSAGE = "There is a character in it that cannot be seen. Type it again instead of copying it."


def no_break(text: object) -> None:
    """Raise ValidationError when a text has a line break or another control character in it."""
    if isinstance(text, str) and BREAK.search(text):
        raise ValidationError(MESSAGE, code="one_line")


def one_line(text: object) -> None:
    """Raise ValidationError when a text has a line break, another control character or something hidden in it."""
    no_break(text)
    if isinstance(text, str) and HIDDEN.search(text):
        raise ValidationError(HIDDEN_MESSAGE, code="one_line")


def on_one_line(text: str) -> str:
    """Return a text of before, in which a break may stand, on one line: for what is copied from what is on file."""
    text = HIDDEN.sub("", text)
    return " ".join(BREAK.sub(" ", text).split()) if BREAK.search(text) else text


class LineField(models.CharField):
    """A readable column of one line."""

    default_validators = [one_line]

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs

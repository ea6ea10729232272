"""What commands write to a terminal: words, and nothing that moves its cursor, colours it or turns its lines round.

What must never happen: a line of `request_list` or `seal_requests` that wipes another one, because somebody wrote
control characters into a readable column of the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.core.management.base import OutputWrapper

#: Control characters but the end of a line and the tab; those that change the direction of writing; lines that end
#: where a terminal shows no end.
UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def safe(text: str) -> str:
    """Return the text with each unsafe character as JSON spells it: "\\u001b"."""
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class Safe(OutputWrapper):
    """The output of a command; what is written is made safe before it is styled."""

    def write(self, msg: str = "", style_func: Callable[[str], str] | None = None, ending: str | None = None) -> Any:
        """Write a line as Django does."""
        return super().write(safe(str(msg)), style_func, ending)

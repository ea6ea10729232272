"""A text as the guards read it: each character as what people see in it, each run of separators as one of them.

What must never happen: a number that a person reads and a guard does not. So what cannot be seen is left out, and the
width, script and kind of characters make no difference; where a folded character stands in the text is kept.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

# In folded text every blank is " ", every dash "-", every line break "\n", and a run of these is one of them.
SEP = r"[ \n./_-]"
SEP_IN_LINE = r"[ ./_-]"
#: Behind what stands alone on the rest of its line.
ALONE = r"(?= ?(?:\n|\Z))"
#: What may stand between a number and the word behind it that says what it is: "… is our".
LINK = r"[^\w]{0,4}+(?:(?:is|was|are|as)[^\w]{1,3}+)?(?:(?:my|our|the|his|her|their|your|its|a|an)[^\w]{1,3}+)?"
_RUN = re.compile(r"[ \n./_-]{2,}")


class Folds(dict[int, str]):
    """Characters to what the guard reads in them: the ASCII digit, a blank, "-", a line break, their NFKC form, or
    nothing for what is not seen or only stands on another character.

    A character is looked up when it is first met: there are a million of them, and texts use few.
    """

    def __missing__(self, code: int) -> str:
        character = chr(code)
        digit = unicodedata.digit(character, None)
        self[code] = (
            str(digit) if digit is not None else "".join(map(self._of, unicodedata.normalize("NFKC", character)))
        )
        return self[code]

    @staticmethod
    def _of(character: str) -> str:
        if character in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029":
            return "\n"
        match unicodedata.category(character):
            case "Zs" | "Cc":
                return " "
            case "Pd":
                return "-"
            case "Cf" | "Mn" | "Me":
                return ""
        return "-" if character == "\u2212" else "/" if character in "\u2044\u2215" else character


_FOLDS = Folds()


@dataclass(frozen=True, slots=True)
class Folded:
    """A text as the guard reads it, and where each of its characters stands in the text that was given."""

    text: str
    starts: Sequence[int] = ()  # where each character of the given text begins; empty: each is one character
    ends: list[int] = field(default_factory=list)  # where each shortened run ends in `text`
    lost: list[int] = field(default_factory=list)  # and what has been left out up to there

    def place(self, at: int) -> int:
        """Return the place in the given text of the character that stands at a place of this one."""
        runs = bisect_right(self.ends, at)
        at += self.lost[runs - 1] if runs else 0
        return bisect_right(self.starts, at) - 1 if self.starts else at


def fold(text: str) -> Folded:
    """Return the text with each character folded and each run of blanks, breaks, dashes, dots, slashes and underscores
    as one: a line break if one is in it, else a blank if one is, else its first."""
    starts: Sequence[int] = ()
    if text.isascii():
        text = text.translate(_FOLDS)
    else:
        parts = list(map(_FOLDS.__getitem__, map(ord, text)))
        starts = [0, *accumulate(map(len, parts))][:-1]
        text = "".join(parts)
    kept: list[str] = []
    ends: list[int] = []
    lost: list[int] = []
    end = gone = 0
    for run in _RUN.finditer(text):
        signs = run.group()
        kept += [text[end : run.start()], "\n" if "\n" in signs else " " if " " in signs else signs[0]]
        end = run.end()
        gone += len(signs) - 1
        ends.append(end - gone)
        lost.append(gone)
    return Folded("".join([*kept, text[end:]]) if ends else text, starts, ends, lost)

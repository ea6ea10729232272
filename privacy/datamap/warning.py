"""What a person should know before an erasure, said once of all records of which it is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.text import get_text_list
from django.utils.translation import gettext as _


@dataclass(frozen=True, slots=True)
class Warned:
    """A sentence to show before an erasure; where it tells of several records by their count, what they are called.

    A page folds the names (templates/privacy/_warnings.html); as text, in letters, files and commands, they follow.
    """

    sentence: str
    about: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.about:
            return self.sentence
        return _("%(sentence)s These are %(names)s.") % {
            "sentence": self.sentence,
            "names": get_text_list(list(self.about), _("and")),
        }


def warned(names: Sequence[str], one: str, several: str) -> list[Warned]:
    """Return what to say of records of which the same is true: nothing of none, `one` with the name of a single one,
    and of several `several` with their count, once."""
    if not names:
        return []
    if len(names) == 1:
        return [Warned(one.format(names[0]))]
    return [Warned(several.format(len(names)), tuple(names))]

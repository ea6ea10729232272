"""A group of a record's fields as its page draws it: a reason that several fields share is said once.

Nothing here decides what is covered or locked: `MaskingForm` did. Each field keeps its reason for who hears the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.contrib.admin.helpers import Fieldline, Fieldset


@dataclass(frozen=True, slots=True)
class Part:
    """Some lines of a group, for the admin's own template; `said` is the reason that all of them share, or "".

    `is_folded` where nothing can be read in them: then `titles` says which fields they are.
    """

    name: str | None
    lines: Sequence[Fieldline]
    said: str = ""
    titles: str = ""
    description: str | None = None
    classes: str = ""
    is_collapsible: bool = False

    def __iter__(self) -> Iterator[Fieldline]:
        return iter(self.lines)

    @property
    def is_folded(self) -> bool:
        """Whether its fields stand under a fold."""
        return bool(self.titles)


def parts(fieldset: Fieldset) -> list[Part]:
    """Return a group of fields in parts: first those that can be read or typed, then, under a fold, the covered and
    erased ones by their reason. One alone stays where it is."""
    covered = getattr(fieldset.form, "covered", {})
    lines = list(fieldset)
    by_reason: dict[str, list[Fieldline]] = {}
    for line in lines:
        reasons = {covered.get(name, "") for name in line.fields}
        if len(reasons) == 1 and (reason := reasons.pop()):
            by_reason.setdefault(reason, []).append(line)
    folded = {reason: some for reason, some in by_reason.items() if len(some) > 1}
    under = [line for some in folded.values() for line in some]
    shown = [line for line in lines if line not in under]
    name: str | None = fieldset.name  # type: ignore[attr-defined]  # django-stubs do not know it
    whole = Part(name, shown, _locked(fieldset, shown), "", fieldset.description, fieldset.classes)
    return [whole, *(Part(None, some, reason, _titles(some)) for reason, some in folded.items())]


def _locked(fieldset: Fieldset, lines: Sequence[Fieldline]) -> str:
    """Return the reason for which none of the fields that could be typed in is to be changed, if it is one for all."""
    fields = fieldset.form.fields
    typed = [fields[name] for line in lines if line.has_visible_field for name in line.fields if name in fields]
    reasons = {field.help_text if field.disabled else "" for field in typed}
    return str(reasons.pop()) if len(typed) > 1 and len(reasons) == 1 else ""


def _titles(lines: Sequence[Fieldline]) -> str:
    return ", ".join(str(line.form[name].label) for line in lines for name in line.fields)

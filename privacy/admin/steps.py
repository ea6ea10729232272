"""What can be done with a record now: a page each, with what has to be filled in first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms


def to_choose(choices: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return the choices of a question without one that is chosen before anybody has answered it."""
    return [("", "Choose"), *choices]


@dataclass(frozen=True, slots=True)
class Group:
    """Questions of a step that belong together: what they are about, when they are to be answered, and their names."""

    title: str
    help: str
    names: tuple[str, ...]


class Step(forms.Form):
    """What can be done with a record now: a name, a sentence about it, and what has to be filled in first."""

    title: ClassVar[str] = ""
    help: ClassVar[str] = ""
    is_destructive: ClassVar[bool] = False
    is_offered: ClassVar[bool] = True  # else no button leads to it: it answers who had its form open before
    template: ClassVar[str] = "admin/step.html"
    groups: tuple[Group, ...] = ()  # a step of many questions; what is in none of them comes first
    http_method: str = "post"  # "get" of a page that only asks which questions are to come

    def __init__(self, *args: Any, record: Any = None, chosen: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.record = record
        self.chosen = chosen or {}  # what the page before asked, in the address: never a datum of anybody
        self.prepare()

    def prepare(self) -> None:
        """Fill in choices and first values that depend on the record."""

    def grouped(self) -> list[tuple[Group | None, list[forms.BoundField]]]:
        """Return the questions as the page shows them: those of no group, then group by group."""
        named = {name for group in self.groups for name in group.names}
        first = [field for field in self.visible_fields() if field.name not in named]
        groups = [(group, [self[name] for name in group.names]) for group in self.groups]
        return [(None, first), *groups] if first else [*groups]

    def asks_again(self) -> bool:
        """Whether what was filled in is shown once more, with what would come of it, before it is done."""
        return False

    def button(self) -> str:
        """Return what the button says: what pressing it does now."""
        return self.title

    def context(self) -> dict[str, Any]:
        """Return what the step's own template shows besides the form."""
        return {}


class Decision(Step):
    """A step that decides about what has come until now: the form says what it showed, the service
    holds that against what is there.

    Who answers a form that showed something else, or that does not say what it showed, reads it anew; nothing was
    decided.
    """

    template = "admin/step_decision.html"
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    #: Returns the fingerprint of what the page shows; each decision has its own.
    shown: Callable[[], str]

    def lines(self) -> list[str]:
        """Return what the page shows of it, each a line."""
        return []

    def context(self) -> dict[str, Any]:
        shown = self.shown()  # first: what comes between the two is shown, and not counted as seen
        return {"shown": shown, "lines": self.lines()}


def date_input() -> forms.DateInput:
    """Return the browser's own day picker."""
    return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")

"""What one entry of the table of rights says (`procedures.py`): the types, without any right.

A step, and a right as a whole, is data. The functions that steps name are found when they are run, because they use
everything that this package has, and everything in it asks the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from django.utils.module_loading import import_string

from privacy.gate.purposes import ProgramPurpose
from privacy.requests.states import Proof, State

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

    Text = str | _StrPromise

STEPS, CLOSING = "privacy.requests.steps", "privacy.requests.closing"  # where the functions of steps are
ANY_PROOF = frozenset(one for one in Proof if one != Proof.PENDING)


class NotInOrder(ValueError):
    """An entry whose steps cannot be taken in their order. The text names the right and the step."""


class Door(StrEnum):
    """Where a right is asked for."""

    PORTAL = "portal"  # signed in, with the password or a sign-in code entered again
    WITHOUT_LOGIN = "without_login"  # by e-mail address, proved by a link
    STAFF = "staff"  # written down by staff, on their page or by command


ALL_DOORS = frozenset(Door)


class Does(StrEnum):
    """What the plan of a right says of each record."""

    GIVE = "give"  # it is given in a copy
    ERASE = "erase"  # it is erased, or kept by what the schedule says
    NOTHING = "nothing"  # the right is about no records: its plan names none


#: What no right may leave out that does this, in this order: without it a copy is announced that is not there, or what
#: was removed comes back with the next file or backup.
DUTIES = {
    Does.GIVE: ("build_copy",),
    Does.ERASE: ("block_tokens", "erase", "unlink", "tombstone"),
    Does.NOTHING: (),
}


@dataclass(frozen=True, slots=True)
class Delay:
    """What the program itself says on the due day where the law gives longer: the truth, also where it is our own
    delay."""

    because: Text  # goes on after "We need longer for it, because"
    words: Text  # what that means for the person


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a right.

    `name` stands in the database and is never renamed. `do` is the dotted path of its function, (request, now) ->
    steps.Result. `words` say to the person that it is done, `reaches` the state that the request has then. One that
    `waits` does nothing but wait for the person, for what `waits` says, and has a `delay` to tell on the due day; the
    rest of a person is not touched for single records (`of_a_person`). `checkpoints` are the places at which a test
    stops a worker; without any it is the step's own name.
    """

    name: str
    do: str
    reaches: State
    words: Text = ""
    waits: Text = ""
    delay: Delay | None = None
    of_a_person: bool = False
    checkpoints: tuple[str, ...] = ()

    @property
    def stops(self) -> tuple[str, ...]:
        """The names of the places in it at which a test stops a worker; none where it only waits."""
        return () if self.waits else (self.checkpoints or (self.name,))

    def function(self) -> Callable[..., Any]:
        """Return the function that does it. Raises ImportError, which `manage.py check` finds first."""
        found: Callable[..., Any] = import_string(self.do)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a right is called, for the person and for staff. A sentence ends with its full stop, anything else does
    not."""

    title: Text  # in lists, on staff's pages and to an operator, so it is nobody's: "copy of the data"
    choice: Text  # the person chooses it without a login
    button: Text  # the person asks for it under "Your requests"
    short: Text  # the same in two or three words, beside what we hold
    tile: Text  # one sentence about it on the privacy page
    heading: Text  # the heading of its page
    heading_of_records: Text  # the same for single records
    asked: Text  # goes on after "You ask us" in a letter
    asked_of_records: Text
    asked_by_stranger: Text  # the same where it is not known who asks
    nothing_done: Text  # said of one that ended without having been carried out
    nothing_before: Text  # the beginning of what does not happen before something else: "Nothing is removed"
    nothing_for_it: Text  # said before it is taken back
    result_also: Text = ""  # goes on after "Here you find how your request stands"
    plan_ready: Text = ""  # said when the plan waits to be confirmed
    plan_ready_of_records: Text = ""
    waits_for_it: Text = ""  # said by a command of another right that waits for this one


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """The kinds of letters of a right, by occasion: each has templates of its name in templates/privacy/email/."""

    answer: str
    answer_by_post: str = ""  # with which a copy is posted
    plan_ready: str = ""
    plan_changed: str = ""
    plan_confirmed: str = ""  # somebody else has confirmed it for the person
    receipt_part: str = ""  # a part of the acknowledgement that is this right's own
    #: What each of them is called at the desk, by its kind.
    titles: Mapping[str, Text] = field(default_factory=dict, hash=False)

    @property
    def plans(self) -> tuple[str, ...]:
        """The letters that tell a plan."""
        return tuple(one for one in (self.plan_ready, self.plan_changed) if one)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of all its letters."""
        return tuple(one for one in (self.answer, self.answer_by_post, *self.plans, self.plan_confirmed) if one)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """The templates of a right's own pages and parts of pages."""

    new: str  # explains it to who is signed in, and asks for it
    confirm: str = ""  # shows the plan to be confirmed
    confirmed: str = ""  # said at once after that
    under_way: str = "privacy/_under_way.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """What one right needs from asking to answer (design 11)."""

    kind: str  # stands in the database and is never renamed
    words: Words
    steps: tuple[Step, ...]
    letters: Letters
    pages: Pages
    at_gate: ProgramPurpose  # what the program that carries it out works for, and may open
    does: Does
    doors: frozenset[Door] = ALL_DOORS
    proofs: frozenset[Proof] = ANY_PROOF  # what shows who is asking
    laws: frozenset[str] | None = None  # the laws of regimes.toml whose clock it has; None: whichever covers the person
    is_confirmed: bool = False  # the person sees the plan and confirms it; else it is carried out as planned
    is_final: bool = (
        False  # it cannot be brought back: others have time to object, and one written down late needs two people
    )
    tells_others: bool = True  # every other e-mail of the person is told, where a proof was not the login
    tells_recipients: bool = False  # the answer names who else has the data (Art. 19)
    may_be_excessive: bool = True  # it may be refused as manifestly unfounded or excessive (Art. 12(5))
    waits_for: tuple[str, ...] = field(default=())  # an open request of these rights is answered first
    is_known: bool = True

    def __post_init__(self) -> None:
        order = [one.name for one in self.steps if not one.waits]
        if self.is_known and order[:1] != ["plan"]:
            raise NotInOrder(f"{self.kind}: its first step that does something makes the plan.")
        if self.is_known and self.steps[-1].reaches != State.CLOSED:
            raise NotInOrder(f"{self.kind}: its last step closes the request.")
        if self.is_known:
            self._require_duties()
        if len({one.name for one in self.steps}) < len(self.steps):
            raise NotInOrder(f"{self.kind}: two steps have one name.")
        if any(one.waits and one.delay is None for one in self.steps):
            raise NotInOrder(f"{self.kind}: a step that waits says what a person is told when it waits too long.")
        if self.is_confirmed and not (self.pages.confirm and self.letters.plan_ready and self.letters.plan_changed):
            raise NotInOrder(f"{self.kind}: what the person confirms has a page and letters that show the plan.")

    def _require_duties(self) -> None:
        wanted = (*(f"{STEPS}.{name}" for name in DUTIES[self.does]), f"{CLOSING}.letter", f"{CLOSING}.close")
        found = tuple(one.do for one in self.steps if one.do in wanted)
        if found != wanted or self.steps[-1].do != wanted[-1]:
            raise NotInOrder(f"{self.kind}: it has these steps, in this order, the last one last: {', '.join(wanted)}.")
        if self.removes and not self.tells_recipients:
            raise NotInOrder(f"{self.kind}: who else has data that end is told (Art. 19).")
        if bool(self.letters.answer_by_post) is not self.gives:
            raise NotInOrder(f"{self.kind}: a letter goes with a copy that is posted, and with nothing else.")

    @property
    def purpose(self) -> str:
        """The code of what the program that carries it out works for."""
        return self.at_gate.code

    @property
    def gives(self) -> bool:
        """Whether a copy comes of it."""
        return self.does == Does.GIVE

    @property
    def removes(self) -> bool:
        """Whether data end by it, with what its letters say."""
        return self.does == Does.ERASE

    def named(self, step: str) -> Step | None:
        """Return the step of this name, None when the right has none."""
        return next((one for one in self.steps if one.name == step), None)

    def order(self, *, of_a_person: bool = True) -> tuple[str, ...]:
        """Return the names of the steps that do something, in order; without those that concern a whole person, if
        wanted."""
        return tuple(one.name for one in self.steps if not one.waits and (of_a_person or not one.of_a_person))

    def ahead(self, step: str, *, of_a_person: bool = True) -> tuple[str, ...]:
        """Return the names of the steps that do something from `step` on, which may be one that waits for the person;
        none where the right has no such step."""
        names = [one.name for one in self.steps]
        if step not in names:
            return ()
        later = names[names.index(step) :]
        return tuple(name for name in self.order(of_a_person=of_a_person) if name in later)

    @property
    def is_in_portal(self) -> bool:
        """Whether who is signed in can ask for it."""
        return Door.PORTAL in self.doors

    @property
    def is_for_staff_only(self) -> bool:
        """Whether a person can ask for it on no page."""
        return self.doors <= {Door.STAFF}

    def is_at(self, door: Door | str) -> bool:
        """Say whether it can be asked for there."""
        return Door(door) in self.doors

"""The rights: what a person may ask for, one entry each, and all that the product knows of it (design 11).

What must never happen: a request that is carried out as something else than what was asked. So nothing outside this
module names a kind of request: code and templates ask `request.procedure`, and one whose kind has no entry here is
carried out by nothing, waits for a person, and says so on the desk. A right is added by one entry, its step's function
and its templates (docs/how-to-add.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from privacy.gate.purposes import ProgramPurpose
from privacy.requests.procedure import (
    CLOSING,
    STEPS,
    Delay,
    Does,
    Door,
    Letters,
    Pages,
    Procedure,
    Step,
    Words,
)
from privacy.requests.states import State

if TYPE_CHECKING:
    from privacy.requests.procedure import Text


class UnknownKind(LookupError):
    """The table has no such right. The text names the kind."""


# Steps that every right has -------------------------------------------------------------------------------------------

IDENTITY = Step(
    "identity",
    f"{STEPS}.identity_step",
    State.IDENTITY,
    waits=_("proof of identity"),
    delay=Delay(
        _("we do not know yet who is asking, and asked you less than two weeks ago"),
        _(
            "Until then you can still show that it is you who is asking: ask for a new link where you asked, sign in, or call us."
        ),
    ),
)
PLAN = Step("plan", f"{STEPS}.plan_step", State.PLANNED, words=_("Plan made"))
CONFIRM = Step(
    "confirm",
    f"{STEPS}.identity_step",
    State.CONFIRMED,
    waits=_("confirmation by the person"),
    delay=Delay(
        _("the plan for your request has lain before you for less than two weeks"),
        _(
            "Until then you can still look at it and confirm it: sign in, ask for a new link where you asked, or call us. Nothing "
            "happens before."
        ),
    ),
)
LETTER = Step("letter", f"{CLOSING}.letter", State.EXECUTED, words=_("Answer written"))
CLOSE = Step("close", f"{CLOSING}.close", State.CLOSED, words=_("Answer sent"))


def _step(
    name: str,
    words: Text,
    *,
    reaches: State = State.EXECUTING,
    of_a_person: bool = False,
    checkpoints: tuple[str, ...] = (),
) -> Step:
    """Return a step whose function in `steps` has its name; those above, which every right has, name theirs."""
    return Step(name, f"{STEPS}.{name}", reaches, words=words, of_a_person=of_a_person, checkpoints=checkpoints)


#: What the program opens whichever right it carries out: who asked, and where the answer goes.
READS_REQUEST = "*/request_file:r"
#: Of a right whose steps open no record of the person: its program reads the request and no more.
ONLY_PLANS = ProgramPurpose("plan")

# The rights -----------------------------------------------------------------------------------------------------------

_COPY = Procedure(
    kind="access",  # Art. 15
    words=Words(
        title=_("copy of the data"),
        choice=_("A copy of the data that you hold about me"),
        button=_("Take a copy of my data"),
        short=_("Take a copy"),
        tile=_("One file with a page to read and tables that other programs can read."),
        heading=_("Copy of your data"),
        heading_of_records=_("Copy of the records with your address"),
        asked=_("for a copy of the data we hold about you"),
        asked_of_records=_("for a copy of the records that carry this e-mail address"),
        asked_by_stranger=_("for a copy of personal data"),
        nothing_done=_("Nothing was given because of this request."),
        nothing_before=_("Nothing is given"),
        nothing_for_it=_("No copy is made for it."),
        result_also=_(", and your copy when it is ready"),
        waits_for_it=_("It waits for the person's open request for a copy, then it is carried out by itself."),
    ),
    steps=(
        IDENTITY,
        PLAN,
        _step("build_copy", _("Copy made"), reaches=State.EXECUTED),
        LETTER,
        CLOSE,
    ),
    letters=Letters(
        answer="copy_ready",
        answer_by_post="copy_posted",
        titles={"copy_ready": _("Copy is ready"), "copy_posted": _("Copy by post, on paper or on a USB stick")},
    ),
    pages=Pages(new="privacy/new_access.html", under_way="privacy/_under_way_access.html"),
    at_gate=ProgramPurpose("export", _("to make the copy that you asked for"), ("*/*:r",)),
    does=Does.GIVE,
)

_REMOVAL = Procedure(
    kind="erasure",  # Art. 17
    words=Words(
        title=_("removal of the data"),
        choice=_("Removal of my data; you show me first what would happen"),
        button=_("Have my data removed"),
        short=_("Have it removed"),
        tile=_(
            "You see first, record by record, what goes and what has to stay, by which law and until when. You decide after that."
        ),
        heading=_("Removal of your data"),
        heading_of_records=_("Removal of the records with your address"),
        asked=_("to remove the data we hold about you"),
        asked_of_records=_("to remove the records that carry this e-mail address"),
        asked_by_stranger=_("to remove personal data"),
        nothing_done=_("Nothing was removed because of this request."),
        nothing_before=_("Nothing is removed"),
        nothing_for_it=_("Nothing is removed for it."),
        plan_ready=_(
            "The plan for the removal of your data is ready: what will be removed, what must be kept, why and until when. "
            "Nothing happens before you confirm it."
        ),
        plan_ready_of_records=_(
            "The plan for the removal of the records with this address is ready: what will be removed, what must be kept, why "
            "and until when. Nothing happens before you confirm it."
        ),
    ),
    steps=(
        IDENTITY,
        PLAN,
        CONFIRM,
        _step("wait_for_access", _("Copies that were asked for are finished first")),
        # They end sessions, letters and copies of a person, and keep a name from coming back:
        # never done for single records.
        _step("sign_out", _("All sessions ended"), of_a_person=True),
        _step("stop_mail", _("Letters not yet sent stopped"), of_a_person=True),
        _step("block_tokens", _("Fingerprints left, so that old files bring nothing back"), of_a_person=True),
        _step("erase", _("Keys destroyed and data removed"), checkpoints=("erase", "between_commits")),
        _step("exports_destroyed", _("Copies whose week is over destroyed")),
        _step("unlink", _("Last links removed")),
        _step("tombstone", _("Proof of the removal written, without personal data"), reaches=State.EXECUTED),
        LETTER,
        CLOSE,
    ),
    letters=Letters(
        answer="erasure_done",
        plan_ready="plan_ready",
        plan_changed="plan_changed",
        plan_confirmed="plan_confirmed",
        receipt_part="privacy/email/_acknowledgement_erasure.html",
        titles={
            "erasure_done": _("Answer: what went and what stays"),
            "plan_ready": _("Plan of the removal, by post"),
            "plan_changed": _("Plan has changed"),
            "plan_confirmed": _("Plan confirmed for the person"),
        },
    ),
    pages=Pages(
        new="privacy/new_erasure.html",
        confirm="privacy/confirm.html",
        confirmed="privacy/confirmed.html",
        under_way="privacy/_under_way_erasure.html",
    ),
    at_gate=ProgramPurpose("erasure", _("to remove data on your request"), ("*/*:rw",)),
    does=Does.ERASE,
    is_confirmed=True,
    is_final=True,
    tells_recipients=True,
    waits_for=("access",),
)

#: Every right, by the kind that stands in the database, in the order in which people are offered them.
TABLE: dict[str, Procedure] = {one.kind: one for one in (_COPY, _REMOVAL)}


# Asking the table -----------------------------------------------------------------------------------------------------


def get(kind: str) -> Procedure:
    """Return the entry of a right. Raises UnknownKind."""
    try:
        return TABLE[kind]
    except KeyError:
        raise UnknownKind(f"There is no kind of request {kind!r} here.") from None


def of(kind: str) -> Procedure:
    """Return the entry of a right, for pages and lists; of a kind without one an entry by which nothing is done."""
    return TABLE.get(kind) or _unknown(kind)


def rights(door: Door | str | None = None) -> list[Procedure]:
    """Return the rights that can be asked for at this door, of all doors without one, in the order of the table."""
    return [one for one in TABLE.values() if door is None or one.is_at(door)]


def kinds(which: Callable[[Procedure], bool]) -> list[str]:
    """Return the kinds of the rights of which `which` is true: for queries."""
    return [kind for kind, one in TABLE.items() if which(one)]


def removing() -> list[str]:
    """Return the kinds by which data end."""
    return kinds(lambda one: one.removes)


def choices() -> list[tuple[str, str]]:
    """Return kinds and titles: the choices of the model, which a new right changes without a migration."""
    return [(kind, str(one.words.title)) for kind, one in TABLE.items()]


def choices_at(door: Door) -> Callable[[], list[tuple[str, Text]]]:
    """Return what gives the choices of a form at this door when it is drawn."""
    return lambda: [
        (one.kind, one.words.choice if door is Door.WITHOUT_LOGIN else one.words.title) for one in rights(door)
    ]


def waiting_steps() -> frozenset[str]:
    """Return the names of the steps that only wait for the person."""
    return frozenset(one.name for right in _every() for one in right.steps if one.waits)


def purposes() -> list[ProgramPurpose]:
    """Return what the program works for when it carries out a right, for the gate: each reads the request's own file,
    too."""
    return [replace(one.at_gate, opens=(*one.at_gate.opens, READS_REQUEST)) for one in TABLE.values()]


def letter_titles() -> dict[str, str]:
    """Return what the letters of all rights are called at the desk, by their kinds."""
    return {kind: str(title) for one in TABLE.values() for kind, title in one.letters.titles.items()}


def checkpoints() -> tuple[str, ...]:
    """Return the places at which a test may stop a worker, in the order of the steps, each once."""
    return tuple(dict.fromkeys(name for right in TABLE.values() for one in right.steps for name in one.stops))


def _every() -> tuple[Procedure, ...]:
    return (*TABLE.values(), _unknown(""))


def _unknown(kind: str) -> Procedure:
    """Return what stands in for a kind without an entry: of a newer version, or written into the table by somebody."""
    title = _("something that this version of the site does not know")
    asked = _("for something that this version of our site does not know")
    return Procedure(
        kind=kind,
        words=Words(
            title=title, choice=title, button=title, short=title, tile=title,
            heading=_("A request that this version of the site does not know"),
            heading_of_records=_("A request that this version of the site does not know"),
            asked=asked, asked_of_records=asked, asked_by_stranger=asked,
            nothing_done=_("Nothing was done because of this request."),
            nothing_before=_("Nothing is done"),
            nothing_for_it=_("Nothing is done for it."),
        ),
        steps=(IDENTITY, CONFIRM),
        letters=Letters(answer=""),
        pages=Pages(new=""),
        at_gate=ONLY_PLANS,
        does=Does.NOTHING,
        doors=frozenset(),
        is_known=False,
    )  # fmt: skip

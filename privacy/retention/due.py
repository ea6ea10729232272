"""What is said of data whose time is over: one place for the words, true whether or not the nightly
removal is switched on here.

What must never happen: a page or a letter that promises what nobody has switched on (design 12, to 4). So
rules, plans and sentences that are stored say only that something "is due to go"; who carries that out, and
when, is said here, as it is now.
"""

from __future__ import annotations

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from privacy.retention.verdict import Verdict

ARMED = "What is due to go is removed by night, as a rule in the night that follows; you need not ask again."
UNARMED = (
    "The nightly removal of what is due to go is not switched on here yet: what is due waits for it. Until then you can ask us to "
    "remove it."
)

#: Of what a person asked us to remove: a day that we told ends nothing that is open.
OPEN_ARMED = (
    "If something is still open on the day given, it stays until that is finished: we write to you then, and say why."
)
OPEN_UNARMED = "What is still open on the day given stays until it is finished."


#: The flag of an open request, whose file is kept as proof: nobody has made a claim by asking.
REQUEST = "open_request"


def still_open(*, is_armed: bool) -> str:
    """Return what happens to what is open on the day that was told, in a sentence for a person who asked for a
    removal."""
    return OPEN_ARMED if is_armed else OPEN_UNARMED


def carried_out(*, is_armed: bool) -> str:
    """Return what happens to what is due to go, in a sentence for the person; `is_armed` is `arming.is_armed()`."""
    return ARMED if is_armed else UNARMED


def becomes(one: Verdict, *, is_armed: bool | None) -> str:
    """Return what becomes of data on a page or in a copy: "Kept until 3 March 2026", or that they are due to go.

    `is_armed` is None where the sentence is stored, as in a copy: whether the removal is switched on may change.
    What another reason keeps once a matter is finished has no day yet: its period begins with what is still to happen.
    """
    if one.is_erased and is_armed is None:
        return _("Due to go")
    if one.is_erased:
        return (
            _("Goes with one of the next nightly runs")
            if is_armed
            else _("Due to go; the nightly removal is not switched on here yet")
        )
    if one.code == "KEEP_CLAIMS" and REQUEST not in one.waits_for and (one.last_day is None or one.waits_for):
        return _("Kept until the legal claim is settled")
    if one.last_day is None:
        return (
            _("Kept while something is open, and for a set time after that")
            if one.waits_for
            else _("Kept until the reason has ended")
        )
    day = date_format(one.last_day, "j F Y")
    if one.goes_when_finished:
        return _("Kept until %(day)s, or earlier once what is open is finished") % {"day": day}
    return _("Kept until %(day)s") % {"day": day}

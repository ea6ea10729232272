"""What the upper apps tell about people: what an address opens, where answers may go, how to end their sessions.

`privacy` imports no other app; accounts registers these functions in its `AppConfig.ready` (or `personal_data.py`):

    from privacy.people import People, register

    register(People(reach=..., named=..., ...))

and whoever needs one asks for it: `people.ask().postal(subject, now)`.

Each takes and returns plain values; one that opens an envelope does so under the actor of its caller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from uuid import UUID


class Reach(Protocol):
    """What an address opens now (design 9): `whole` the subjects of whom it opens the whole file;
    `by_staff_entry` those of them with whom it stands only by an entry of staff; `is_shared` whether it is an
    address of several and identifies nobody.
    """

    @property
    def whole(self) -> tuple[UUID, ...]: ...
    @property
    def by_staff_entry(self) -> frozenset[UUID]: ...
    @property
    def is_shared(self) -> bool: ...


Records = list[tuple[str, UUID]]


@dataclass(frozen=True)
class People:
    """The functions one upper app offers. Staff are told as "kind/id". What is looked up by an address or a number is
    opened by the program to see that it carries it, and shown to nobody."""

    # What an address opens

    #: (email, now): what this address opens now.
    reach: Callable[[str, datetime], Reach]
    #: (email): the records, (label, id), that carry exactly this address outside login and contact, and that it alone
    #: opens: none as soon as one of them points to a second person, but by a name changed after it was written.
    named: Callable[[str], Records]
    #: (email, records, also): those of `records` that carry it as they did and are nobody else's, and those of `also`,
    #: on which it was changed and a second person let it count.
    still: Callable[[str, Records, Records], Records]
    #: (email, records): what carries it beside `records`: what names the same person or nobody, and what points to
    #: another one.
    later: Callable[[str, Records], tuple[Records, Records]]
    #: (records): which members of staff wrote one of them or changed something on it.
    written_by: Callable[[Records], set[str]]
    #: (email, name): whether anything on file carries this address, or a customer or company this name.
    is_known: Callable[[str, str], bool]
    #: (email): the subjects on whose login, contact or record this address stands, counting or not: enough to keep
    #: somebody from deciding about it, and proof of nothing.
    carriers: Callable[[str], set[UUID]]
    #: (records): whether a person's name was changed on one of them after it was written.
    renamed: Callable[[Records], bool]
    #: (records): which members of staff did that.
    renamed_by: Callable[[Records], set[str]]

    # How a person is reached

    #: (subject, email, now): this address as it stands on file, "" when it does not open the subject's whole file.
    on_file: Callable[[UUID, str, datetime], str]
    #: (subject, now): where copies, links, codes and answers may go, "" when there is none.
    answer_address: Callable[[UUID, datetime], str]
    #: (subject, but): every other e-mail of login and contact, to be told without content.
    others: Callable[[UUID, str], list[str]]
    #: (subject, now): the lines of a postal address that counts, [] when there is none.
    postal: Callable[[UUID, datetime], list[str]]
    #: (subject, now): whether a phone number of the person counts; opens nothing.
    can_call: Callable[[UUID, datetime], bool]
    #: (subject, number, now): whether this is a phone number of the person that counts.
    called: Callable[[UUID, str, datetime], bool]
    #: (subject): where to write about orders and accounts, "" when there is none.
    address: Callable[[UUID], str]
    #: (subject): how to greet the person, "" when unknown.
    name: Callable[[UUID], str]
    #: (state or region, country): the name of a state or province that is given by its code; any other region as it is.
    region: Callable[[str, str], str]

    # What speaks against a proof

    #: (subject): whether somebody said of a contact of the person that it was not them, and nobody has settled it.
    is_disputed: Callable[[UUID], bool]
    #: (subject): the same of a change of the login's address: then the login alone proves nothing either.
    is_login_disputed: Callable[[UUID], bool]
    #: (subject, now): whose idea ("" the person's own) the joinings of the person were that have still to prove
    #: themselves: of whole people by staff in the last 14 days, and those that somebody objects to.
    joined_by: Callable[[UUID, datetime], list[str]]
    #: (subject): which members of staff entered, changed or settled a contact of the person, or posted the notice about
    #: one: they vouch for nothing that an address proves.
    had_contacts: Callable[[UUID], set[str]]
    #: (): the numbers of those who are of the privacy team now.
    team: Callable[[], set[str]]

    # Login and account

    #: (subject): end every session and login of the subject, and return how many ended; safe to repeat.
    sign_out: Callable[[UUID], int]
    #: (subject): whether the person can log in to read an answer in the portal.
    has_login: Callable[[UUID], bool]
    #: (subject, today): what the person is told of records that carry one of their addresses without being joined to
    #: them: (kind in words, how many); opens none of them.
    candidates: Callable[[UUID, date], list[tuple[str, int]]]
    #: (subject): what became of the person's last question about them, one sentence ("" when none was asked), and
    #: whether it may be asked now.
    look: Callable[[UUID], tuple[str, bool]]
    #: (subject, day): start the retention clock of the person's account again on that day; return how many it has.
    keep: Callable[[UUID, date], int]


_people: People


def register(registered: People) -> None:
    """Register the functions of the app that knows people; the last one to register is asked."""
    global _people
    _people = registered


def ask() -> People:
    """Return the registered functions."""
    return _people

"""What the upper apps tell requests about people: who has an address, what it is, how to end their sessions.

`privacy` imports no other app; accounts registers these functions in its `AppConfig.ready` (or `personal_data.py`):

    from privacy.requests import hooks

    hooks.register(hooks.People(find=..., address=..., name=..., sign_out=..., …))

Each takes and returns plain values; a hook that opens an envelope does so under the actor of its caller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID


@dataclass(frozen=True)
class People:
    """The functions one upper app offers.

    find(email) returns the subjects whose verified or on-file address it exactly is (blind index, opens nothing);
    address(subject) the address on file, "" when there is none; name(subject) how to greet the person, "" when unknown;
    sign_out(subject, now) ends every session and login of the subject, returns how many ended, safe to repeat;
    has_login(subject) whether the person can log in to read an answer in the portal;
    candidates(subject, today) what the person is told of records that carry one of their addresses without being joined to
    them: (kind in words, how many), opens none of them;
    records_with(email) the (label, id, subject) of every record that carries exactly this address outside login and
    contact data, whoever's it is; opens nothing.
    """

    find: Callable[[str], list[UUID]]
    address: Callable[[UUID], str]
    name: Callable[[UUID], str]
    sign_out: Callable[[UUID, datetime], int]
    has_login: Callable[[UUID], bool]
    candidates: Callable[[UUID, date], list[tuple[str, int]]]
    records_with: Callable[[str], list[tuple[str, UUID, UUID | None]]]


_people: People | None = None


class NotRegistered(RuntimeError):
    """No app told who people are: an installation without accounts cannot answer requests."""


def register(registered: People) -> None:
    """Register the functions of the app that knows people; the last one to register is asked."""
    global _people
    _people = registered


def people() -> People:
    """Return the registered functions. Raises NotRegistered."""
    if _people is None:
        raise NotRegistered("No app has registered who people are (privacy.requests.hooks.register).")
    return _people

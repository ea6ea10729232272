"""What the upper apps tell requests about people: who has an address, what it is, how to end their sessions.

`privacy` imports no other app; accounts registers these functions in its `AppConfig.ready` (or `personal_data.py`):

    from privacy.requests import hooks

    hooks.register(find=..., address=..., name=..., sign_out=...)

Each takes and returns plain values; a hook that opens an envelope does so under the actor of its caller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class People:
    """The functions one upper app offers.

    find(email) returns the subjects whose verified or on-file address it exactly is (blind index, opens nothing);
    address(subject) the address on file, "" when there is none; name(subject) how to greet the person, "" when unknown;
    sign_out(subject, now) ends every session and login of the subject, returns how many ended, safe to repeat;
    has_login(subject) whether the person can log in to read an answer in the portal.
    """

    find: Callable[[str], list[UUID]]
    address: Callable[[UUID], str]
    name: Callable[[UUID], str]
    sign_out: Callable[[UUID, datetime], int]
    has_login: Callable[[UUID], bool]


_people: People | None = None


class NotRegistered(RuntimeError):
    """No app told who people are: an installation without accounts cannot answer requests."""


def register(
    *,
    find: Callable[[str], list[UUID]],
    address: Callable[[UUID], str],
    name: Callable[[UUID], str],
    sign_out: Callable[[UUID, datetime], int],
    has_login: Callable[[UUID], bool],
) -> None:
    """Register the functions of the app that knows people; the last one to register is asked."""
    global _people
    _people = People(find=find, address=address, name=name, sign_out=sign_out, has_login=has_login)


def people() -> People:
    """Return the registered functions. Raises NotRegistered."""
    if _people is None:
        raise NotRegistered("No app has registered who people are (privacy.requests.hooks.register).")
    return _people

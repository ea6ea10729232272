"""Nothing is held: what a stranger known under no name is told (Art. 15(1), "whether or not"; Art. 12(3)).

What must never happen: "nothing held" while anything on file carries the address or the name that was given, whoever's
it is; a letter that the program writes by itself and that differs by whether a name is on file; a profile made of who
asks. Control of an address that stands nowhere opens nothing and is a proof of nothing: all that goes to it is that it
stands nowhere. What is kept is the file of the request.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q

from privacy import audit, people, vault
from privacy.actor import Actor
from privacy.requests import doubt, history, writing
from privacy.requests.history import NotAllowed
from privacy.requests.models import Request
from privacy.requests.states import OPEN_STATES, State
from privacy.typed import mailbox

KIND = "nothing_held"


class SomethingHeld(NotAllowed):
    """Something on file carries the address or the name that was given. The text says neither."""


def may_be(request: Request) -> bool:
    """Say whether a request was matched with nobody and waits for a proof."""
    return request.state == State.RECEIVED and request.subject_id is None


def is_known(request: Request) -> bool:
    """Say whether anything on file carries the address of a request, or anybody the name in it. Shows neither to
    anybody.

    The address counts as it was typed and as mail goes to it, and so do the names in the other open requests by it.
    """
    email, name = _given(request)
    known = people.ask()
    addresses = {email, mailbox.as_sent(email)}
    return any(known.is_known(one, name) for one in addresses) or any(
        known.is_known("", other) for other in _other_names(request, addresses)
    )


def is_said_by_itself(request: Request) -> bool:
    """Say whether who reads the mailbox may be told without the privacy team: an address alone was
    given, and nothing carries it.

    A name is anybody's to give: where one was, the letters are the same whoever is on file, and a person looks.
    """
    email, name = _given(request)
    return bool(email.strip()) and not name.strip() and not is_known(request)


def answer(request: Request, *, actor: Actor, now: datetime) -> None:
    """Tell who asks that nothing is held, and close the request, in the caller's transaction.
    Raises NotAllowed, SomethingHeld."""
    if not may_be(request):
        raise NotAllowed("This request has an answer already, or was matched with somebody.")
    if is_known(request):
        raise SomethingHeld("Something on file carries this address or this name: nobody is told that nothing is held.")
    email, name = _given(request)
    if not email and not writing.has_postal(request, now=now):
        raise NotAllowed("There is no address to which this could be said.")
    history.move(request, State.CLOSED, actor=actor, now=now, detail={"answer": KIND}, then=("", None))
    request.links.filter(used_at=None).update(expires_at=now)
    writing.end_unposted(request, now=now)
    audit.record("request.nothing_held", actor=actor, now=now, reference=request.reference)
    context = {"has_email": bool(email), "has_name": bool(name), "by_post": not email}
    writing.queue(KIND, to=email, context=context, key=f"{KIND}:{request.pk}", request=request, now=now)


def _other_names(request: Request, addresses: set[str]) -> set[str]:
    """Return the names that came with other open requests by one of these addresses."""
    names = set()
    for address in filter(None, addresses):
        same = Request.objects.find("request.email", address).values_list("pk", flat=True)
        for other in doubt.these(same, Q(state__in=OPEN_STATES)).exclude(pk=request.pk):
            names.add(_given(other)[1])
    return names - {""}


def _given(request: Request) -> tuple[str, str]:
    with vault.internal():  # looked up by blind indexes, shown to nobody
        email, name = request.requester_email, request.requester_name
    if isinstance(email, vault.Unreadable) or isinstance(name, vault.Unreadable):
        raise SomethingHeld("The file of this request cannot be opened.")
    return str(email or ""), str(name or "")

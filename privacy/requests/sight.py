"""Who may see a request: its person, the privacy team, the program; and as whom somebody acts who proved it by link or
code.

What must never happen: a request shown to a stranger, or to the person named in a row that
somebody changed past the program.
"""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied

from privacy import datamap, people, vault
from privacy.actor import Actor, require_another
from privacy.requests import bound, codes, doubt, history
from privacy.requests.models import Request
from privacy.requests.states import OPEN_STATES

CODE_IN_HAND = "a code from a letter that members of our staff had in hand"
NOT_OURS = "This request does not say what the site wrote."


class NotYours(PermissionDenied):
    """The actor has nothing to do with this request."""


class Doubted(NotYours):
    """The row of this request, or its history, does not say what the site wrote: until staff have looked nothing of it
    is shown."""

    def __init__(self, request: Request) -> None:
        super().__init__(NOT_OURS)
        self.request = request


def require_sight(request: Request, actor: Actor) -> None:
    """Raise NotYours unless `actor` is the person, the privacy team, or the program.

    For the person (Doubted) only where row and history say what the site wrote: it may have been another's before, or
    somebody may have said that it was not the person.
    """
    if actor.kind == "customer" and request.owner_id is not None and actor.subject == request.owner_id:
        if not doubt.is_clear(request) or _is_of_a_login(request):
            raise Doubted(request)
        return
    if actor.kind in ("task", "operator") or (actor.kind == "staff" and "privacy" in actor.roles):
        return
    raise NotYours("This request belongs to somebody else.")


def require_hand(request: Request, actor: Actor) -> None:
    """Raise NotYours as `require_sight` does, and AboutYourself for a member of staff whose own request it is:
    they do with it what anybody does in the portal, and nothing at the desk."""
    require_sight(request, actor)
    if actor.kind == "staff":  # nobody else is asked: what carries the address need not be looked up
        require_file(request)
        require_another(actor, about=people_in(request))


def require_file(request: Request) -> None:
    """Raise NotAllowed where who asks stands in a file that was taken out of the row, or does not open: whether it is
    somebody's own request nobody can tell."""
    with vault.internal():  # shown to nobody
        email = request.requester_email
    if isinstance(email, vault.Unreadable) or (
        getattr(request, f"sealed_{bound.ENVELOPE}") is None
        and (request.pk, bound.ENVELOPE) in vault.keys.pairs_of([request.pk])
    ):
        raise history.NotAllowed(history.IN_DOUBT)


def people_in(request: Request) -> set[UUID | None]:
    """Return whose request it is: also of one that is nobody's subject any more.

    Of one about records, or that was matched with nobody, also everybody on whose row its address stands, counting or
    not, and whom a record that it covers is about: to keep somebody from deciding needs less than to prove who it is.
    """
    found = {request.owner_id, request.subject_id}
    if request.subject_id is not None and not request.is_about_records:
        return found
    with vault.internal():  # looked up by its blind index, shown to nobody
        email, covered = request.requester_email, request.covered_records
    if isinstance(email, str):
        found |= people.ask().carriers(email)
    of_kind: dict[str, list[str]] = {}
    for label, number in covered if isinstance(covered, list) else ():
        of_kind.setdefault(label, []).append(number)
    return found.union(*(datamap.people_of(label, numbers) for label, numbers in of_kind.items()))


def acting_as(request: Request, *, purpose: str = "own request", reason: str = "") -> Actor:
    """Return the actor for somebody who has just proved, by link or code, that the request is theirs.

    Raises Doubted for a request whose row or history does not say what the site wrote: whose it is nobody knows.
    """
    if not doubt.is_clear(request) or _is_of_a_login(request):
        raise Doubted(request)
    return Actor(
        kind="customer",
        id=None,
        subject=request.owner_id,
        roles=frozenset({"customer"}),
        purpose=purpose,
        reason=reason,
    )


def acting_by_code(request: Request, coded: UUID | str) -> Actor:
    """Return the actor for who proved it by the outcome code of the request `coded`; where staff had that code in hand,
    audit and access log say so of everything that is opened by it. Raises NotYours."""
    of = Request.objects.filter(pk=coded).first()
    return acting_as(request, purpose="outcome by code", reason=CODE_IN_HAND if of and codes.had_code(of) else "")


def _is_of_a_login(request: Request) -> bool:
    """Say whether an open request about records belongs to somebody with a login: the site files none, they are
    nobody's."""
    if not request.is_about_records or request.state not in OPEN_STATES or request.owner_id is None:
        return False
    return people.ask().has_login(request.owner_id)


def locked(request: Request) -> Request:
    """Return the request as it stands now, its row locked, in the caller's transaction. Whoever may see it was asked
    before (`require_sight`)."""
    return Request.objects.select_for_update(of=("self",)).get(pk=request.pk)

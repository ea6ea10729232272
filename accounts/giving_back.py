"""A login whose address somebody else changed is given back to the mailbox that it had before (design 9).

What must never happen: a login given to whoever reads an old mailbox, to whoever persuades one member of staff, or to an address
that is another login's by now; a session, a second factor or a password of whoever had it that goes on. So three things come
together: the mailbox that the change left behind has said "this was not me" by its link; the person was called back at a number that
was on file before the change, and named two facts, or read back a code that was posted to an address on file before it;
and a second person, who had neither a contact of the person nor the code in hand, confirms what one of the privacy team proposed. Everybody who had been told of the change is told of this.
A mistake is undone by the same way within 14 days: the address that loses the login is told with such a link, too.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from accounts import notices, people, reach, sessions, unconfirmed
from accounts.models import Address, ContactLink, ContactPoint, Customer, User
from privacy import audit, vault
from privacy.gate import Actor
from privacy.requests import identity, letters, proof

UNDONE_WITHIN = timedelta(days=14)
LINK_WORKS = timedelta(days=3)  # as that of a new password (PASSWORD_RESET_TIMEOUT)
Channel, Purpose = ContactPoint.Channel, ContactLink.Purpose


class CannotGiveBack(Exception):
    """The login is not given back now; the text is one sentence for who tries."""


def is_objected(point: ContactPoint) -> bool:
    """Return whether the mailbox that the change of the login's address left behind objects by its link. Opens nothing."""
    return point.disputed_at is not None and _objections(point).exists()


def check(point: ContactPoint, *, now: datetime) -> None:
    """Raise CannotGiveBack, or notices.NotProposed where nothing is disputed, when the login cannot be given back now."""
    with transaction.atomic():
        _check(_locked(point), now)


def post_code(point: ContactPoint, *, actor: Actor, now: datetime) -> None:
    """Leave a letter with a code for the person to be printed and posted, where a postal address counts that was on file before
    the change. An earlier code stops working. Raises what `propose` raises but for the call-back."""
    _permit(point, actor)
    with transaction.atomic():
        found = _locked(point)
        _check(found, now)
        place = next((one for one in _places(found) if reach.counts(one, Channel.POST, now=now)), None)
        subject = found.customer.subject_id
        if place is None or subject is None:
            raise CannotGiveBack("No postal address of the person counts that was on file before the change.")
        earlier = ContactLink.objects.filter(point=found, purpose=Purpose.CODE, used_at=None)
        earlier.update(expires_at=now)
        with vault.internal():  # sealed into the letter, shown to nobody
            lines = people.lines_to(subject, place)
        code = identity.new_code()
        link = ContactLink(point=found, purpose=Purpose.CODE, token_hash=_hashed(found, code), at=now)
        link.expires_at = now + identity.POSTED_CODE_LIVES
        link.letter = letters.queue(
            notices.LOGIN_CODE,
            to="",
            context={
                "postal": lines,
                "number": found.customer.reference,
                "expires_on": timezone.localdate(link.expires_at),
            },
            key=f"login-code:{uuid4()}",
            subject=found.customer.subject_id,
            now=now,
            credentials={"code": code},
            until=link.expires_at,
        )
        notices.bind(link)
        link.save(force_insert=True)
        audit.record(
            "contact.code_written",
            actor=actor,
            now=now,
            subject=found.customer.subject_id,
            record=notices.record_of(found),
        )


def propose(
    point: ContactPoint,
    said: proof.Callback | None,
    *,
    code: str = "",
    seen: str | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """Propose to give a login back to the mailbox that objects, after a call-back or by the code of `post_code`; a second person
    confirms within 7 days.

    What the person said is compared with what is on file; `seen` is the fingerprint of what was shown to who proposes it
    (`notices.shown`), None where no page was. Raises fingerprint.NotSeen, CannotGiveBack, notices.NotProposed for others than the
    privacy team, notices.OwnEntry for who entered a contact of the person, proof.Incomplete, proof.TooManyTries and, with the refused
    try written down, proof.ProofRefused.
    """
    _permit(point, actor)
    with transaction.atomic():
        found = _locked(point)
        notices.was_seen(ContactPoint.objects.filter(pk=found.pk), seen)
        _check(found, now)
        subject = found.customer.subject_id
        if subject is None:
            raise CannotGiveBack("This login is nobody's any more.")
        if code.strip():
            proof.within_limit(subject, now=now)
            is_right = _use_code(found, code, now=now)
            proof.code_compared(subject, is_right, reference="", actor=actor, now=now)
        else:
            before = partial(_was_there_before, subject, found.since)
            is_right = proof.compared(subject, said, before, reference="", actor=actor, now=now)
        if is_right:
            proposed = {"end_proposed_at": now, "end_proposed_by": notices.name_of(actor)[:64], "gives_back": True}
            ContactPoint.objects.filter(pk=found.pk).update(**proposed)
            audit.record(
                "contact.back_proposed", actor=actor, now=now, subject=subject, record=notices.record_of(found)
            )
    if not is_right:  # only now: the refused try has to stay written down
        raise proof.ProofRefused("What was said is not what is on file, or no code that works. Nothing was proposed.")


def give_back(point: ContactPoint, *, seen: str | None = None, actor: Actor, now: datetime) -> None:
    """Give a login back as the second person: its address is the earlier one again, and the dispute is ended.

    Password, sessions and second factors end; a link to choose a new password goes to the earlier address; everybody else is told,
    the address that loses the login with a link to object. Raises CannotGiveBack, and notices.NotProposed for who is no second
    person and where nothing is proposed; `seen` as for `propose`. Everything is checked once more.
    """
    with transaction.atomic():
        found = _locked(point)
        notices.was_seen(ContactPoint.objects.filter(pk=found.pk), seen)
        if not found.gives_back or not notices.may_end(found, actor, now=now):
            raise notices.NotProposed(notices.SECOND_ENDS)
        user, address = _check(found, now)
        subject = user.subject_id
        assert subject is not None  # noqa: S101  `_check` looked
        with vault.internal():  # to be written to at once, shown to nobody
            told = reach.others(subject, but=address, now=now)
            left = [str(one.email) for one in EmailAddress.objects.filter(user=user)]
        for one in EmailAddress.objects.filter(user=user):
            one.delete()  # its sealed address and key go with it
        EmailAddress.objects.create(user=user, email=address, verified=True, primary=True)
        unconfirmed.make_way("", address, but=user.pk, actor=actor, now=now)
        user.set_unusable_password()
        user.save(update_fields=["password"])
        Authenticator.objects.filter(user=user).delete()
        sessions.end_all(subject)
        sessions.end_others(user.pk, but=None)
        ContactPoint.objects.filter(pk=found.pk).update(disputed_at=None)
        notices.login_changed(user, found.customer, told=told, left=left, by_person=False, now=now)
        ContactPoint.objects.filter(pk=found.pk).update(given_back_at=now)
        audit.record(
            "login.given_back",
            actor=actor,
            now=now,
            subject=subject,
            record=(User.vault_label, user.pk),
            fields=["email"],
        )
        _send_link(user, address, now=now)


# parts ---------------------------------------------------------------------------------------------------------------


def _permit(point: ContactPoint, actor: Actor) -> None:
    if actor.kind != "staff" or "privacy" not in actor.roles:
        raise notices.NotProposed("Only the privacy team proposes that.")
    notices.not_own(point, actor)


def _places(point: ContactPoint) -> list[Address]:
    """Return the postal addresses of the person that were on file before the change."""
    own = Address.objects.for_subject(point.customer.subject_id).filter(contact_point__since__lt=point.since)
    return list(own.select_related("customer").order_by("pk"))


def _use_code(point: ContactPoint, code: str, *, now: datetime) -> bool:
    """Use up the code that was posted for this change; return whether it was that, and its letter marked as posted."""
    live = ContactLink.objects.filter(
        point=point, purpose=Purpose.CODE, token_hash=_hashed(point, code), used_at=None, expires_at__gt=now
    ).filter(at__gte=point.since, letter__sent_at__isnull=False)
    if not any(notices.is_ours(one) for one in live):
        return False
    return bool(live.update(used_at=now))


def _hashed(point: ContactPoint, code: str) -> str:
    return vault.mac_of("login-code", point.pk, identity.plain_code(code))


def _locked(point: ContactPoint) -> ContactPoint:
    rows = ContactPoint.objects.select_for_update(of=("self",)).select_related("customer")
    found = rows.filter(pk=point.pk, channel=Channel.LOGIN, disputed_at__isnull=False).first()
    if found is None:
        raise notices.NotProposed("Nobody objects to this login address any more.")
    return found


def _check(point: ContactPoint, now: datetime) -> tuple[User, str]:
    """Return the login and the address to which it can be given back. Raises CannotGiveBack."""
    user = User.objects.select_for_update().filter(pk=point.customer.user_id).first()
    if user is None or user.subject_id is None or not user.is_active:
        raise CannotGiveBack("There is no login any more that could be given back.")
    if user.is_staff:
        raise CannotGiveBack("A login of staff is not given back here: an operator closes it and makes another one.")
    if point.given_back_at is not None and now >= point.given_back_at + UNDONE_WITHIN:
        raise CannotGiveBack("This login was given back more than 14 days ago: that is not undone any more.")
    with vault.internal():  # compared only, shown to nobody
        own = {reach.same(str(one.email)) for one in EmailAddress.objects.filter(user=user, verified=True)}
        addresses = [
            str(link.letter.to)
            for link in _objections(point).select_related("letter")
            if link.letter and link.letter.to and not isinstance(link.letter.to, vault.Unreadable)
        ]
    # Of several that objected the first that the login had: whoever took it may have changed the address twice.
    address = next((one for one in addresses if reach.same(one) not in own), "")
    if not address:
        raise CannotGiveBack("The mailbox that the login had before has not objected by the link of our letter.")
    if EmailAddress.objects.filter(email=address, verified=True).exclude(user=user).exists():
        raise CannotGiveBack("The address that the login had before is another login's by now.")
    return user, address


def _objections(point: ContactPoint) -> QuerySet[ContactLink]:
    """Return the used links of letters to addresses that a change of the login left behind, in this dispute, the oldest first."""
    links = ContactLink.objects.filter(point=point, purpose=Purpose.NOT_ME, was_login=True)
    return links.filter(used_at__gte=point.disputed_at).order_by("at", "pk")


def _was_there_before(subject: UUID, change: datetime, number: str) -> bool:
    """Say whether a telephone number of the person was on file before the login's address was changed: who took the login may
    have entered a later one."""
    found = Customer.objects.find("customer.phone", number).filter(subject_id=subject)
    points = [reach.point_of(one, Channel.PHONE) for one in found]
    return any(point is not None and point.since < change for point in points)


def _send_link(user: User, address: str, *, now: datetime) -> None:
    key = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
    path = reverse("account_reset_password_from_key", args=["UID", "KEY"]).replace("UID-KEY", key)
    letters.queue(
        "login_given_back",
        to=address,
        context={},
        key=f"login-given-back:{uuid4()}",
        subject=user.subject_id,
        now=now,
        credentials={"link": settings.PORTAL_URL + path},
        until=now + LINK_WORKS,
    )

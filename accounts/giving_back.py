"""A login whose address somebody else changed is given back to the mailbox that it had before (design 9).

What must never happen: a login given to whoever reads an older mailbox, to whoever persuades one member of staff, or
to an address that is another login's by now; a session, a second factor, a password, a contact or a request of whoever
had it that goes on counting; a login taken from its owner who was not told. So these come together: the mailbox that
the change in force left behind has said "this was not me" by the link of the letter about that change (one that an
earlier change left, and that objected later, the same, but only an operator confirms it); the person was called back
at a number that was on file before the login was in other hands (accounts/in_other_hands.py), and named two facts of
before, or read back a code that was posted to an address on file before; either way the person named the mailbox; the
present address was told three days before, with a link to object; and a second person, who had neither a contact of
the person nor the code in hand, confirms what one of the privacy team proposed. While somebody objects nobody changes
the address again (notices.require_undisputed). A mistake is undone by the same way within 14 days, with what was on
file before the first change.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any
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
from django.utils.translation import gettext

from accounts import (
    acts,
    confirmed,
    contact_links,
    in_hand,
    in_other_hands,
    notices,
    objections,
    people,
    reach,
    sessions,
    unconfirmed,
)
from accounts.models import Address, ContactLink, ContactPoint, User
from privacy import audit, letters, vault
from privacy.actor import require_another
from privacy.gate import Actor
from privacy.requests import codes, links, proof

UNDONE_WITHIN = timedelta(days=14)
OWNER_HAS = timedelta(hours=72)  # to object, as others have before a removal (design 9)
CODE_WRITTEN = "contact.code_written"
OPERATOR_ENDS = "The address of this login was changed once more before that mailbox objected. An operator confirms this, by login_dispute."
OTHERS = "Login and customer number are not one person's. Nothing is given back: tell who runs the site."
LINK_WORKS = timedelta(days=3)  # as that of a new password (PASSWORD_RESET_TIMEOUT)
Channel, Purpose = ContactPoint.Channel, ContactLink.Purpose


class CannotGiveBack(Exception):
    """The login is not given back now; the text is one sentence for who tries."""


def is_objected(point: ContactPoint) -> bool:
    """Return whether the mailbox that the change of the login's address left behind objects by its link. Opens
    nothing."""
    return point.disputed_at is not None and bool(_against_the_change(point))


def check(point: ContactPoint, *, now: datetime) -> None:
    """Raise CannotGiveBack, or objections.NotProposed where nothing is disputed, when what was
    proposed cannot be done now."""
    with transaction.atomic():
        found = _locked(point)
        _check(found, found.end_proposed_at or now)
        _check_owner_told(found, now)


def post_code(point: ContactPoint, *, actor: Actor, now: datetime) -> None:
    """Leave a letter with a code for the person to be printed and posted, where a postal address counts that was on
    file before the change. An earlier code stops working. Raises what `propose` raises but for the call-back."""
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
        code = codes.new_code()
        link = ContactLink(point=found, purpose=Purpose.CODE, token_hash=_hashed(found, code), at=now)
        link.expires_at = now + links.POSTED_CODE_LIVES
        link.letter = letters.queue(
            in_hand.LOGIN_CODE,
            to="",
            postal=lines,
            context={
                "number": found.customer.reference,
                "expires_on": timezone.localdate(link.expires_at),
            },
            key=f"login-code:{uuid4()}",
            subject=found.customer.subject_id,
            now=now,
            credentials={"code": code},
            until=link.expires_at,
        )
        link.bind().save(force_insert=True)
        audit.record(
            CODE_WRITTEN,
            actor=actor,
            now=now,
            subject=found.customer.subject_id,
            record=contact_links.record_of(found),
        )


def propose(
    point: ContactPoint,
    said: proof.Callback | None,
    *,
    mailbox: str,
    code: str = "",
    seen: str | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """Propose to give a login back to the mailbox that objects, after a call-back or by the code of `post_code`; a
    second person confirms within 7 days.

    What the person said is compared with what is on file; `mailbox` is the address that the person says is theirs: the
    login goes to no other. The present address of the login is told at once, with a link to object. `seen` is the
    fingerprint of what was shown to who proposes it (`objections.shown`), None where no page was. Raises
    fingerprint.NotSeen, CannotGiveBack, objections.NotProposed for others than the privacy team, in_hand.OwnEntry for
    who entered a contact of the person, proof.HadTheLetter, proof.Incomplete, proof.TooManyTries and, with the refused
    try written down, proof.ProofRefused.
    """
    _permit(point, actor)
    with transaction.atomic():
        found = _locked(point)
        objections.was_seen(ContactPoint.objects.filter(pk=found.pk), seen)
        user, objecting = _check(found, now)
        subject = found.customer.subject_id
        if subject is None:
            raise CannotGiveBack("This login is nobody's any more.")
        back = next((link for link, address in objecting if reach.same(address) == reach.same(mailbox)), None)
        if back is None:
            raise CannotGiveBack(
                "The address that the person named is none that the change left behind and that has objected."
            )
        if code.strip():
            if in_hand.name_of(actor) in _had_code(found, now=now):
                raise proof.HadTheLetter
            proof.within_limit(subject, now=now)
            is_right = _use_code(found, code, back=back.pk, now=now)
            proof.code_compared(subject, is_right, reference="", actor=actor, now=now)
        else:
            taken = _taken_at(found, back=back.pk)
            may_call, day = partial(_was_there_before, subject, taken), timezone.localdate(taken)
            is_right = proof.compared(subject, said, may_call, reference="", actor=actor, now=now, before=day)
        if is_right:
            objections.put_proposal(found, back=back, actor=actor, now=now)
            with vault.internal():  # to be written to at once, shown to nobody
                present = [str(one.email) for one in EmailAddress.objects.filter(user=user)]
            for one in present:
                objections.tell_owner(found, one, now=now)
            audit.record(
                "contact.back_proposed", actor=actor, now=now, subject=subject, record=contact_links.record_of(found)
            )
    if not is_right:  # only now: the refused try has to stay written down
        raise proof.ProofRefused("What was said is not what is on file, or no code that works. Nothing was proposed.")


def give_back(point: ContactPoint, *, seen: str | None = None, actor: Actor, now: datetime) -> None:
    """Give a login back as the second person: its address is the earlier one again, and the dispute is ended.

    Password, sessions and second factors end; a link to choose a new password goes to the earlier address; everybody
    else is told, the address that loses the login with a link to object. What was entered, confirmed, joined or asked
    with the login since it may have been in other hands counts no longer (accounts/in_other_hands.py). Raises
    CannotGiveBack, also before the owner had three days to object, and objections.NotProposed for who is no second
    person and where nothing is proposed; `seen` as for `propose`. Everything is checked once more.
    """
    with transaction.atomic():
        acts.wait_for(
            point.customer.user_id
        )  # what a session of the login has begun is seen below, what it begins now is refused
        found = _locked(point)
        objections.was_seen(ContactPoint.objects.filter(pk=found.pk), seen)
        require_another(actor, **in_hand.whose(found))
        if not found.gives_back or not objections.may_end(found, actor, now=now):
            raise objections.NotProposed(objections.SECOND_ENDS)
        user, objecting = _check(found, found.end_proposed_at or now)
        _check_owner_told(found, now)
        address = next((one for link, one in objecting if link.pk == found.back_link), "")
        if not address:
            raise CannotGiveBack("The mailbox for which it was proposed is none any more that the login could go to.")
        if needs_operator(found) and actor.kind != "operator":
            raise objections.NotProposed(OPERATOR_ENDS)
        taken = _taken_at(found, back=found.back_link)
        subject = user.subject_id
        assert subject is not None  # noqa: S101  `_check` looked
        with vault.internal():  # to be written to at once, shown to nobody
            told = reach.others(subject, but=address)
            left = [str(one.email) for one in EmailAddress.objects.filter(user=user)]
        ended = in_other_hands.end_all(found, subject, changed_at=taken, actor=actor, now=now)
        ContactPoint.objects.filter(pk=found.pk).update(disputed_at=None, **objections.NO_PROPOSAL)
        for one in EmailAddress.objects.filter(user=user):
            one.delete()  # its sealed address and key go with it
        EmailAddress.objects.create(user=user, email=address, verified=True, primary=True)
        unconfirmed.make_way("", address, but=user.pk, actor=actor, now=now)
        user.set_unusable_password()
        user.save(update_fields=["password"])
        Authenticator.objects.filter(user=user).delete()
        sessions.end_all(subject)
        sessions.end_others(user.pk, but=None)
        notices.login_changed(user, found.customer, told=told, left=left, by_person=False, now=now)
        ContactPoint.objects.filter(pk=found.pk).update(given_back_at=now, taken_at=taken)
        audit.record(
            "login.given_back",
            actor=actor,
            now=now,
            subject=subject,
            record=(User.vault_label, user.pk),
            fields=["email"],
        )
        begun = in_other_hands.since(taken)
        about = {"changed_on": timezone.localdate(taken), "begun_on": timezone.localdate(begun)}
        _send_link(user, address, ended | about, now=now)


def needs_operator(point: ContactPoint) -> bool:
    """Return whether what is proposed would give the login to a mailbox that objected only after another change: then
    no member of staff is the second person, but an operator (`login_dispute`)."""
    return point.gives_back and point.back_link in _older(point)


def goes_to(point: ContactPoint) -> str:
    """Return the mailbox to which what is proposed would give the login, masked: its first letter, and where it is; ""
    where nothing is proposed, or where the link that objected does not say what the site wrote."""
    if not point.gives_back or point.back_link is None:
        return ""
    link = ContactLink.objects.filter(pk=point.back_link, point=point).select_related("letter").first()
    if link is None:
        return ""
    with vault.internal():  # all but a hint of it stays hidden
        name, _, where = link.went_to.rpartition("@")
    return f"{name[:1]}••••@{where}" if name else ""


def how_proved(point: ContactPoint) -> str:
    """Return how the person was proved to who proposed to give the login back, in words; by the
    audit. "" where nothing says it."""
    subject, at = point.customer.subject_id, point.end_proposed_at
    if subject is None or at is None or not point.gives_back:
        return ""
    compared = audit.history(subject=subject).filter(action=proof.MATCHED, at=at, actor_kind="staff")
    by = [one.reason for one in audit.ours(compared) if f"staff/{one.actor}"[:64] == point.end_proposed_by]
    return proof.in_words(by[-1]) if by else ""


# parts ---------------------------------------------------------------------------------------------------------------


def _permit(point: ContactPoint, actor: Actor) -> None:
    if actor.kind != "staff" or "privacy" not in actor.roles:
        raise objections.NotProposed("Only the privacy team proposes that.")
    in_hand.not_own(point, actor)


def _places(point: ContactPoint, *, back: int | None = None) -> list[Address]:
    """Return the postal addresses of the person that were on file before the login was in other hands, the oldest
    first: to that one a code goes."""
    taken = _taken_at(point, back=back)
    own = Address.objects.for_subject(point.customer.subject_id).select_related("customer", "contact_point")
    known = own.filter(contact_point__isnull=False).order_by("contact_point__since", "pk")
    return [one for one in known if in_other_hands.was_there_before(one.contact_point, taken)]


def _use_code(point: ContactPoint, code: str, *, back: int, now: datetime) -> bool:
    """Use up the code that was posted for this change; return whether it was that, and its letter marked as posted.

    For an objection to an earlier change it must have gone to an address that was on file before that one: the oldest
    that counted then (`post_code`).
    """
    live = ContactLink.objects.filter(
        point=point, purpose=Purpose.CODE, token_hash=_hashed(point, code), used_at=None, expires_at__gt=now
    ).filter(at__gte=max(point.since, point.disputed_at or point.since))
    posted = letters.went_at([one.letter_id for one in live if one.letter_id is not None])
    places = _places(point, back=back) if back in _older(point) else None
    for one in live:
        was_there = places is None or any(reach.counts(place, Channel.POST, now=one.at) for place in places)
        if one.is_bound and was_there and one.letter_id in posted:
            return bool(live.update(used_at=now))
    return False


def _had_code(point: ContactPoint, *, now: datetime) -> set[str]:
    """Return which members of staff ("kind/id") wrote, opened or marked as posted the letter with the code that works
    now."""
    live = list(ContactLink.objects.filter(point=point, purpose=Purpose.CODE, used_at=None, expires_at__gt=now))
    wrote = audit.history(record=contact_links.record_of(point)).filter(action=CODE_WRITTEN, actor_kind="staff")
    found = {("staff", one.actor) for one in audit.ours(wrote.filter(at__in=[one.at for one in live]))}
    found |= letters.in_hand(one.letter_id for one in live if one.letter_id is not None)
    return {f"{kind}/{who}" for kind, who in found}


def _hashed(point: ContactPoint, code: str) -> str:
    return vault.mac_of("login-code", point.pk, codes.plain_code(code))


def _locked(point: ContactPoint) -> ContactPoint:
    rows = ContactPoint.objects.select_for_update(of=("self",)).select_related("customer")
    found = rows.filter(pk=point.pk, channel=Channel.LOGIN, disputed_at__isnull=False).first()
    if found is None:
        raise objections.NotProposed("Nobody objects to this login address any more.")
    return found


def _check(point: ContactPoint, now: datetime) -> tuple[User, list[tuple[ContactLink, str]]]:
    """Return the login, and the objections whose mailbox it can be given back to, with their
    addresses. Raises CannotGiveBack."""
    user = User.objects.select_for_update().filter(pk=point.customer.user_id).first()
    if user is None or user.subject_id is None or not user.is_active:
        raise CannotGiveBack("There is no login any more that could be given back.")
    if not reach.is_one(user, point.customer):
        raise CannotGiveBack(OTHERS)
    if user.is_staff:
        raise CannotGiveBack("A login of staff is not given back here: an operator closes it and makes another one.")
    if point.given_back_at is not None and now >= point.given_back_at + UNDONE_WITHIN:
        raise CannotGiveBack("This login was given back more than 14 days ago: that is not undone any more.")
    with vault.internal():  # compared only, shown to nobody
        own = {reach.same(str(one.email)) for one in EmailAddress.objects.filter(user=user)}
        found = [(link, address) for link in _against_the_change(point) if (address := link.went_to)]
    found = [(link, address) for link, address in found if reach.same(address) not in own]
    if not found:
        raise CannotGiveBack("The mailbox that the login had before has not objected by the link of our letter.")
    free = [
        (link, address)
        for link, address in found
        if not EmailAddress.objects.filter(email=address, verified=True).exclude(user=user).exists()
    ]
    if not free:
        raise CannotGiveBack("The address that the login had before is another login's by now.")
    return user, free


def _against_the_change(point: ContactPoint) -> list[ContactLink]:
    """Return the objections, in this dispute, of mailboxes that a change of the login left behind, by
    links that the site made: those to a change that was in force when its mailbox objected before those
    to an earlier one (`_older`)."""
    found = [link for link in _objections(point).select_related("letter") if link.is_bound]
    older = _older(point)
    return sorted(found, key=lambda link: link.pk in older)


def _older(point: ContactPoint) -> set[int]:
    """Return the objections of mailboxes that had objected only after the address was changed once more.

    Whoever took the login may have changed it twice; or the person has left that mailbox before,
    and somebody else reads it now.
    """
    changes = ContactLink.objects.filter(point=point, purpose=Purpose.NOT_ME, was_login=True)
    changed_at = set(changes.values_list("at", flat=True))
    used = _objections(point).values_list("pk", "at", "used_at")
    return {pk for pk, at, used_at in used if used_at and any(at < change <= used_at for change in changed_at)}


def _taken_at(point: ContactPoint, *, back: int | None = None) -> datetime:
    """Return when whoever took the login changed its address first: the earliest change to which a mailbox objects, or,
    where it was given back since, that of then (since when they may have had it: `in_other_hands.since`). An objection
    to an earlier change counts only where it is `back`, or where no other one is there: who has an old mailbox must not
    say how long something has to be on file."""
    older, links = _older(point), _against_the_change(point)
    counting = [link for link in links if link.pk not in older or link.pk == back] or links
    objected = [*(link.at for link in counting), point.since]
    return min([*objected, point.taken_at] if point.taken_at else objected)


def _check_owner_told(point: ContactPoint, now: datetime) -> None:
    """Raise CannotGiveBack until 72 hours after the present address of the login was told of the proposal."""
    proposed_at = point.end_proposed_at
    if proposed_at is None:
        raise CannotGiveBack("Nothing is proposed.")
    told = [
        one
        for one in ContactLink.objects.filter(point=point, purpose=Purpose.NOT_ME, at=proposed_at).select_related(
            "letter"
        )
        if one.is_bound and one.letter is not None and one.letter.kind == objections.BACK_PROPOSED
    ]
    if not told and confirmed.rows(user_id=point.customer.user_id):
        raise CannotGiveBack(
            "No letter tells the present address of the login of this proposal. It is proposed once more."
        )
    went = letters.went_at([one.letter.pk for one in told if one.letter])
    for sent_at, stopped_at in ((went.get(one.letter.pk), one.letter.stopped_at) for one in told if one.letter):
        if sent_at is None and stopped_at is None:
            raise CannotGiveBack("The letter to the present address of the login has not been sent yet.")
        if sent_at is not None and now < sent_at + OWNER_HAS:
            raise CannotGiveBack("The present address of the login was told, and has 72 hours to object.")
    if now < proposed_at + OWNER_HAS:
        raise CannotGiveBack("The present address of the login has 72 hours to object.")


def _objections(point: ContactPoint) -> QuerySet[ContactLink]:
    """Return the used links of letters to addresses that a change of the login left behind, in
    this dispute, the oldest first."""
    links = ContactLink.objects.filter(point=point, purpose=Purpose.NOT_ME, was_login=True)
    return links.filter(used_at__gte=point.disputed_at).order_by("at", "pk")


def _was_there_before(subject: UUID, change: datetime, number: str) -> bool:
    """Say whether a telephone number of the person was on file before the login was in other hands: who took it
    may have entered a later one."""
    points = [reach.point_of(one, Channel.PHONE) for one in reach.own(reach.with_phone(subject, number))]
    return any(point is not None and in_other_hands.was_there_before(point, change) for point in points)


def _counted(ended: dict[str, Any]) -> str:
    """Return how many contacts of which kind prove nothing any more, as a letter tells it; "" for none."""
    words = {
        "emails": gettext("e-mail addresses"), "numbers": gettext("phone numbers"), "places": gettext("postal addresses"),
    }  # fmt: skip
    return ", ".join(f"{word} ({ended[name]})" for name, word in words.items() if ended[name])


def _is_anything(ended: dict[str, Any]) -> bool:
    """Say whether anything of the time in other hands was found."""
    return any(ended[name] for name in ("emails", "numbers", "places", "joinings", "requests", "copies"))


def _send_link(user: User, address: str, ended: dict[str, Any], *, now: datetime) -> None:
    key = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
    path = reverse("account_reset_password_from_key", args=["UID", "KEY"]).replace("UID-KEY", key)
    letters.queue(
        "login_given_back",
        to=address,
        context={**ended, "contacts": _counted(ended), "is_anything": _is_anything(ended)},
        key=f"login-given-back:{uuid4()}",
        subject=user.subject_id,
        now=now,
        credentials={"link": settings.PORTAL_URL + path},
        until=now + LINK_WORKS,
    )

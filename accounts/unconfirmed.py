"""Sign-ups that nobody has confirmed: they hold no address and no user name for long (design 9).

What must never happen: the owner of an address kept out because a stranger signed up with it first; a confirmed login
ended here; an answer that tells a stranger that somebody signed up. What ends is what the audit knows as a sign-up and
nothing else, whatever the columns say: these can be changed by who writes to the main database, its events cannot. So
only a confirmed address is taken. A new sign-up with the same address replaces the one that waits, with its code and
its half-finished sessions, and one that was not confirmed for three days ends by itself. Confirming and ending lock the
same row, the login's: the first of the two wins, whole. There is no undo: whoever was replaced signs up again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest

from accounts import confirmed, sessions, witnessed
from accounts.models import LoginAddress, User
from privacy import audit, letters, vault
from privacy.gate import Actor
from privacy.requests import bound, erasure
from privacy.requests.models import Request
from privacy.retention.verdict import Verdict
from privacy.work.broken import Findings, spared

KEPT_FOR = timedelta(days=3)

logger = logging.getLogger(__name__)


def sign_ups() -> QuerySet[User]:
    """Return the logins that wait for the first confirmation of an address: nobody has ever signed in with them."""
    addresses = EmailAddress.objects.filter(user=OuterRef("pk"))
    waits = Exists(addresses.filter(verified=False)) & ~Exists(addresses.filter(verified=True))
    found: QuerySet[User] = User.objects.filter(waits, last_login=None, is_staff=False)
    return found


def is_confirmed(email: str) -> bool:
    """Say whether the address is the confirmed one of a login: only then it is taken."""
    return EmailAddress.objects.filter(email=email, verified=True).exists()


def taken(username: str, *, own: UUID | None = None, now: datetime) -> bool:
    """Say whether a login has this user name, or one that looks like it.

    Not counted are a sign-up that should have ended, and `own`, the one that waits in this very browser.
    """
    holders = User.objects.looking_like(username).exclude(pk=own)
    return holders.exclude(pk__in=_over(now).filter(pk__in=holders)).exists()


def waiting_in(request: HttpRequest | None) -> UUID | None:
    """Return the login whose sign-up waits for its code in this browser, or None."""
    pending = request.session.get(sessions.LOGIN_IN_PROGRESS) if request is not None else None
    number = pending.get("user_pk") if isinstance(pending, dict) else None
    found: UUID | None = sign_ups().filter(pk=number).values_list("pk", flat=True).first() if number else None
    return found


def make_way(
    username: str, email: str, *, own: UUID | None = None, but: UUID | None = None, actor: Actor | None, now: datetime
) -> int:
    """End the sign-ups in the way of a new login with this name and address; return how many.

    Those with the address, except `but`; those that should have ended and whose name looks like it; and `own`, the one
    that waits in the same browser.
    """
    ids = set(sign_ups().filter(emailaddress__email=email).values_list("pk", flat=True))
    if username:
        ids |= set(_over(now).filter(pk__in=User.objects.looking_like(username)).values_list("pk", flat=True))
    if own is not None:
        ids.add(own)
    return sum(end(pk, reason="replaced", actor=actor, now=now) for pk in sorted(ids - {but}))


def end_lapsed(*, actor: Actor | None, now: datetime, limit: int = 500) -> int:
    """End what was not confirmed in time; return how many ended. Safe to repeat: one that cannot be ended is named in
    the log, and keeps no other one."""
    ids = list(_over(now).order_by("created_at", "pk").values_list("pk", flat=True)[:limit])

    def lapse(some: Sequence[UUID]) -> int:
        with transaction.atomic():
            return sum(end(pk, reason="lapsed", actor=actor, now=now) for pk in some)

    return sum(spared(ids, lapse, step="lapse", label=User.vault_label, findings=Findings()))


def end(user_id: UUID, *, reason: str, actor: Actor | None, now: datetime) -> bool:
    """End one sign-up: its sessions, its code, its letters, its data and the person they were
    about; return whether it did.

    Not when it was confirmed meanwhile, nor when somebody has filed a request about this person. Where the columns say
    that it waits and the keyed hashes or the audit do not, it stays, and the log says so.
    """
    with transaction.atomic():
        found = User.objects.select_for_update().filter(pk=user_id).first()
        if found is None or not sign_ups().filter(pk=user_id).exists():
            return False
        seen = any(confirmed.is_of(pk, user_id) for pk in found.login_addresses.values_list("pk", flat=True))
        if seen or not witnessed.is_sign_up_only(found):
            logger.error("A login was not ended as a sign-up: only the tables say that nobody confirmed it.")
            return False
        subject = found.subject_id
        if subject is not None and Request.objects.filter(bound.of_people([subject])).exists():
            return False
        audit.record(
            "account.unconfirmed",
            actor=actor,
            now=now,
            subject=subject,
            record=(User.vault_label, user_id),
            reason=reason,
        )
        sessions.end_others(user_id, but=None)
        if subject is not None:
            letters.stop(subject, now=now)
            letters.burn(letters.of_person(subject), now=now)
        records = [(User.vault_label, user_id), *((LoginAddress.vault_label, pk) for pk in _alone(found))]
        erasure.erase_records([_ends(*one) for one in records], request=None, actor=actor, now=now)
    return True


def _over(now: datetime) -> QuerySet[User]:
    return sign_ups().filter(created_at__lte=now - KEPT_FOR)


def _alone(user: User) -> Iterable[UUID]:
    """Return the sealed addresses that are this login's by the key store, whoever else says that one
    is theirs: nobody inherits it."""
    numbers = [confirmed.number_of(one) for one in EmailAddress.objects.filter(user=user).only("email")]
    found = set(LoginAddress.objects.filter(pk__in=[one for one in numbers if one]).values_list("pk", flat=True))
    return sorted(found - vault.keys.strangers(dict.fromkeys(found, user.vault_owner())))


def _ends(label: str, record: UUID) -> Verdict:
    return Verdict(
        record_id=record,
        label=label,
        title="",
        envelope="account",
        data=(),
        action="erase",
        code="ERASE",
        ground="Art. 5(1)(e) GDPR",
        authority="",
    )

"""Warnings: nobody's account ends by itself without a letter some time before (law §4: 30 days); who answers it is
kept.

What must never happen: somebody who said in time that the account is to be kept, and lost it to the sweep of
that night. So keeping it and ending it lock the same rows, the warnings of the person: the first of the two
wins, whole. The clock of retention starts again on the day of the answer. A day that was told after a request
to remove is never moved here.

A warning counts from the day on which its letter went out, sent by e-mail or ticked off as posted, and as long as the
person did nothing since: whoever came back is warned anew before the next end. A letter that waits to be posted has
warned nobody, however long it lies there. At most as many people are warned in a night as may be ended in one, so that
a wrong rule does not write to everybody.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from privacy import audit, letters, people, vault
from privacy.actor import Actor
from privacy.calendar import company_day, undated
from privacy.facts import Facts
from privacy.letters.models import Letter
from privacy.requests import clock, links
from privacy.retention import decided
from privacy.retention.models import Decision
from privacy.retention.rules import Schedule
from privacy.sweep.models import EndNotice
from privacy.work.broken import Findings, spared

KIND = "account_ending"
LINK_LIVES = timedelta(days=60)
BATCH = 500
SAID = ("pk", "token_hash", "given_on", "told_on", "mac")

#: How somebody told us to keep the account.
WAYS = {
    "link": "by the link in the letter",
    "phone": "by phone",
    "email": "by e-mail",
    "mail": "by mail",
    "in_person": "in person",
}


def days_before(envelopes: Iterable[str], schedule: Schedule) -> int:
    """Return how long before these envelopes end the person is to be warned; 0 when not at all."""
    return max((schedule[name].warn_days for name in envelopes), default=0)


def unwarned(found: Collection[Facts], *, by: date) -> set[UUID]:
    """Return the people in `found` whom no letter that went out by that day has warned, or none that still counts."""
    notices = _of(found)
    told = _told(notices)
    return _without(found, [one for one in notices if (day := told.get(one.pk)) is not None and day <= by])


def unwritten(found: Collection[Facts]) -> set[UUID]:
    """Return the people in `found` to whom a warning is to be written: none that still counts went out, or waits to."""
    notices = _of(found)
    told = _told(notices)
    waiting = Letter.objects.filter(key__in=[_key(one) for one in notices], sent_at=None, stopped_at=None)
    keys = set(waiting.values_list("key", flat=True))
    return _without(found, [one for one in notices if one.pk in told or _key(one) in keys])


def note_told(findings: Findings) -> int:
    """Write down of each warning on which day its letter went out; return of how many. Letters end before warnings
    do."""

    def note(told: Sequence[tuple[UUID, date]]) -> int:
        with transaction.atomic():
            return sum(_note_told(pk, day) for pk, day in told)

    label = EndNotice._meta.label_lower
    count, last = 0, None
    while True:
        open_ = EndNotice.objects.filter(told_on=None, kept_on=None, ended_at=None).only(*SAID).order_by("pk")
        batch = list(undated.each((open_ if last is None else open_.filter(pk__gt=last))[:BATCH]))
        if not batch:
            return count
        last = batch[-1].pk
        for one in undated.among(batch):
            findings.note("told", label, one.pk, ValueError.__name__)
        told = list(_told(batch).items())
        count += sum(spared(told, note, step="told", label=label, findings=findings, number=lambda one: one[0]))


def _note_told(pk: UUID, day: date) -> int:
    notice = EndNotice.objects.select_for_update().filter(pk=pk, told_on=None).first()
    if notice is None or not is_ours(notice):
        return 0
    notice.told_on = day
    return EndNotice.objects.filter(pk=pk).update(told_on=day, mac=vault.mac_of(*_says(notice)))


def _of(found: Collection[Facts]) -> list[EndNotice]:
    """Return the warnings of these people, the oldest first; one of which a day cannot be read has warned nobody."""
    subjects = {facts.subject_id for facts in found if facts.subject_id is not None}
    notices = EndNotice.objects.filter(subject__in=subjects).only(*SAID, "subject")
    there = list(undated.each(notices.order_by("given_on")))
    return [one for one in there if not undated.among([one])]


def _told(notices: Iterable[EndNotice]) -> dict[UUID, date]:
    """Return of these warnings the day on which the letter went out, where the audit tells that it did; two queries.

    Its row may have ended since: then the day stands in the warning, under its keyed hash. One that was planted, or
    changed, has warned nobody.
    """
    ours = [one for one in notices if is_ours(one)]
    told = {one.pk: one.told_on for one in ours if one.told_on is not None}
    by_key = {_key(one): one.pk for one in ours if one.told_on is None}
    numbers = dict(Letter.objects.filter(key__in=list(by_key), kind=KIND).values_list("pk", "key"))
    return told | {by_key[numbers[pk]]: company_day(at) for pk, at in letters.went_at(numbers).items()}


def _key(notice: EndNotice) -> str:
    return f"{KIND}:{notice.pk}"


def _without(found: Collection[Facts], notices: Iterable[EndNotice]) -> set[UUID]:
    """Return the people in `found` to whom none of these warnings was given after they were last active."""
    given = {one.subject_id: one.given_on for one in notices}  # in the order of their days
    missing = set()
    for facts in found:
        if facts.subject_id is None:
            continue
        last = max((day for day in facts.events.values() if day is not None), default=date.min)
        if facts.subject_id not in given or given[facts.subject_id] <= last:
            missing.add(facts.subject_id)
    return missing


def warn(subject: UUID, *, on: date, ends_after: date, now: datetime) -> bool:
    """Write to the person that the account ends unless it is used, not before that day; return whether a letter is new.

    It ends when the letter has been out for as long as the schedule says, so not at all while it waits to be posted.
    An earlier letter that still waits is stopped: what it says is over. The letter has a link by which the person
    keeps it, without a login too: it goes only to an address that counts (design 9). Without one the letter is
    posted, or waits for staff, and says how else to keep it. Opens the address on file under the actor of the
    caller. Safe to repeat on one day.
    """
    token = secrets.token_urlsafe(32)
    known = people.ask()
    with transaction.atomic():
        to = known.answer_address(subject, now)
        made = EndNotice(subject_id=subject, given_on=on, token_hash=links.hashed(token) if to else "")
        new = {
            "id": made.pk,
            "ends_after": ends_after,
            "token_hash": made.token_hash,
            "mac": vault.mac_of(*_says(made)),
        }
        notice, is_new = EndNotice.objects.get_or_create(subject_id=subject, given_on=on, defaults=new)
        if is_new:
            _stop_letters(EndNotice.objects.filter(subject=subject).exclude(pk=notice.pk), now=now)
            link = f"{settings.PORTAL_URL}{reverse('keep', args=[token])}" if to else ""
            letters.queue(
                KIND,
                to=to,
                context={
                    "name": known.name(subject),
                    "ends_after": ends_after,
                    "days": (ends_after - on).days,
                    "has_login": known.has_login(subject),
                },
                key=_key(notice),
                now=now,
                subject=subject,
                credentials={"link": link},
                until=clock.expires_at(on + LINK_LIVES),
            )
    return is_new


# Keeping it -----------------------------------------------------------------------------------------------------------


class NoticeGone(Exception):
    """There is no such link any more: it is unknown or too old, or the account has ended."""


class CannotKeep(Exception):
    """The account cannot be kept this way; the text is one sentence, for the person or for staff, whoever asks."""


def look(token: str, *, now: datetime) -> EndNotice:
    """Return the warning whose link this is, used or not, without doing anything (what GET may do). Raises
    NoticeGone."""
    found = EndNotice.objects.filter(token_hash=links.hashed(token), ended_at=None).first()  # one by post has no hash
    # A letter that went out late gives its reader as long as any other.
    if found is None or (found.told_on or found.given_on) + LINK_LIVES < company_day(now):
        raise NoticeGone
    if not is_ours(found):
        raise NoticeGone
    return found


def keep(token: str, *, now: datetime) -> EndNotice:
    """Keep the account of the person who was sent this link (POST only), and return the warning. Twice is once.

    Raises NoticeGone when the account has ended or the link is too old, CannotKeep.
    """
    with transaction.atomic():
        subject = look(token, now=now).subject_id
        person = Actor("customer", None, subject, frozenset({"customer"}), "link in a warning")
        _lock(subject)
        if look(token, now=now).kept_on is None:
            _keep(subject, reason="link", actor=person, now=now)
        return look(token, now=now)


def keep_for(subject: UUID, *, reason: str, actor: Actor, now: datetime) -> None:
    """Keep the account of somebody who told us so; `reason` is a word of WAYS. Raises NoticeGone, CannotKeep.

    The caller has asked whether this actor may write the account.
    """
    if reason not in WAYS:
        raise CannotKeep("Say how the person told us.")
    with transaction.atomic():
        _keep(subject, reason=reason, actor=actor, now=now)


def may_keep(subject: UUID) -> bool:
    """Return whether an account can be kept: its removal has not begun, and nothing was told after a request."""
    last = EndNotice.objects.filter(subject_id=subject).order_by("-given_on").first()
    return (last is None or last.ended_at is None) and not _is_told(subject)


def _is_told(subject: UUID) -> bool:
    return bool(decided.ours(Decision.objects.filter(request__owner_id=subject, pinned=True, done_at=None)))


def _keep(subject: UUID, *, reason: str, actor: Actor, now: datetime) -> None:
    """Start the clock of retention again today, in the caller's transaction."""
    notices = _lock(subject)
    if notices and max(notices, key=lambda one: one.given_on).ended_at is not None:
        raise NoticeGone
    if _is_told(subject):
        is_own = actor.subject == subject
        asked, told = ("You asked us", "you") if is_own else ("This person asked us", "the person")
        raise CannotKeep(
            f"{asked} before to remove {'your' if is_own else 'all'} data. What is still kept goes on the day that we told {told}, or "
            "once what is open then is finished; that day is not moved here."
        )
    today = company_day(now)
    if not people.ask().keep(subject, today):
        who = (
            "you have a login, sign in"
            if actor.subject == subject
            else "the person has a login, it is kept by signing in"
        )
        raise CannotKeep(f"Nothing of this kind is on file. If {who} once before that day.")
    EndNotice.objects.filter(pk__in=[one.pk for one in notices if one.kept_on is None and one.ended_at is None]).update(
        kept_on=today
    )
    _stop_letters(notices, now=now)
    audit.record("account.kept", actor=actor, now=now, subject=subject, reason=reason)


def _stop_letters(notices: Iterable[EndNotice], *, now: datetime) -> None:
    """Stop those letters of these warnings that have not gone out, in the caller's transaction."""
    letters.withhold([_key(one) for one in notices], now=now)


def _lock(subject: UUID) -> list[EndNotice]:
    """Lock what decides between keeping and ending, in the order of `begin_to_end`; wait for a sweep that is at it."""
    return list(EndNotice.objects.select_for_update().filter(subject=subject).order_by("pk"))


def begin_to_end(found: Collection[Facts], *, now: datetime) -> set[UUID]:
    """Note that the sweep ends these people's accounts now; return those who said meanwhile to keep them.

    In the transaction that ends their records: it holds the rows that `keep` needs. `found` are the facts by which the
    sweep judged; who was active after them is left alone.
    """
    last: dict[UUID | None, date] = {}
    for facts in found:
        seen = max((day for day in facts.events.values() if day is not None), default=date.min)
        last[facts.subject_id] = max(seen, last.get(facts.subject_id, date.min))
    kept: set[UUID] = set()
    ending: list[UUID] = []
    notices = EndNotice.objects.select_for_update().filter(subject__in=last).only("pk", "subject", "kept_on")
    for notice in undated.each(notices.order_by("pk")):  # kept on a day that cannot be read is kept
        if notice.kept_on is None:
            ending.append(notice.pk)
        elif notice.kept_on > last[notice.subject_id]:
            kept.add(notice.subject_id)
    EndNotice.objects.filter(pk__in=ending, ended_at=None).exclude(subject__in=kept).update(ended_at=now)
    return kept


def _says(notice: EndNotice) -> tuple[Any, ...]:
    told = () if notice.told_on is None else (notice.told_on,)
    return *_said(notice), *told


def _said(notice: EndNotice) -> tuple[Any, ...]:
    # Not the person: a notice follows when records are joined, and keeping the account is all that it does.
    # What the keyed hash stood over in the first days of 0.2; such a row is signed anew once (accounts.upgrades).
    return "end-notice", notice.pk, notice.token_hash, notice.given_on


def is_ours(notice: EndNotice) -> bool:
    """Say whether the site wrote this warning, and when its letter went out."""
    return vault.mac_fits(notice.mac, *_says(notice))


def bind_told(*, now: datetime) -> int:
    """Put under the keyed hashes of warnings of before on which day they were given, and let the audit tell of their
    letters that went out; return of how many. As `bind_all`: until then a row without a link had no hash."""
    done = letters.note_gone_before(Letter.objects.filter(kind=KIND), now=now)
    for notice in undated.each(EndNotice.objects.order_by("pk")):
        is_of_before = vault.mac_fits(notice.mac, *_said(notice)) or (not notice.mac and not notice.token_hash)
        if is_of_before and not is_ours(notice) and not undated.among([notice]):
            done += EndNotice.objects.filter(pk=notice.pk).update(mac=vault.mac_of(*_says(notice)))
    return done


def bind_all() -> int:
    """Bind the links of the version before to their notices; return how many. As privacy.requests.links.bind_all."""
    done = 0
    for notice in EndNotice.objects.filter(mac="").exclude(token_hash="").order_by("pk").iterator(500):
        done += EndNotice.objects.filter(pk=notice.pk, mac="").update(mac=vault.mac_of(*_says(notice)))
    return done

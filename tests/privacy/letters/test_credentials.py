"""Links and codes in letters: given once by the letter, kept by nobody, opened by nobody else."""

from __future__ import annotations

import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from privacy import audit, letters, vault
from privacy.gate import matrix
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.requests import filing, posting, writing
from privacy.restore import apply
from privacy.vault.keystore import keys
from privacy.vault.models import DataKey
from tests.asked import ANYBODY, NOW, OPERATOR, PRIVACY, filed, taken_in, with_letters

LINK = "https://portal.example/privacy/link/Zq9wLkY3bN5xR8vT2mC7pJ4hG6fD1sA0eU-iOyKtWrQ/"
CODE = "7K3M-9QXA-22BD"
DUMMY = "django.core.mail.backends.dummy.EmailBackend"


def a_letter(to: str = "alice@example.com", *, link: str = LINK, key: str = "x:1", **more: Any) -> Letter:
    return writing.queue(
        "plan_changed", to=to, context={}, key=key, request=more.pop("request"), now=NOW, credentials={"link": link}, **more
    )  # fmt: skip


def opened(letter: Letter) -> str:
    """Everything that can still be opened of a letter by whoever asks nobody."""
    with vault.internal():
        again = Letter.objects.get(pk=letter.pk)
        return "\n".join(str(one) for one in (again.to, again.headline, again.text, again.html, again.credentials))


def is_gone(letter: Letter) -> bool:
    return keys.is_destroyed(letter.pk, "credentials") and Letter.objects.get(pk=letter.pk).sealed_credentials is None


# Storing


def test_a_stored_letter_holds_words_where_its_link_stands(alice, outbox) -> None:
    letter = a_letter(request=filed(alice))
    with system("export", subject=alice.subject_id):
        found = Letter.objects.get(pk=letter.pk)
        assert "[Here the letter gives a one-time link; it is not kept.]" in found.text
        assert LINK not in found.text + found.html and isinstance(found.credentials, vault.Masked)
    with_letters(NOW)
    sent = next(one for one in outbox if LINK in one.body)
    assert f'href="{LINK}"' in sent.alternatives[0][0] and "[Here the letter" not in sent.body


WITH_SIGNS = f"{LINK}?a=1&b=2"


@pytest.mark.parametrize("beside", ["", f", that is {letters.placeholder('link')}"])
@pytest.mark.parametrize("link", [LINK, WITH_SIGNS])
def test_a_letter_with_a_link_in_its_text_is_not_stored(db, link: str, beside: str) -> None:
    with pytest.raises(letters.CredentialInText) as refused:
        letters.queue(
            "refused",
            to="alice@example.com",
            context={"ground": f"See {link}{beside}", "request": None},
            key="x:1",
            now=NOW,
            credentials={"link": link, "code": CODE},
        )
    assert LINK not in str(refused.value) and not Letter.objects.exists()


def test_two_links_of_one_letter_have_words_of_their_own() -> None:
    assert letters.placeholder("stop_link") != letters.placeholder("link") != letters.placeholder("code")
    with pytest.raises(KeyError):
        letters.placeholder("password")


def test_only_the_sender_and_the_privacy_team_may_open_them() -> None:
    pair = ("privacy.letter", "credentials")
    page = matrix.matrix()
    assert {role for role, pairs in page.reads.items() if pair in pairs} == {"privacy", "system:letter"}
    assert {role for role, pairs in page.writes.items() if pair in pairs} == {"system:letter"}
    assert {role for role, pairs in page.reads.items() if ("privacy.letter", "letter") in pairs} > {"customer"}, (
        "control"
    )


# Ending


def test_they_end_in_the_step_that_marks_the_letter_sent(alice, outbox) -> None:
    letter = a_letter(request=filed(alice))
    assert LINK in opened(letter), "control: it waits"
    with_letters(NOW)
    assert is_gone(letter) and LINK not in opened(letter)
    assert [one.body.count(LINK) for one in outbox if LINK in one.body] == [1]


def test_a_mail_that_fails_keeps_them_for_the_next_attempt(alice, outbox, settings) -> None:
    letter = a_letter(request=filed(alice))
    working, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "tests.privacy.letters.test_sending.Broken"
    assert with_letters(NOW) == 0 and not is_gone(letter)
    settings.EMAIL_BACKEND = working
    with_letters(NOW + timedelta(hours=1))
    assert is_gone(letter) and any(LINK in one.body for one in outbox)


def test_they_end_when_the_paper_is_ticked_off(alice) -> None:
    letter = a_letter("", request=filed(alice))
    posting.mark_posted(letter, actor=OPERATOR, now=NOW)
    assert is_gone(letter)


def test_they_end_when_letters_are_stopped_or_burnt(alice) -> None:
    request = filed(alice)
    stopped, burnt = a_letter(request=request), a_letter(request=request, key="x:2")
    letters.stop(alice.subject_id, now=NOW)
    assert is_gone(stopped) and LINK not in opened(stopped)
    letters.burn(Letter.objects.filter(pk=burnt.pk), now=NOW)
    assert is_gone(burnt) and LINK not in opened(burnt)


def test_they_end_when_they_lapse_and_the_letter_never_goes_out_without_them(alice, outbox) -> None:
    letter = a_letter(request=filed(alice), until=NOW + timedelta(days=7))
    Letter.objects.filter(pk=letter.pk).update(next_attempt_at=NOW + timedelta(days=30))
    with_letters(NOW + timedelta(days=6))
    assert not is_gone(letter)
    with_letters(NOW + timedelta(days=7))
    letter.refresh_from_db()
    assert is_gone(letter) and letter.stopped_at == NOW + timedelta(days=7)
    assert audit.history(record=("privacy.letter", letter.pk)).filter(action="letter.lapsed").count() == 1
    with pytest.raises(letters.CannotSendAgain):
        letters.resend(letter, actor=OPERATOR, now=NOW + timedelta(days=8))


def test_a_letter_that_cannot_be_opened_now_is_tried_again_and_not_stopped(alice, outbox) -> None:
    request = filed(alice)
    request.letters.all().delete()
    for envelope in ("letter", "credentials"):
        letter = a_letter(request=request, key=envelope)
        DataKey.objects.filter(record=letter.pk, envelope=envelope).delete()
    assert with_letters(NOW) == 0 and outbox == []
    assert list(Letter.objects.values_list("last_error", "stopped_at")) == [("Unopened", None)] * 2
    assert not Letter.objects.exclude(next_attempt_at__gt=NOW).exists()


def test_the_row_of_a_backup_taken_before_the_sending_is_not_sent_again(alice, outbox) -> None:
    letter = a_letter(request=filed(alice))
    row = (
        Letter.objects.filter(pk=letter.pk).values("sealed_credentials", "sent_at", "next_attempt_at", "attempts").get()
    )
    with_letters(NOW)
    sent = len(outbox)
    Letter.objects.filter(pk=letter.pk).update(**row)
    with_letters(NOW + timedelta(minutes=1))
    letter.refresh_from_db()
    assert len(outbox) == sent and letter.stopped_at is not None
    Letter.objects.filter(pk=letter.pk).update(**row, stopped_at=None)
    gone = apply.Gone(record=letter.pk, label="privacy.letter", envelope="credentials", number=0, is_final=True)
    apply.end_again([gone], actor=OPERATOR, now=NOW)
    letter.refresh_from_db()
    assert letter.stopped_at is not None and letter.sealed_credentials is None and letter.sealed_letter is not None


# A demo, which has no mail server


def test_a_demo_prints_them_once(alice, settings) -> None:
    settings.DEMO, settings.EMAIL_BACKEND = True, DUMMY
    letter = a_letter(request=filed(alice))
    with_letters(NOW)
    letter.refresh_from_db()
    assert letter.sent_at == NOW and not is_gone(letter), "it counts as sent, so that requests go on"
    first, second = StringIO(), StringIO()
    call_command("outbox", "--last", "9", stdout=first)
    assert LINK in first.getvalue() and is_gone(letter)
    call_command("outbox", "--last", "9", stdout=second)
    assert LINK not in second.getvalue() and "a one-time link; it is not kept" in second.getvalue()


def test_a_letter_that_a_demo_prints_before_the_worker_came_has_gone_out(alice, settings) -> None:
    settings.DEMO, settings.EMAIL_BACKEND = True, DUMMY
    letter = a_letter(request=filed(alice))
    call_command("outbox", "--last", "9", stdout=StringIO())
    letter.refresh_from_db()
    assert letter.sent_at is not None and letter.stopped_at is None and with_letters(NOW) == 0


def test_a_demo_forgets_what_nobody_printed_when_it_lapses(alice, settings) -> None:
    settings.DEMO, settings.EMAIL_BACKEND = True, DUMMY
    letter = a_letter(request=filed(alice), until=NOW + timedelta(days=7))
    with_letters(NOW)
    with_letters(NOW + timedelta(days=7))
    letter.refresh_from_db()
    assert is_gone(letter) and letter.sent_at == NOW and letter.stopped_at is None


def test_a_demo_says_of_a_burned_letter_whether_it_was_posted_or_never_sent(alice, settings) -> None:
    settings.DEMO, settings.EMAIL_BACKEND = True, DUMMY
    posted, stopped = (a_letter(request=filed(alice), key=f"x:{one}") for one in range(2))
    Letter.objects.exclude(pk__in=[posted.pk, stopped.pk]).delete()
    Letter.objects.filter(pk=posted.pk).update(by=Letter.By.POST)
    letters.mark_posted(posted, actor=PRIVACY, now=NOW)
    letters.burn(Letter.objects.all(), now=NOW)
    call_command("outbox", stdout=(out := StringIO()))
    first, _, second, _ = out.getvalue().splitlines()
    assert "burned after it was posted; its row" in first and "burned without having been sent; its row" in second


def test_a_demo_prints_the_other_letters_when_the_row_of_one_cannot_be_written(alice, settings) -> None:
    settings.DEMO, settings.EMAIL_BACKEND = True, DUMMY
    request = filed(alice)
    stuck, other = (a_letter(request=request, key=f"x:{one}", link=f"{LINK}{one}/") for one in range(2))
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            "CREATE FUNCTION pg_temp.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE check_violation; END $$"
        )
        cursor.execute(
            "CREATE TRIGGER no BEFORE UPDATE ON privacy_letter FOR EACH ROW "
            f"WHEN (OLD.id = '{stuck.pk}') EXECUTE FUNCTION pg_temp.no()"
        )
    call_command("outbox", "--last", "2", stdout=(out := StringIO()))
    assert f"{LINK}0/" in out.getvalue() and f"{LINK}1/" in out.getvalue()
    assert not is_gone(stuck) and is_gone(other), "what is not marked is printed again"


def test_elsewhere_nothing_is_printed(alice, settings) -> None:
    settings.DEMO = False
    letter = a_letter(request=filed(alice))
    with pytest.raises(CommandError):
        call_command("outbox", stdout=StringIO())
    assert not is_gone(letter)


# Letters of earlier versions


def an_old_letter(kind: str = "password_reset_key", **columns: Any) -> Letter:
    """A letter as it was written before: the link in its text."""
    letter = Letter(
        kind=kind, key=f"old:{kind}:{Letter.objects.count()}", queued_at=NOW, to="alice@example.com", headline="Old",
        text=f"Choose one:\n\n{LINK}\n\nYour outcome code: {CODE}\nReference PR-2026-7K3M-9Q",
        html=f'<a href="{LINK}">{LINK}</a> {CODE}', is_apart=False, next_attempt_at=NOW, **columns,
    )  # fmt: skip
    letter.save()
    return letter


@pytest.mark.parametrize("column", ["sent_at", "stopped_at"])
def test_links_and_codes_of_old_letters_that_are_done_end(db, column) -> None:
    letter = an_old_letter("acknowledgement", **{column: NOW})
    old_key = keys.alive([(letter.pk, "letter")])
    assert LINK in opened(letter) and CODE in opened(letter), "control"
    assert letters.set_apart() == 1 and letters.set_apart() == 0, "safe to repeat"
    shown = opened(letter)
    assert LINK not in shown and CODE not in shown and "PR-2026-7K3M-9Q" in shown
    assert shown.count("gives a one-time link;") == 3 and shown.count("gives a code;") == 2
    assert Letter.objects.get().sealed_credentials is None
    assert len(old_key) == 1


@pytest.mark.django_db(transaction=True)
def test_the_old_text_opens_in_no_backup() -> None:
    letter = an_old_letter(sent_at=NOW)
    sealed = Letter.objects.values_list("sealed_letter", flat=True).get()
    letters.set_apart()
    Letter.objects.update(sealed_letter=sealed)
    assert LINK not in opened(letter)


def test_an_old_letter_that_waits_goes_out_whole_and_keeps_nothing(db, outbox) -> None:
    letter = an_old_letter()
    assert with_letters(NOW) == 1
    assert LINK in outbox[0].body and f'href="{LINK}"' in outbox[0].alternatives[0][0]
    assert is_gone(letter) and LINK not in opened(letter)


def test_a_row_that_an_old_process_writes_during_the_upgrade_is_looked_at(db) -> None:
    letter = an_old_letter(sent_at=NOW)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO privacy_letter (id, kind, key, by, queued_at, attempts, last_error) "
            "SELECT gen_random_uuid(), kind, 'another', by, queued_at, 0, '' FROM privacy_letter RETURNING is_apart"
        )
        assert cursor.fetchone() == (False,)
    assert letter.pk and letters.set_apart() == 2


def test_an_old_letter_whose_key_is_out_of_reach_waits_and_a_burnt_one_says_nothing(db) -> None:
    lost, burnt, half = (an_old_letter(name, sent_at=NOW) for name in ("lost", "burnt", "half"))
    DataKey.objects.filter(record=lost.pk).delete()
    letters.burn(Letter.objects.filter(pk=burnt.pk), now=NOW)
    keys.destroy([(half.pk, "letter")], now=NOW)  # and the worker was killed before the row
    assert letters.set_apart() == 2
    assert list(Letter.objects.filter(is_apart=False)) == [lost]


# What a stranger can have sent


def test_an_address_gets_five_letters_of_a_kind_a_day_and_the_answer_does_not_change(client, alice, settings) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"reset_password": "1000/m/ip"}  # those of a minute, away

    def reset(email: str) -> Any:
        answer = client.post("/accounts/password/reset/", {"email": email}, follow=True)
        return answer.status_code, answer.redirect_chain, re.sub(r'value="\w{20,}"', "", answer.text)

    seen = [reset("alice@example.com") for _ in range(8)] + [reset("ALICE@example.com")]
    assert Letter.objects.filter(kind="password_reset_key").count() == letters.MOST_A_DAY
    seen += [reset("nobody@example.com") for _ in range(8)]
    assert Letter.objects.filter(kind="unknown_account").count() == letters.MOST_A_DAY
    assert all(one == seen[0] for one in seen), "whoever asks sees the same, before and after"


def test_the_cap_begins_anew_each_day_and_for_each_address(db, settings) -> None:
    asked = [letters.within_cap("x", "alice@example.com", now=NOW) for _ in range(7)]
    assert asked == [True] * 5 + [False] * 2
    assert letters.within_cap("x", "bob@example.com", now=NOW) and letters.within_cap("y", "alice@example.com", now=NOW)
    assert letters.within_cap("x", "alice@example.com", now=NOW + timedelta(days=1))
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert letters.within_cap("x", "alice@example.com", now=NOW), "what a cache has lost holds no letter back"


def test_links_and_receipts_for_what_a_stranger_asks_again_and_again_stop_too(alice, bob) -> None:
    for hour in range(9):
        filing.ask(kind="access", email="alice@example.com", actor=ANYBODY, now=NOW.replace(hour=hour + 5))
    assert Letter.objects.filter(kind="link_identity").count() == letters.MOST_A_DAY
    filed(alice, "erasure")
    own = Letter.objects.filter(kind="acknowledgement").count()
    for _ in range(9):
        filing.ask(kind="erasure", email="alice@example.com", actor=ANYBODY, now=NOW)
    assert Letter.objects.filter(kind="acknowledgement").count() == own + letters.MOST_A_DAY
    taken_in("access", bob.subject_id, channel="phone", identity="in_person", actor=OPERATOR)
    for hour in range(1, 9):
        filing.ask(kind="access", email="bob@example.com", actor=ANYBODY, now=NOW + timedelta(hours=hour))
    assert Letter.objects.filter(kind="link_result").count() == letters.MOST_A_DAY

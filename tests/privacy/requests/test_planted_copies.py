"""Rows of copies that another program wrote: no file outside the folder goes, nobody is told of a copy that is not
there, and none outlives its week."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.utils.html import strip_tags

from accounts import upgrades
from accounts.models import Customer
from privacy import audit, vault
from privacy.requests import answer, bound, closing, export, given_out, second, waits
from privacy.requests.models import Export, Request, SecondLook
from privacy.requests.states import State
from privacy.vault import stream
from privacy.vault.keystore import once
from privacy.vault.models import DataKey, Once
from privacy.views import ends
from tests import factories, pages, roles
from tests.asked import NOW, OPERATOR, Clock, filed, run
from tests.factories import as_customer
from tests.privacy.requests.test_planted_letters import PLANTED, until

pytestmark = pytest.mark.django_db
WEEK = timedelta(days=7)
BEING_MADE = "A new copy is being made, as a rule within minutes."
NOT_YET = "a new copy is made once our staff have looked at this request."


def planted(request: Request, path: str, **columns: object) -> Export:
    return Export.objects.create(request=request, path=path, **{"built_at": NOW, "expires_at": NOW + WEEK, **columns})


def made(customer: Customer) -> Request:
    request = filed(customer, "access")
    run(request)
    assert request.state == State.REPLIED
    return request


def fetched(request: Request) -> int:
    owner = Customer.objects.get(subject_id=request.subject_id)
    _, pieces = export.fetch(request, actor=as_customer(owner), now=NOW)
    return sum(map(len, pieces))


def age_keys(days: int) -> None:
    DataKey.objects.filter(envelope=bound.FILE).update(created_at=Now() - timedelta(days=days))


@pytest.mark.parametrize("path", ["../ledger", "{tmp}/ring", f"{'0' * 32}.sealed/../../ledger", ""])
def test_no_row_leads_to_a_file_outside_the_folder_of_copies(alice, bob, tmp_path: Path, path: str) -> None:
    request, path = made(alice), path.format(tmp=tmp_path)
    with pytest.raises(IntegrityError), transaction.atomic():
        planted(request, path, deleted_at=NOW)
    due = Export.objects.get()  # a true copy: it goes all the same
    due.expires_at = NOW
    bound.sign_file(due)
    due.save()
    with connection.cursor() as cursor:  # a row of before
        cursor.execute(
            "SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE privacy_export DROP CONSTRAINT copy_is_in_its_folder"
        )
    outside = [export.folder().parent / "ledger", tmp_path / "ring"]
    for file in outside:
        file.write_text("ours")
    row = planted(filed(bob, "access"), path, expires_at=NOW)
    export.expire(now=NOW)
    assert [file.read_text() for file in outside] == ["ours", "ours"]
    row.refresh_from_db()
    assert row.deleted_at == NOW and not Export.objects.filter(deleted_at=None).exists()
    for file in outside:
        file.unlink()


def test_a_planted_row_is_no_copy_and_the_true_one_is_made_in_its_place(alice) -> None:
    request = filed(alice, "access")
    row = planted(request, f"{'0' * 32}.sealed")
    assert export.live(request) is None and not export.has_left(alice.subject_id, now=NOW)
    run(request)
    row.refresh_from_db()
    assert row.deleted_at is not None
    copy = export.live(request)
    assert request.state == State.REPLIED and copy is not None and fetched(request) == copy.size


def test_a_copy_whose_file_is_gone_is_none(alice) -> None:
    request = made(alice)
    for file in export.folder().iterdir():
        file.unlink()
    assert export.live(request) is None and export.left(request, now=NOW) == []
    with pytest.raises(export.NoCopy):
        fetched(request)


def test_a_damaged_copy_is_called_ready_nowhere_answers_nothing_and_is_made_anew(alice) -> None:
    request = filed(alice, "access")
    asked = {"reference": request.reference, "code": factories.code_of(request)}
    run(request)
    copy = Export.objects.get()
    file, browser = export.folder() / copy.path, pages.signed_in(alice.user, again=True)
    sealed = file.read_bytes()
    here, clerk = (
        f"/privacy/requests/{request.pk}/",
        pages.signed_in(factories.staff("pat", roles=("privacy",)), again=True),
    )
    with time_machine.travel(NOW, tick=False):
        for content in (b"", sealed[:-1], sealed[: len(sealed) // 2], b"x" * len(sealed), sealed + b"x", None):
            file.unlink()
            os.mkfifo(file) if content is None else file.write_bytes(content)
            said = pages.check(browser.get(here))
            assert "Your copy cannot be fetched" in said and "Your copy is ready" not in said
            assert "Ask for the copy again" in said and "being made" not in said
            assert export.left(request, now=NOW) == [] and not export.has_left(alice.subject_id, now=NOW)
            staff = pages.read(clerk.get(f"/admin/privacy/request/{request.pk}/change/", follow=True))
            assert "cannot be fetched: its file is damaged" in staff
        by_code = Client()
        assert "Ask for the copy again" in pages.check(by_code.post("/privacy/outcome/", asked))
        assert "Ask for the copy again" in pages.check(by_code.get(here)), "its reader can ask"
        said = pages.check(browser.post(f"{here}export/", follow=True))
        assert BEING_MADE in said and "Ask for the copy again" not in said and "Your copy cannot" not in said
        by = strip_tags(clerk.get(f"/admin/privacy/request/{request.pk}/history/", follow=True).text)
        assert "Copy found damaged – one of our programs" in " ".join(by.split()), "what found it"
        browser.post(f"{here}export/")  # told once
        copy.refresh_from_db()
        told = audit.history(reference=request.reference)
        assert copy.downloads == 0 and not told.filter(action__in=("copy.begun", "copy.fetched")).exists()
        assert told.filter(action="copy.damaged").count() == 1
        export.delete(copy, now=NOW)  # so far the worker has come: the old one has gone, the new one is not there yet
        said = pages.check(browser.get(here))
        assert BEING_MADE in said and "because you wanted that" not in said
        Request.objects.filter(pk=request.pk).update(state=State.PARKED, parked_from=State.REPLIED)
        bound.seal([request.pk])
        said = pages.check(browser.get(here))
        assert NOT_YET in said and BEING_MADE not in said and "Ask for the copy again" not in said
        Request.objects.filter(pk=request.pk).update(state=State.REPLIED, parked_from="")
        bound.seal([request.pk])
        run(request)
        assert request.state == State.REPLIED and export.live(request) is not None
        said = pages.check(browser.get(here))
        assert "Your copy is ready" in said and BEING_MADE not in said
        copy.refresh_from_db()
        assert copy.deleted_at is not None and fetched(request) == Export.objects.get(deleted_at=None).size
        run(request)
        assert request.state == State.CLOSED


def test_a_copy_that_breaks_off_is_not_fetched_and_is_told_as_gone_out_in_part(alice, monkeypatch) -> None:
    monkeypatch.setattr(stream, "CHUNK", 1024)
    request = made(alice)
    copy = Export.objects.get()
    file = export.folder() / copy.path
    sealed = bytearray(file.read_bytes())
    sealed[len(sealed) // 2] ^= 1
    file.write_bytes(sealed)
    assert export.live(request) is not None, "head and end are whole"
    _, pieces = export.fetch(request, actor=as_customer(alice), now=NOW)
    with pytest.raises(stream.StreamDamaged):
        list(pieces)
    copy.refresh_from_db()
    assert copy.downloads == 0 and not given_out.is_fetched(request)
    assert second.gone_out(request) == second.FETCHED and second.how_often(request) == "once, wholly or in part"
    assert export.live(request) is None and export.damaged(request) == copy
    run(request)
    assert request.state == State.REPLIED and fetched(request) and second.how_often(request).startswith("2 times")
    _, pieces = export.fetch(request, actor=as_customer(alice), now=NOW)
    next(pieces)
    pieces.close()
    assert audit.history(reference=request.reference).filter(action="copy.fetched").count() == 1, "who leaves has not"


def test_a_copy_that_was_damaged_all_its_week_does_not_close_its_request(alice) -> None:
    request, clock = made(alice), Clock()
    (export.folder() / Export.objects.get().path).write_bytes(b"x")
    clock.now = NOW + timedelta(days=8)
    assert export.expire(now=clock.now) == 1
    assert ends.of_copy(request, now=clock.now) == "" and ends.new_copy(request, now=clock.now) == ends.BEING_MADE
    run(request, clock)
    assert request.state == State.REPLIED and export.live(request) is not None
    assert ends.new_copy(request, now=clock.now) == ""
    clock.now = NOW + timedelta(days=16)
    assert export.expire(now=clock.now) == 1
    run(request, clock)
    assert request.state == State.CLOSED, "a whole one was there for a week"


def test_a_damaged_copy_that_somebody_has_ended_is_not_made_again(alice, bob) -> None:
    hers, his = made(alice), made(bob)
    for request in (hers, his):
        (export.folder() / Export.objects.get(request=request).path).write_bytes(b"x")
    with pytest.raises(export.CopyDamaged):
        export.fetch(hers, actor=as_customer(alice), now=NOW)
    export.destroy(hers, actor=as_customer(alice), now=NOW)
    with pytest.raises(export.CopyDamaged):
        export.fetch(his, actor=as_customer(bob), now=NOW)
    waits.ask(his, SecondLook.Why.NOT_ME, actor=None, now=NOW)
    run(his)
    assert export.live(his) is None and his.state == State.REPLIED, "nothing is made while a question is open"
    second.decide(his, "end", actor=OPERATOR, now=NOW)
    for request in (hers, his):
        run(request, Clock(NOW + timedelta(hours=1)))
        assert request.state == State.CLOSED and not Export.objects.filter(request=request, deleted_at=None).exists()


def test_a_copy_that_a_second_person_ended_before_its_answer_closes_without_one(alice) -> None:
    request, clock = filed(alice, "access"), Clock()
    until(request, "letter", clock)
    waits.ask(request, SecondLook.Why.NOT_ME, actor=None, now=NOW)
    second.decide(request, "end", actor=OPERATOR, now=NOW)
    until(request, "close", clock)
    roles.run(PLANTED.format(key=answer.key(request), pk=request.pk))
    run(request, clock)
    assert request.state == State.CLOSED and not request.letters.filter(kind="copy_ready").exists()
    assert not Export.objects.filter(deleted_at=None).exists() and not list(export.folder().iterdir())


def test_of_a_copy_whose_person_is_gone_no_other_one_can_be_made(alice) -> None:
    request = made(alice)
    (export.folder() / Export.objects.get().path).unlink()
    Request.objects.filter(pk=request.pk).update(next_action_at=NOW)
    request.subject_id = None
    with pytest.raises(export.CopyDamaged):
        closing.close(request, NOW)


def test_a_copy_with_another_week_is_given_out_no_more_and_ends_with_the_age_of_its_key(alice) -> None:
    request = made(alice)
    Export.objects.update(expires_at=NOW + timedelta(days=30_000))
    assert export.live(request) is None and export.left(request, now=NOW) == []
    with pytest.raises(export.NoCopy):
        fetched(request)
    assert bound.seal([request.pk]) == 1 and export.live(request) is None, "nor once an operator sealed the request"
    age_keys(6)
    assert export.expire(now=NOW + WEEK) == 0
    age_keys(7)
    assert export.expire(now=NOW + WEEK) == 1
    assert not list(export.folder().iterdir()) and bound.have_ended([Export.objects.get().pk])


def test_a_key_without_a_row_ends_with_its_week(alice) -> None:
    request = made(alice)
    pk = Export.objects.get().pk
    Export.objects.all().delete()
    age_keys(7)
    export.expire(now=NOW + WEEK)
    assert request.state == State.REPLIED and bound.have_ended([pk])


@pytest.mark.parametrize("is_deleted", [False, True], ids=["called ended", "taken away"])
def test_a_request_whose_copy_was_hidden_is_not_closed_as_answered(alice, is_deleted: bool) -> None:
    request, clock = made(alice), Clock()
    if is_deleted:
        Export.objects.all().delete()
    else:
        Export.objects.update(deleted_at=NOW)
    clock.now = NOW + timedelta(days=8)
    run(request, clock)
    assert (request.state, request.last_error) == (State.REPLIED, "NotOurs")


def test_the_week_of_a_copy_of_before_is_signed_once_where_it_is_one(alice, bob) -> None:
    hers, his = made(alice), made(bob)
    for one in Export.objects.all():
        Export.objects.filter(pk=one.pk).update(mac=vault.mac_of("request-file", one.pk, one.request_id, one.path))
    Export.objects.filter(request=his).update(expires_at=NOW + timedelta(days=9))
    Once.objects.filter(step=once.WEEKS).delete()
    assert export.live(hers) is None
    upgrades.bind_rows(now=NOW)
    assert export.live(hers) is not None and export.live(his) is None
    Export.objects.filter(request=his).update(expires_at=NOW + WEEK)
    upgrades.bind_rows(now=NOW)
    assert export.live(his) is None, "a second time it would make valid what was planted meanwhile"

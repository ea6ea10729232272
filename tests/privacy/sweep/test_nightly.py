"""The sweep ends what is due, only that, once; and refuses whenever something is odd."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import ContactPoint
from orders.models import Order
from orders.personal_data import order_facts
from privacy import letters, subjects, tasks, vault
from privacy.actor import Actor
from privacy.audit.models import AuditEvent
from privacy.gate.system import system
from privacy.letters.models import Letter
from privacy.requests import assessment, erasure, posting, services
from privacy.requests.models import Request
from privacy.retention import decided, holds
from privacy.retention.models import Decision
from privacy.retention.verdict import Verdict
from privacy.sweep import arming, nightly, notices
from privacy.sweep.models import EndNotice, SweepState
from privacy.sweep.report import SweepReport
from tests import roles
from tests.asked import OPERATOR
from tests.factories import TASK, a_customer, an_order

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
LAST_DAY, FIRST_DAY = date(2026, 12, 31), date(2027, 1, 1)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _demo(settings: Any) -> None:
    """Let the sweep go to any day: the tests choose the days, not the clock of the machine."""
    settings.DEMO = True


@pytest.fixture
def armed() -> SweepState:
    return arming.arm(actor=TASK)


def bought(year: int, *, reference: str = "", active: date = date(2026, 11, 1), **more: Any) -> Order:
    """An order shipped and paid in June of `year`, of somebody whose account is still used."""
    day = date(year, 6, 10)
    customer = more.pop("customer", None) or a_customer(reference, last_active_on=active)
    order = an_order(customer, day, invoiced=day, shipped=day, paid=day, **more)
    type(customer).objects.filter(pk=customer.pk).update(last_active_on=active)
    return order


def run(on: date, *, dry_run: bool = False) -> SweepReport:
    return nightly.sweep(on=on, dry_run=dry_run, actor=TASK)


def counts(report: SweepReport) -> tuple[int, int, int, int]:
    return report.due, report.erased, report.kept, report.stopped_by_cap


def is_readable(order: Order, envelope: str = "order") -> bool:
    found = Order.objects.filter(pk=order.pk).values_list(f"sealed_{envelope}", flat=True).first()
    return found is not None and not vault.keys.is_destroyed(order.pk, envelope)


# What goes and what stays ------------------------------------------------------------------------------------------


def test_what_is_due_goes_and_what_is_not_stays(armed: SweepState) -> None:
    old, young = bought(2018), bought(2019)
    report = run(LAST_DAY)
    assert report.due_by_label == {"orders.order": 1}
    assert counts(report) == (1, 1, 0, 0)
    assert not is_readable(old)
    assert not is_readable(old, "fulfilment")
    assert is_readable(young)
    kept = Order.objects.get(pk=old.pk)
    assert kept.customer_id is None
    assert kept.total > 0


def test_nothing_of_2019_goes_on_the_last_day_and_all_of_it_on_the_first_and_twice_is_once(armed: SweepState) -> None:
    order = bought(2019)
    assert run(LAST_DAY).due == 0
    assert is_readable(order)
    assert run(FIRST_DAY).erased == 1
    assert counts(run(FIRST_DAY)) == (0, 0, 0, 0)
    assert AuditEvent.objects.filter(action="record.erased").count() == 1


def unused(active: date = date(2023, 6, 10)) -> Order:
    """An order of somebody who has not been here since."""
    return bought(2023, active=active)


def is_known(order: Order) -> bool:
    assert order.customer_id is not None
    return not vault.keys.is_destroyed(order.customer_id, "account")


def swept(on: date) -> SweepReport:
    """Like the nightly task: as the program, which may open an address to write to it."""
    with system("sweep"):
        return run(on)


def went_out(on: date) -> int:
    """Let what waits in the outbox go out on that day, by e-mail or ticked off as posted; return how many letters."""
    at = datetime(on.year, on.month, on.day, 15, tzinfo=UTC)
    waiting = list(Letter.objects.filter(sent_at=None, stopped_at=None))
    with system("letter"):
        for letter in waiting:
            if letter.by == Letter.By.POST:
                posting.mark_posted(letter, actor=TASK, now=at)
            else:
                Letter.objects.filter(pk=letter.pk).update(next_attempt_at=at)
                assert letters.send(letter.pk, now=at)
    return len(waiting)


def test_a_warning_that_nobody_posted_ends_no_account_and_is_not_written_twice(armed: SweepState) -> None:
    order = unused()
    assert swept(date(2026, 11, 1)).warned == 1
    for day in (date(2026, 12, 1), date(2027, 3, 1), date(2028, 1, 1)):
        found = swept(day)
        assert (found.erased, found.kept, found.warned) == (0, 1, 0)
    assert is_known(order)
    assert Letter.objects.filter(by=Letter.By.POST, sent_at=None, stopped_at=None).count() == 1
    assert EndNotice.objects.get().told_on is None
    Letter.objects.update(sent_at=NOW)
    EndNotice.objects.update(told_on=date(2026, 11, 1))
    found = swept(date(2028, 1, 1))
    assert (found.kept, found.warned) == (1, 1) and is_known(order), "rows alone say that it went out"


def test_a_warning_counts_from_the_day_on_which_it_was_ticked_off_as_posted(armed: SweepState) -> None:
    order = unused()
    swept(date(2026, 11, 1))
    with system("letter"):
        text = Letter.objects.get().text
    assert "not before 1 December 2026, and not before 30 days after this letter was posted" in text
    assert went_out(date(2026, 12, 10)) == 1
    assert swept(date(2027, 1, 8)).erased == 0, "the 29th day"
    assert is_known(order)
    assert swept(date(2027, 1, 9)).erased == 1
    assert EndNotice.objects.values_list("told_on", flat=True).first() in (None, date(2026, 12, 10))
    assert not is_known(order)


def test_the_day_of_a_warning_stands_when_its_letter_is_gone(armed: SweepState) -> None:
    order = unused()
    swept(date(2026, 11, 1))
    went_out(date(2026, 11, 3))
    assert nightly.sweep(on=date(2026, 11, 20), dry_run=True, actor=TASK).due == 1
    assert EndNotice.objects.get().told_on is None, "a dry run writes nothing"
    swept(date(2026, 11, 20))
    assert EndNotice.objects.get().told_on == date(2026, 11, 3)
    Letter.objects.all().delete()
    assert swept(date(2026, 12, 2)).erased == 0
    assert swept(date(2026, 12, 3)).erased == 1
    assert not is_known(order)


def test_a_warning_whose_letter_was_stopped_is_written_anew(armed: SweepState) -> None:
    order = unused()
    swept(date(2026, 11, 1))
    Letter.objects.update(stopped_at=NOW)
    assert swept(date(2026, 12, 1)).warned == 1
    went_out(date(2026, 12, 2))
    swept(date(2026, 12, 31))
    assert is_known(order)
    swept(date(2027, 1, 1))
    assert not is_known(order)


def test_a_warning_that_is_out_of_date_is_posted_no_more(armed: SweepState) -> None:
    order = unused()
    swept(date(2026, 11, 1))
    type(order.customer).objects.filter(pk=order.customer_id).update(last_active_on=date(2026, 11, 5))
    assert swept(date(2029, 11, 6)).warned == 1
    first, second = Letter.objects.order_by("queued_at", "id")
    assert first.stopped_at is not None and second.stopped_at is None


def test_an_account_that_was_kept_is_sent_no_warning_any_more(armed: SweepState) -> None:
    order = unused()
    swept(date(2026, 11, 1))
    notices.keep_for(order.customer.subject_id, reason="phone", actor=TASK, now=NOW)
    assert Letter.objects.get().stopped_at == NOW


def test_an_unused_account_is_warned_first_and_goes_thirty_days_later_and_its_young_order_stays(
    armed: SweepState,
) -> None:
    order = unused()
    ContactPoint.objects.create(
        customer=order.customer, channel="email", came="created", since=datetime(2023, 6, 10, tzinfo=UTC)
    )
    found = swept(date(2026, 11, 1))
    assert (counts(found), found.warned) == ((1, 0, 1, 0), 1)
    bound = EndNotice.objects.get().mac
    EndNotice.objects.update(mac="")  # as the version before wrote it
    assert (notices.bind_all(), notices.bind_all(), EndNotice.objects.get().mac) == (1, 0, bound)
    with system("letter"):
        letter = Letter.objects.get()
        assert letter.to.endswith("@post.example")
        assert "not before 1 December 2026, and not before 30 days after this letter was sent" in letter.text
    went_out(date(2026, 11, 1))
    assert (swept(date(2026, 11, 30)).erased, swept(date(2026, 11, 30)).warned) == (0, 0)
    told = EndNotice.objects.get()
    assert told.told_on == date(2026, 11, 1) and notices.is_ours(told)
    EndNotice.objects.update(mac=bound)  # as the version before wrote it down
    assert not notices.is_ours(EndNotice.objects.get())
    assert (notices.bind_told(now=NOW), notices.bind_told(now=NOW), EndNotice.objects.get().mac) == (1, 0, told.mac)
    assert is_known(order)
    assert swept(date(2026, 12, 1)).due_by_label == {"accounts.customer": 1}
    assert not is_known(order)
    assert is_readable(order)
    assert Letter.objects.count() == 1
    with pytest.raises(notices.NoticeGone):
        notices.keep_for(order.customer.subject_id, reason="phone", actor=TASK, now=NOW)


def test_an_account_that_ends_soon_is_warned_thirty_days_before(armed: SweepState) -> None:
    unused(date(2023, 12, 1))  # ends with 1 December 2026
    assert swept(date(2026, 11, 1)).warned == 0
    found = swept(date(2026, 11, 2))
    assert (found.due, found.warned) == (0, 1)
    went_out(date(2026, 11, 2))
    assert swept(date(2026, 12, 1)).erased == 0
    assert swept(date(2026, 12, 2)).erased == 1


def test_a_warning_is_written_once_a_day_and_kept_for_a_reason_that_has_a_word() -> None:
    subject, day = unused().customer.subject_id, date(2026, 11, 2)
    with system("sweep"):
        news = [notices.warn(subject, on=day, ends_after=date(2026, 12, 2), now=NOW) for _ in range(2)]
    assert news == [True, False]
    assert (EndNotice.objects.count(), Letter.objects.filter(kind=notices.KIND).count()) == (1, 1)
    with pytest.raises(notices.CannotKeep, match="how the person told us"):
        notices.keep_for(subject, reason="by pigeon", actor=TASK, now=NOW)
    nobody = subjects.create(now=NOW).pk
    with pytest.raises(notices.CannotKeep, match="If the person has a login, it is kept by signing in once"):
        notices.keep_for(nobody, reason="phone", actor=TASK, now=NOW)
    me = Actor("customer", None, nobody, frozenset({"customer"}), "own data")
    with pytest.raises(notices.CannotKeep, match="If you have a login, sign in once"):
        notices.keep_for(nobody, reason="phone", actor=me, now=NOW)


def test_what_was_told_of_a_kind_of_record_that_no_app_has_any_more_stops_nothing(armed: SweepState) -> None:
    order = bought(2019)
    request = Request.objects.create(
        kind="erasure", state="closed", received_on=FIRST_DAY, due_on=FIRST_DAY, legal_due_on=FIRST_DAY, filed_at=NOW
    )
    Decision.objects.create(
        request=request, label="crm.lead", record_id=order.pk, envelope="lead", action="keep", pinned=True,
        until=date(2020, 1, 1), data=[], code="TAX",
    )  # fmt: skip
    assert run(FIRST_DAY).erased == 1
    assert Decision.objects.get().done_at is None


def test_whoever_came_back_is_warned_anew(armed: SweepState) -> None:
    order = unused()
    swept(date(2026, 11, 1))
    went_out(date(2026, 11, 1))
    type(order.customer).objects.filter(pk=order.customer_id).update(last_active_on=date(2026, 11, 5))
    assert swept(date(2026, 12, 10)).due == 0
    assert swept(date(2029, 11, 6)).warned == 1
    went_out(date(2029, 11, 6))
    assert is_known(order)
    assert swept(date(2029, 12, 6)).erased >= 1
    assert not is_known(order)


def test_no_more_people_are_warned_in_a_night_than_may_be_ended(
    armed: SweepState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nightly, "CAP_LEAST", 2)
    for _ in range(3):
        unused()
    assert swept(date(2026, 11, 1)).warned == 2
    assert swept(date(2026, 11, 2)).warned == 1


def test_whose_record_is_held_is_not_warned(armed: SweepState) -> None:
    order = unused()
    holds.place("accounts.customer", order.customer_id, reason="claim", actor=TASK, now=NOW)
    assert swept(date(2026, 11, 1)).warned == 0


def test_an_account_that_was_hung_on_nobody_or_somebody_else_stays_and_is_found(armed: SweepState) -> None:
    order, open_order = unused(), an_order(a_customer(), date(2019, 1, 1))
    hers, other = order.customer.subject_id, subjects.create(now=NOW).pk
    hang = "UPDATE accounts_customer SET last_active_on = '2019-01-01', subject_id = {} WHERE id = '{}'"
    roles.run(hang.format("NULL", open_order.customer_id))
    for subject in (f"'{other}'", "NULL"):
        roles.run(hang.format(subject, order.customer_id))
        found = swept(date(2026, 11, 1))
        assert (found.warned, found.erased, is_known(order), is_known(open_order)) == (0, 0, True, True)
        owners = {one.record for one in found.findings if (one.step, one.error) == ("owner", "NotOurs")}
        assert owners == {str(order.customer_id), str(open_order.customer_id)}
    roles.run(hang.format(f"'{hers}'", order.customer_id))
    assert swept(date(2026, 11, 1)).warned == 1, "the control"


def test_an_account_with_an_open_order_stays_however_long_it_was_not_used(armed: SweepState) -> None:
    customer = a_customer(last_active_on=date(2019, 1, 1))
    an_order(customer, date(2019, 1, 1))
    type(customer).objects.filter(pk=customer.pk).update(last_active_on=date(2019, 1, 1))
    assert run(LAST_DAY).due == 0


# Dry run, arming, clock --------------------------------------------------------------------------------------------


def test_a_dry_run_counts_and_changes_nothing_and_needs_no_arming() -> None:
    order = bought(2018)
    report = run(LAST_DAY, dry_run=True)
    assert (report.due, report.erased) == (1, 0)
    assert is_readable(order)
    assert not SweepState.objects.exists()


def test_a_new_installation_is_unarmed() -> None:
    order = bought(2018)
    with pytest.raises(arming.NotArmed):
        run(LAST_DAY)
    assert is_readable(order)
    arming.arm(actor=TASK)
    assert arming.is_armed()
    arming.disarm(actor=TASK)
    with pytest.raises(arming.NotArmed):
        run(LAST_DAY)
    assert list(AuditEvent.objects.filter(action__startswith="retention.").values_list("action", flat=True)) == [
        "retention.armed",
        "retention.disarmed",
    ]


def test_a_day_that_has_not_come_is_only_counted_outside_the_launchers_servers(
    armed: SweepState, settings: Any
) -> None:
    settings.DEMO = False
    order = bought(2018)
    with pytest.raises(arming.FutureDay):
        run(date(2999, 1, 1))
    assert run(date(2999, 1, 1), dry_run=True).due >= 1
    assert is_readable(order)


@pytest.mark.parametrize("jump", [timedelta(hours=49), timedelta(seconds=-1)])
def test_a_clock_that_jumped_stops_the_sweep_until_somebody_looked(armed: SweepState, jump: timedelta) -> None:
    order = bought(2018)
    SweepState.objects.update(
        marked_at=arming.database_now() - jump + (timedelta(minutes=1) if jump < timedelta(0) else timedelta(0))
    )
    with pytest.raises(arming.ClockJumped):
        run(LAST_DAY)
    assert tasks.sweep() == {"refused": "ClockJumped"}
    assert is_readable(order)
    arming.arm(actor=TASK)
    assert run(LAST_DAY).erased == 1


def test_two_sweeps_never_run_at_once(armed: SweepState) -> None:
    order = bought(2018)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [arming.LOCK])
            with pytest.raises(arming.AlreadyRunning):
                run(LAST_DAY)
            cursor.execute("SELECT pg_advisory_unlock(%s)", [arming.LOCK])
    finally:
        other.close()  # alone it gives the lock back some time later
    assert is_readable(order)
    assert run(LAST_DAY).erased == 1


def test_each_run_moves_the_mark(armed: SweepState) -> None:
    SweepState.objects.update(marked_at=arming.database_now() - timedelta(hours=47))
    before = arming.database_now()
    run(LAST_DAY)
    state = SweepState.objects.get()
    assert state.marked_at is not None
    assert state.marked_at >= before
    assert state.last_report["on"] == LAST_DAY.isoformat()


# Cap, batches, kills -----------------------------------------------------------------------------------------------


def test_the_cap_is_twenty_people_or_one_in_a_hundred() -> None:
    assert nightly.cap() == 20
    vault.keys.make(
        [vault.keys.Wanted(uuid4(), "account", "accounts.customer", ("subject", uuid4())) for _ in range(2100)]
    )
    assert nightly.cap() == 21


def test_the_cap_stops_a_run_and_says_how_much_is_left(armed: SweepState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nightly, "CAP_LEAST", 3)
    for _ in range(5):
        bought(2018)
    assert counts(run(LAST_DAY, dry_run=True)) == (5, 0, 0, 2)
    assert counts(run(LAST_DAY)) == (5, 3, 0, 2)
    for _ in range(2):  # asked for again by the same message, or after a worker was lost
        assert counts(run(LAST_DAY)) == (2, 0, 0, 2)
    assert counts(run(LAST_DAY + timedelta(days=1))) == (2, 2, 0, 0)


def test_a_run_that_was_lost_half_way_leaves_the_rest_of_its_night_only(
    armed: SweepState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nightly, "CAP_LEAST", 3)
    for _ in range(5):
        bought(2018)
    erase = erasure.erase_records

    def killed(*args: Any, **more: Any) -> None:
        erase(*args, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(erasure, "erase_records", killed)
        run(LAST_DAY)
    assert counts(run(LAST_DAY))[1] == 0
    assert counts(nightly.sweep(on=LAST_DAY, dry_run=False, actor=OPERATOR))[1] == 2, "an operator looked"


def test_one_person_with_many_orders_counts_once_against_the_cap(
    armed: SweepState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nightly, "CAP_LEAST", 1)
    first = bought(2018)
    for _ in range(3):
        bought(2018, customer=first.customer)
    assert counts(run(LAST_DAY)) == (4, 4, 0, 0)


def test_what_people_were_told_goes_first_and_outside_the_cap(
    armed: SweepState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nightly, "CAP_LEAST", 1)
    told = [bought(2018) for _ in range(3)]
    for order in told:
        tell(order, until=date(2025, 12, 31))
    others = [bought(2018) for _ in range(3)]
    assert counts(run(LAST_DAY)) == (6, 4, 0, 2)
    assert not any(is_readable(order) for order in told)
    assert sum(is_readable(order) for order in others) == 2


def test_a_run_that_is_killed_between_two_batches_is_finished_by_the_next(
    armed: SweepState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nightly, "BATCH", 2)
    found = [bought(2018) for _ in range(5)]
    real, calls = erasure.erase_records, []

    def dies(verdicts: Sequence[Verdict], **more: Any) -> Any:
        calls.append(len(verdicts))
        if len(calls) == 2:
            raise SystemExit("killed")
        return real(verdicts, **more)

    monkeypatch.setattr(erasure, "erase_records", dies)
    with pytest.raises(SystemExit):
        run(LAST_DAY)
    assert sum(is_readable(order) for order in found) == 3
    assert counts(run(LAST_DAY)) == (3, 3, 0, 0)
    assert not any(is_readable(order) for order in found)


def test_the_work_does_not_grow_with_what_is_not_due(armed: SweepState) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            run(LAST_DAY)
        return len(context)

    young = bought(2024)
    few = queries()
    day = date(2024, 6, 10)
    days = {"placed_on": day, "invoiced_on": day, "shipped_on": day, "paid_on": day}
    Order.objects.bulk_create(
        [Order(number=f"B-{n}", customer=young.customer, state="shipped", ship_name="Bob", **days) for n in range(30)]
    )
    assert queries() == few


# Holds, open requests, promises ------------------------------------------------------------------------------------


def asked(order: Order, kind: str = "erasure", state: str = "closed") -> Request:
    return Request.objects.create(
        reference=f"PR-2026-{Request.objects.count():06d}", kind=kind, state=state, channel="web",
        subject=(subject := order.customer.subject if state != "closed" else None), owner_id=subject and subject.pk, filed_at=NOW,
        received_on=NOW.date(), due_on=date(2026, 12, 20), legal_due_on=date(2026, 12, 21),
    )  # fmt: skip


def tell(
    order: Order, envelope: str = "order", code: str = "KEEP_LI", until: date | None = None, **more: Any
) -> Decision:
    """What a confirmed plan wrote down about an envelope that is kept."""
    made = Decision(
        request=more.pop("request", None) or asked(order), label="orders.order", record_id=order.pk, envelope=envelope,
        action="keep", code=code, until=until, pinned=True, **more,
    )  # fmt: skip
    decided.sign(made).save()
    return made


@pytest.mark.parametrize("how", ["planted", "another day", "unbound plan"])
def test_a_decision_that_the_site_did_not_make_ends_nothing_early(armed: SweepState, how: str) -> None:
    """Who can write to the main database says that a person was told of an earlier day, or makes a plan binding."""
    order, told, past = bought(2024), date(2026, 11, 1), date(2019, 12, 31)
    if how == "planted":
        one = Decision.objects.create(
            request=asked(order), label="orders.order", record_id=order.pk, envelope="order", action="keep", code="KEEP_LI",
            until=past, pinned=True,
        )  # fmt: skip
    else:
        is_told = how == "another day"
        one = tell(order, until=LAST_DAY if is_told else told)
        if not is_told:
            one.pinned = False
            decided.sign(one).save()
        written = {"until": past} if is_told else {"pinned": True}
        Decision.objects.filter(pk=one.pk).update(**written)
    report = run(LAST_DAY)
    assert report.erased == 0 and is_readable(order)
    assert [(found.step, found.error) for found in report.findings] == [("decision", "NotOurs")]
    assert assessment.pins_of([order_facts(order)]) == {}
    decided.seal([one.request_id])
    assert run(LAST_DAY).erased == 1 and not is_readable(order), "control: as the site's own it ends that day"


def test_a_held_record_stays_and_goes_by_itself_when_the_hold_is_lifted(armed: SweepState) -> None:
    order = bought(2018)
    holds.place("orders.order", order.pk, reason="claim", actor=TASK, now=NOW)
    assert counts(run(LAST_DAY)) == (1, 0, 1, 0)
    assert is_readable(order)
    holds.lift("orders.order", order.pk, actor=TASK, now=NOW)
    assert counts(run(LAST_DAY)) == (1, 1, 0, 0)


def test_an_erasure_that_a_hold_stopped_is_carried_out_in_the_night_after_it_is_lifted(armed: SweepState) -> None:
    order = bought(2024)
    holds.place("orders.order", order.pk, reason="claim", actor=TASK, now=NOW)
    invoice = tell(order, code="KEEP_CLAIMS")
    delivery = tell(order, "fulfilment", code="KEEP_CLAIMS", request=invoice.request)
    assert run(LAST_DAY).erased == 0
    assert is_readable(order, "fulfilment")
    holds.lift("orders.order", order.pk, actor=TASK, now=NOW)
    assert run(LAST_DAY).erased == 1
    assert not is_readable(order, "fulfilment")
    delivery.refresh_from_db()
    assert delivery.done_at is not None
    invoice.refresh_from_db()
    assert is_readable(order)
    assert (invoice.code, invoice.until, invoice.done_at) == ("KEEP_LI", date(2031, 12, 31), None)


def test_what_was_kept_for_an_unpaid_invoice_goes_when_it_is_paid_without_a_new_request(armed: SweepState) -> None:
    day = date(2026, 1, 15)
    order = an_order(a_customer(last_active_on=day), day, invoiced=day, shipped=day)
    delivery = tell(order, "fulfilment", code="KEEP_CONTRACT", until=date(2033, 12, 31))
    tell(order, code="KEEP_CONTRACT", until=date(2033, 12, 31), request=delivery.request)
    assert run(LAST_DAY).due == 0
    Order.objects.filter(pk=order.pk).update(paid_on=date(2026, 5, 2))
    assert counts(run(LAST_DAY)) == (1, 1, 0, 0)
    assert not is_readable(order, "fulfilment")
    assert is_readable(order)
    # The promise of 2033 stands, although the payment alone would have kept it as long.
    assert Decision.objects.get(envelope="order").until == date(2033, 12, 31)


def test_a_later_longer_rule_does_not_move_what_was_told_and_a_shorter_one_neither(
    armed: SweepState, settings: Any, tmp_path: Any
) -> None:
    told, untold = bought(2018), bought(2018)
    tell(told, until=date(2025, 12, 31))
    text = (settings.BASE_DIR / "privacy/retention/schedule.toml").read_text(encoding="utf-8")
    longer = tmp_path / "longer.toml"
    longer.write_text(text.replace('period = "7y"', 'period = "20y"'), encoding="utf-8")
    settings.RETENTION_SCHEDULE = str(longer)
    assert counts(run(LAST_DAY)) == (1, 1, 0, 0)
    assert not is_readable(told)
    assert is_readable(untold)

    young = bought(2024)
    tell(young, until=date(2031, 12, 31))
    shorter = tmp_path / "shorter.toml"
    shorter.write_text(text.replace('period = "7y"', 'period = "1y"'), encoding="utf-8")
    settings.RETENTION_SCHEDULE = str(shorter)
    run(LAST_DAY)
    assert is_readable(young)
    assert not is_readable(untold)


def test_what_ended_another_way_is_noted_as_done(armed: SweepState) -> None:
    order = bought(2018)
    decision = tell(order, until=date(2025, 12, 31))
    vault.keys.destroy([(order.pk, "order")], now=NOW)
    Order.objects.filter(pk=order.pk).update(sealed_order=None)
    run(LAST_DAY)
    decision.refresh_from_db()
    assert decision.done_at is not None


def test_nothing_vanishes_while_the_person_waits_for_a_copy(armed: SweepState) -> None:
    order = bought(2018)
    request = asked(order, "access", "received")
    # whose it is, the key says where the row was hung on nobody: it stays, and is a finding
    for owner, kept in (("NULL", 0), (f"'{order.customer_id}'", 1)):
        roles.run(f"UPDATE orders_order SET customer_id = {owner} WHERE id = '{order.pk}'")
        assert counts(run(LAST_DAY)) == (1, 0, kept, 0)
        assert is_readable(order)
    services.withdraw(request, actor=OPERATOR, now=NOW)
    assert counts(run(LAST_DAY)) == (1, 1, 0, 0)


def test_a_stranger_keeps_everything(armed: SweepState) -> None:
    bob = bought(2024, reference="T-BOB", ship_name="Bob Stranger")
    bought(2018)
    run(LAST_DAY)
    assert is_readable(bob)
    assert is_readable(bob, "fulfilment")


# The commands ------------------------------------------------------------------------------------------------------


def command(name: str, *arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command(name, *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_command_reports_in_the_published_shape() -> None:
    bought(2018)
    found = command("retention_sweep", "--on", "2026-12-31", "--dry-run")
    assert {"on", "due", "erased", "kept", "stopped_by_cap"} <= set(found)
    assert (found["on"], found["due"], found["erased"]) == ("2026-12-31", 1, 0)


def test_the_commands_arm_sweep_and_disarm() -> None:
    order = bought(2018)
    with pytest.raises(CommandError) as error:
        call_command("retention_sweep")
    assert error.value.returncode == 3
    assert command("retention_arm")["armed"] is True
    assert SweepState.objects.get().armed_by == "operator"
    assert command("retention_sweep", "--on", "2026-12-31")["erased"] == 1
    assert not is_readable(order)
    assert command("retention_arm", "--off")["armed"] is False


def test_a_schedule_that_cannot_be_read_stops_the_sweep_and_the_arming(settings: Any, tmp_path: Any) -> None:
    settings.RETENTION_SCHEDULE = str(tmp_path / "none.toml")
    for name in ("retention_sweep", "retention_arm", "retention_schedule"):
        with pytest.raises(CommandError) as error:
            call_command(name)
        assert error.value.returncode == 1


def test_an_overlay_that_no_lawyer_confirmed_stops_the_arming(settings: Any) -> None:
    settings.RETENTION_OVERLAYS = ["DE8"]
    with pytest.raises(CommandError, match="no lawyer"):
        call_command("retention_arm")


def test_reports_and_audit_name_nobody(armed: SweepState) -> None:
    order = bought(2018, reference="T-SECRET")
    out = StringIO()
    call_command("retention_sweep", "--on", "2026-12-31", stdout=out)
    written = out.getvalue() + "".join(str(vars(event)) for event in AuditEvent.objects.all())
    for secret in ("T-SECRET", "Alice", str(UUID(str(order.pk)))):
        assert secret not in written

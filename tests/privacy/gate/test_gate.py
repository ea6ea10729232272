"""No actor, no right or no row in the access log: no value. Contexts do not leak out of streams, threads and tasks."""

import contextvars
import threading
from dataclasses import replace
from datetime import date, timedelta
from uuid import uuid4

import pytest
from celery import Celery
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections, transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from accounts.models import Address, Customer, TaxIdentifier
from privacy import gate, letters, registers, vault
from privacy.actor import MANAGER
from privacy.gate import AccessEntry, Actor, context, guard, matrix, worker
from privacy.gate.middleware import GateMiddleware
from privacy.gate.system import UnknownPurpose, system
from privacy.letters.models import Letter
from privacy.vault.unit import Opening
from tests import factories

pytestmark = pytest.mark.django_db
TODAY = factories.TODAY


@pytest.fixture
def alice():
    return factories.customer("Alice", "Archer")


@pytest.fixture
def bob():
    return factories.customer("Bob", "Baker", email="bob@example.com", phone="617-555-0188")


def fresh(record):
    return type(record).objects.get(pk=record.pk)


def staff(*roles, subject=None):
    return Actor("staff", str(uuid4()), subject, frozenset(roles), "admin")


# Who may add ----------------------------------------------------------------------------------------------------------


def test_staff_add_no_record_of_a_kind_that_the_matrix_does_not_let_them_write(alice):
    pairs = matrix.known_pairs()
    for role in [*sorted(gate.STAFF_ROLES), MANAGER]:
        with gate.acting(staff(role)):
            added = {pair for pair in pairs if guard.decide(Opening(*pair, uuid4(), *alice.vault_owner(), mode="add"))}
        assert added == matrix.matrix().writes.get(role, frozenset()), role
    assert ("orders.order", "order") in matrix.matrix().writes["sales"], "the control: some may"


def test_the_vault_asks_before_a_new_record_is_sealed(alice):
    def number(kind="vat"):
        return TaxIdentifier(customer=alice, kind=kind, country="DE", value="DE811569869")

    for add in (lambda: number().save(), lambda: TaxIdentifier.objects.bulk_create([number()])):
        for who in (staff("service"), staff("sales", "privacy"), staff()):
            with gate.acting(who), pytest.raises(vault.RecordRefused) as refused:
                add()
            assert "DE8" not in str(refused.value)
    assert not TaxIdentifier.objects.exists()
    with gate.acting(staff("accounting", "sales")):
        number().save()
        letters.queue("withdrawn", to="alice@example.com", context={}, key="x:1", now=factories.NOW)
    number("tax_id").save()  # where nobody acts
    with gate.acting(staff("service")):
        TaxIdentifier.objects.update(last_used_on=TODAY)
    assert TaxIdentifier.objects.count() == 2 and Letter.objects.count() == 1


# Who may open ---------------------------------------------------------------------------------------------------------


def test_without_an_actor_every_value_is_masked(alice):
    value = fresh(alice).first_name

    assert isinstance(value, vault.Masked)
    assert str(value) == "••••"
    assert not AccessEntry.objects.exists()


def test_a_customer_reads_the_own_data(alice):
    with gate.acting(factories.acting_as(alice)):
        assert fresh(alice).first_name == "Alice"


def test_a_customer_never_reads_a_strangers_data(alice, bob):
    with gate.acting(factories.acting_as(bob)):
        assert isinstance(fresh(alice).first_name, vault.Masked)
        assert [str(one.first_name) for one in Customer.objects.order_by("reference")] == ["••••", "Bob"]


def test_a_contact_reads_the_own_companys_envelope_and_no_others():
    own, other = factories.company("Lumen Works"), factories.company("Photon Ltd")
    contact = factories.customer(company=own)
    with gate.acting(factories.acting_as(contact)):
        assert fresh(own).name == "Lumen Works"
        assert isinstance(fresh(other).name, vault.Masked)


def test_a_customer_sees_no_more_than_dots_of_the_own_ssn(alice):
    number = factories.ssn(alice)
    with gate.acting(factories.acting_as(alice)):
        assert isinstance(fresh(number).ssn, vault.Masked)


def test_accounting_alone_opens_tax_identifiers(alice):
    number, ssn = factories.tax_identifier(alice), factories.ssn(alice)
    with gate.acting(staff("accounting")):
        assert fresh(number).value == "12-3456789"
        assert fresh(ssn).ssn == "536-90-4399"
    for role in ("sales", "service"):
        with gate.acting(staff(role)):
            assert isinstance(fresh(number).value, vault.Masked)
            assert isinstance(fresh(ssn).ssn, vault.Masked)


def test_a_staff_member_who_is_a_customer_too_has_the_rights_of_both(alice, bob):
    factories.address(alice), factories.tax_identifier(alice)
    bobs = factories.tax_identifier(bob)
    both = Actor("staff", str(uuid4()), alice.subject_id, frozenset({"service", "customer"}), "admin")
    with gate.acting(both):
        assert TaxIdentifier.objects.get(customer=alice).value == "12-3456789"
        assert fresh(bob).first_name == "Bob"
        assert isinstance(fresh(bobs).value, vault.Masked)


def test_a_role_that_nobody_knows_opens_nothing(alice):
    with gate.acting(staff("director", "*")):
        assert isinstance(fresh(alice).first_name, vault.Masked)


def test_staff_without_a_current_acknowledgement_have_no_roles():
    carol = factories.subject()
    today = date(2026, 11, 20)

    def roles_on(day):
        return gate.staff_actor(id=uuid4(), subject=carol.pk, roles={"sales"}, today=day).roles

    assert roles_on(today) == frozenset()
    assert gate.staff_actor(id=uuid4(), subject=None, roles={"sales"}, today=today).roles == frozenset(), "nobody signs"
    registers.sign(
        subject=carol.pk, kind="confidentiality", version="1", actor=None, now=factories.NOW, signed_on=today
    )
    assert roles_on(today) == {"sales"}
    assert roles_on(date(2027, 11, 20)) == {"sales"}
    assert roles_on(date(2027, 11, 21)) == frozenset()
    assert roles_on(today - timedelta(days=1)) == frozenset()


def test_training_is_no_acknowledgement_of_confidentiality():
    carol = factories.subject()
    registers.sign(subject=carol.pk, kind="training", version="1", actor=None, now=factories.NOW, signed_on=TODAY)

    assert gate.staff_actor(id=uuid4(), subject=carol.pk, roles={"sales"}, today=TODAY).roles == frozenset()


def test_an_expired_acknowledgement_masks(alice):
    carol = factories.staff(acknowledged=False)
    registers.sign(
        subject=carol.subject_id, kind="confidentiality", version="1", actor=None, now=factories.NOW,
        signed_on=date(2020, 1, 1), expires_on=date(2021, 1, 1),
    )  # fmt: skip
    with gate.acting(carol.as_actor()):
        assert isinstance(fresh(alice).first_name, vault.Masked)


def test_roles_the_product_does_not_know_are_dropped():
    carol = factories.staff(roles=("sales", "director"))

    assert carol.as_actor().roles == {"sales"}


def test_writing_is_a_right_of_its_own(alice):
    sales = staff("sales")

    assert gate.may(sales, "rma.rma", "rma")
    assert not gate.may(sales, "rma.rma", "rma", "write")
    with pytest.raises(gate.Refused):
        gate.require(sales, "rma.rma", "rma", "write")
    assert not gate.may(None, "accounts.customer", "account")
    own = ("subject", alice.subject_id)
    assert gate.may(factories.acting_as(alice), "accounts.customer", "account", "write", own)
    assert not gate.may(factories.acting_as(alice), "accounts.customer", "account", "write", ("subject", uuid4()))
    assert not gate.may(factories.acting_as(alice), "accounts.customer", "account")


def test_a_system_purpose_must_be_in_the_matrix():
    with pytest.raises(UnknownPurpose):
        system("curiosity")


def test_a_task_bound_to_one_subject_opens_nobody_elses(alice, bob):
    with system("export", subject=alice.subject_id):
        assert fresh(alice).first_name == "Alice"
        assert isinstance(fresh(bob).first_name, vault.Masked)


def test_a_purpose_bound_to_one_subject_opens_nobodys_without_one(alice):
    with system("export"):
        assert isinstance(fresh(alice).first_name, vault.Masked)


def test_a_purpose_that_is_not_bound_opens_anybodys(alice, bob):
    with system("demo"):
        assert (fresh(alice).first_name, fresh(bob).first_name) == ("Alice", "Bob")


@pytest.mark.parametrize(
    "page",
    [
        '[staff]\nsales = ["x"]',
        '[staff]\nsales = ["x/y:q"]',
        "[staff]\nsales = []",
        '[others]\nsales = ["x/y:r"]',
        '[restricted]\nhold = "claims"',
        '[restricted.hold]\nroles = ["privacy"]',
        '[restricted.hold]\nkept_for = "claims"',
        '[restricted.hold]\nkept_for = "claims"\nroles = ["director"]',
        "[staff",
    ],
)
def test_a_matrix_that_cannot_be_read_is_refused(page):
    with pytest.raises(ImproperlyConfigured):
        matrix.parse(page)


def test_a_line_may_give_writing_alone():
    rules, own, _, _ = matrix.parse('[staff]\nsales = ["x/y:w"]')
    page = matrix.compiled(rules, own, [("x", "y")])
    assert (page.reads["sales"], page.writes["sales"]) == (frozenset(), {("x", "y")})


def test_what_is_kept_for_a_reason_of_an_earlier_release_opens_to_no_role():
    said = matrix.restricted_sentence("no_such_reason:2027-01-31", ("accounts.customer", "account"))
    assert said == "locked: kept for a reason of its own; no role of staff opens it"


# What is recorded -----------------------------------------------------------------------------------------------------


def test_each_opening_is_one_row_for_each_person_and_unit_of_work(alice, bob):
    factories.address(alice)
    actor = replace(staff("sales"), reason="phone call with alice@example.com")
    with gate.acting(actor):
        for one in Customer.objects.all():
            assert one.first_name
            assert one.last_name
        assert Address.objects.get().street == "12 Elm Street"

    entry = AccessEntry.objects.get(whose__subject_id=alice.subject_id)
    assert (entry.actor_kind, entry.actor_id, entry.role, entry.purpose, entry.reason) == (
        "staff", actor.id, "sales", "admin", "phone call with [e-mail]",
    )  # fmt: skip
    assert entry.envelopes == {"accounts.address/account": 1, "accounts.customer/account": 1}
    assert entry.count == 2
    assert AccessEntry.objects.get(whose__subject_id=bob.subject_id).envelopes == {"accounts.customer/account": 1}
    assert AccessEntry.objects.count() == 2


def test_a_refused_opening_is_not_in_the_access_log(alice, bob):
    with gate.acting(factories.acting_as(bob)):
        str(fresh(alice).first_name)

    assert not AccessEntry.objects.exists()


def test_a_companys_opening_names_the_company_and_no_subject():
    lumen = factories.company()
    with gate.acting(staff("sales")):
        assert fresh(lumen).name

    entry = AccessEntry.objects.get()
    assert (entry.whose, entry.company_id) == (None, lumen.pk)


def test_the_log_is_written_when_the_work_ends_in_an_exception(alice):
    def fail():
        with gate.acting(staff("sales")):
            assert fresh(alice).first_name
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert AccessEntry.objects.for_subject(alice.subject_id).count() == 1


def test_the_log_costs_one_statement_however_many_people_were_opened():
    def statements(people):
        Customer.objects.all().delete()
        for number in range(people):
            factories.customer(email=f"a{number}@example.com")
        default, keystore = CaptureQueriesContext(connection), CaptureQueriesContext(connections["keystore"])
        with default, keystore, gate.acting(staff("sales")):
            assert len([one.first_name for one in Customer.objects.all()]) == people
            context.here().flush()
        inserts = [query for query in default.captured_queries if "INSERT INTO privacy_accessentry" in query["sql"]]
        return len(inserts), len(default.captured_queries), len(keystore.captured_queries)

    assert statements(1) == statements(30)
    assert statements(30)[0] == 1


def test_nothing_opened_costs_no_statement():
    with CaptureQueriesContext(connection) as queries, gate.acting(staff("sales")):
        pass

    assert len(queries.captured_queries) == 0


# Where contexts end ---------------------------------------------------------------------------------------------------


def test_the_end_of_the_context_takes_the_opened_values_along(alice):
    with gate.acting(staff("sales")):
        record = fresh(alice)
        assert record.first_name == "Alice"

    assert isinstance(record.first_name, vault.Masked)
    assert "Alice" not in repr(record.__dict__)
    assert gate.current() is None


def test_an_inner_context_acts_alone_and_gives_back_the_outer_one(alice, bob):
    with gate.acting(factories.acting_as(bob)):
        with gate.acting(factories.acting_as(alice)):
            assert fresh(alice).first_name == "Alice"
            assert isinstance(fresh(bob).first_name, vault.Masked)
        assert isinstance(fresh(alice).first_name, vault.Masked)
        assert fresh(bob).first_name == "Bob"


def test_a_context_left_open_inside_is_ended_with_the_one_around(alice):
    with gate.acting(staff("sales")):
        left = context.enter(staff("accounting"))
        assert fresh(alice).first_name
    assert left.closed
    assert gate.current() is None
    assert AccessEntry.objects.get().role == "accounting"


def test_another_thread_has_no_actor(alice):
    seen = []

    def look():
        seen.append((gate.current(), str(fresh(alice).first_name)))
        connections.close_all()

    with gate.acting(staff("sales")):
        record = fresh(alice)
        thread = threading.Thread(target=lambda: seen.append((gate.current(), str(record.first_name))))
        thread.start()
        thread.join()

    assert seen == [(None, "••••")]


def test_a_copied_execution_context_is_worth_nothing_after_the_end(alice):
    record = fresh(alice)
    with gate.acting(staff("sales")):
        copied = contextvars.copy_context()

    assert copied.run(lambda: (gate.current(), str(record.first_name))) == (None, "••••")


def test_a_stream_acts_only_while_its_chunks_are_made(alice):
    def chunks():
        for _ in range(3):
            yield fresh(alice).first_name

    stream = gate.streaming(factories.acting_as(alice), chunks())
    for _ in range(3):
        assert next(stream) == "Alice"
        assert gate.current() is None
        assert isinstance(fresh(alice).first_name, vault.Masked)
    assert list(stream) == []
    assert gate.current() is None


def test_a_streamed_chunk_is_logged_before_it_leaves(alice):
    stream = gate.streaming(factories.acting_as(alice), (fresh(alice).first_name for _ in range(2)))

    assert next(stream) == "Alice"
    assert AccessEntry.objects.for_subject(alice.subject_id).count() == 1


def test_a_stream_that_the_client_left_is_ended(alice):
    record = fresh(alice)

    def chunks():
        yield record.first_name
        yield record.first_name

    stream = gate.streaming(factories.acting_as(alice), chunks())
    assert next(stream) == "Alice"
    stream.close()

    assert isinstance(record.first_name, vault.Masked)
    assert gate.current() is None


def test_a_stream_needs_no_generator_and_does_not_begin_inside_a_transaction():
    assert list(gate.streaming(staff("sales"), [b"one", b"two"])) == [b"one", b"two"]
    with transaction.atomic(), pytest.raises(context.InsideTransaction):
        next(gate.streaming(staff("sales"), [b"one"]))
    assert gate.current() is None


def test_a_reason_that_is_said_where_nobody_acts_is_nobodys(alice):
    gate.because("open order", "10023")
    with gate.acting(staff("sales")):
        assert fresh(alice).first_name == "Alice"
    assert AccessEntry.objects.get().reason == ""


def test_a_plain_generator_does_not_carry_an_actor_out_of_its_block(alice):
    def leaky():
        with gate.acting(staff("sales")):
            yield fresh(alice).first_name

    stream = leaky()
    with gate.acting(factories.acting_as(alice)):
        next(stream)

    assert gate.current() is None
    assert isinstance(fresh(alice).first_name, vault.Masked)
    stream.close()
    assert gate.current() is None


# Tasks ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def app():
    celery = Celery("tests", broker="memory://", set_as_current=False)
    celery.conf.task_always_eager = True
    celery.conf.task_eager_propagates = True
    return celery


def test_a_task_starts_with_nobody_acting(app, alice):
    @app.task
    def look():
        return gate.current(), str(fresh(alice).first_name)

    with gate.acting(staff("sales")):
        assert look.delay().get() == (None, "••••")
        assert fresh(alice).first_name == "Alice"


def test_a_context_left_open_by_a_task_is_ended_before_the_next_one(app, alice):
    @app.task
    def leave_open():
        context.enter(staff("sales"))
        return fresh(alice).first_name

    @app.task
    def look():
        return gate.current(), str(fresh(alice).first_name)

    assert leave_open.delay().get() == "Alice"
    assert gate.current() is None
    assert look.delay().get() == (None, "••••")
    assert AccessEntry.objects.for_subject(alice.subject_id).count() == 1


def test_a_task_that_ends_without_having_begun_leaves_nobody_acting():
    context.enter(staff("sales"))
    worker.end("never begun")
    assert gate.current() is None


def test_a_task_called_inside_a_transaction_hands_nothing_on_and_its_caller_goes_on_acting(app, alice):
    @app.task
    def look_inside():
        return str(fresh(alice).first_name)

    with gate.acting(staff("sales")):
        with transaction.atomic():
            assert look_inside.delay().get() == "••••"
        assert fresh(alice).first_name == "Alice"
    assert AccessEntry.objects.count() == 1


def test_a_task_that_fails_leaves_nobody_acting(app):
    @app.task
    def fail():
        context.enter(staff("sales"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail.delay()
    assert gate.current() is None
    assert worker._barriers == {}


# Pages ----------------------------------------------------------------------------------------------------------------


def respond(view, user=None):
    request = RequestFactory().get("/")
    request.user = user or AnonymousUser()
    return GateMiddleware(view)(request)


def test_the_user_of_the_request_acts_while_the_page_is_made(alice):
    carol = factories.staff()
    response = respond(lambda request: HttpResponse(fresh(alice).first_name), carol)

    assert response.content == b"Alice"
    assert AccessEntry.objects.get(whose__subject_id=alice.subject_id).actor_id == str(carol.pk)
    assert gate.current() is None


def test_nobody_in_particular_opens_nothing(alice):
    assert respond(lambda request: HttpResponse(str(fresh(alice).first_name))).content.decode() == "••••"


def test_a_page_that_opens_nothing_asks_for_no_user():
    class Nobody:
        @property
        def is_authenticated(self):
            raise AssertionError("asked")

    assert respond(lambda request: HttpResponse("ok"), Nobody()).content == b"ok"


def test_a_streamed_response_without_a_context_of_its_own_shows_masks(alice):
    response = respond(
        lambda request: StreamingHttpResponse(str(fresh(alice).first_name) for _ in range(1)), factories.staff()
    )

    assert b"".join(response).decode() == "••••"


@pytest.mark.django_db(transaction=True)
class TestWithRealTransactions:
    def break_the_log(self):
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE privacy_accessentry ADD CONSTRAINT broken CHECK (count < 0)")

    def mend_the_log(self):
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE privacy_accessentry DROP CONSTRAINT broken")

    @pytest.fixture
    def broken_log(self):
        self.break_the_log()
        yield
        self.mend_the_log()

    def test_no_row_no_response(self, alice, broken_log):
        response = respond(lambda request: HttpResponse(fresh(alice).first_name), factories.staff())

        assert response.status_code == 503
        assert b"Alice" not in response.content
        assert gate.current() is None

    def test_no_row_no_streamed_chunk(self, alice, broken_log):
        stream = gate.streaming(staff("sales"), (fresh(alice).first_name for _ in range(1)))

        with pytest.raises(gate.AccessLogUnavailable) as caught:
            next(stream)
        assert "Alice" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert gate.current() is None

    def test_no_row_and_the_opened_values_are_gone(self, alice, broken_log):
        record = fresh(alice)
        with pytest.raises(gate.AccessLogUnavailable), gate.acting(staff("sales")):
            assert record.first_name == "Alice"

        assert isinstance(record.first_name, vault.Masked)

    def test_no_row_of_a_context_left_open_is_said_when_all_have_ended(self, alice, broken_log):
        records = [fresh(alice), fresh(alice)]
        for record in records:
            context.enter(staff("sales"))
            assert record.first_name == "Alice"
        with pytest.raises(gate.AccessLogUnavailable):
            context.unwind(None)
        assert gate.current() is None
        assert [str(one.first_name) for one in records] == ["••••", "••••"]

    def test_a_page_that_opened_nothing_is_served_without_the_log(self, broken_log):
        assert respond(lambda request: HttpResponse("ok")).status_code == 200

    def test_a_context_cannot_begin_inside_a_transaction(self):
        with transaction.atomic(), pytest.raises(gate.InsideTransaction), gate.acting(staff("sales")):
            pass
        assert gate.current() is None

    def test_a_rollback_does_not_take_the_access_log_along(self, alice):
        with gate.acting(factories.acting_as(alice)), transaction.atomic():
            with system("export", subject=alice.subject_id):
                assert fresh(alice).first_name
            transaction.set_rollback(True)

        entry = AccessEntry.objects.get()
        assert (entry.role, entry.actor_kind) == ("system:export", "task")

    def test_the_log_is_committed_before_the_context_is_over(self, alice):
        with gate.acting(staff("sales")):
            assert fresh(alice).first_name
            assert not AccessEntry.objects.exists()
        seen = []

        def look():
            seen.append(AccessEntry.objects.count())
            connections.close_all()

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert seen == [1]

"""One life of requests: acts in any order on a real database, looked at after each (see test_life.py)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from django.core import mail
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from accounts.models import Customer
from orders import services as orders
from orders.models import Order
from privacy.calendar import company_day
from privacy.gate import Actor
from privacy.gate.system import system
from privacy.models import Hold, Letter, Request, RequestEvent
from privacy.requests import (
    broker,
    execute,
    export,
    filing,
    history,
    links,
    procedures,
    proof,
    proving,
    second,
    services,
    sight,
    waits,
    writing,
)
from privacy.retention import holds
from privacy.sweep import arming, nightly
from privacy.sweep.models import SweepState
from privacy.vault.models import DataKey, Tombstone
from privacy.work import checkpoints
from rma import services as rmas
from rma.models import RMA
from tests.asked import ANYBODY, NOW, PRIVACY, taken_in
from tests.factories import BILL, CONTACT, ERIN, SHIP, TASK, a_product, an_instrument, as_customer
from tests.journeys.everybody import undone
from tests.privacy.requests.life_model import ARROWS, BEGUN, ENDS, LINE, Model, Sold, months_after

# What a service may answer instead of doing it; anything else is a defect.
ANSWERS = (
    history.NotAllowed, sight.NotYours, services.NotIdentified, services.PlanChanged, proof.BadRequest, links.LinkRefused,
    export.NoCopy, holds.RecordNotFound, holds.NothingOnHold,
)  # fmt: skip


MANAGER = Actor("staff", "mona", None, frozenset({"manager"}), "admin")
COLLEAGUE = Actor("staff", "pat", None, frozenset({"privacy"}), "admin")


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the program may catch it."""


@dataclass
class World:
    """alice, who asks, and bob, the stranger; made once, each life is undone."""

    alice: Customer
    bob: Customer
    orders: dict[UUID, Sold]
    bobs: set[UUID]


WHICH = st.integers(0, 20)


class Life(RuleBasedStateMachine):
    """One life: acts in any order, looked at after each."""

    acts: Counter[str] = Counter()
    lives = 0
    ended: Counter[str] = Counter()

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.world, self.monkeypatch = world, monkeypatch
        self.stack = ExitStack()
        self.stack.enter_context(undone())
        mail.outbox = []
        self.now = NOW
        self.model = Model(active={"alice": NOW.date(), "bob": NOW.date()})
        self.model.sold = {pk: Sold(**vars(one)) for pk, one in world.orders.items()}
        self.messages: list[tuple[UUID, str, int]] = []
        self.hashes: list[str] = ["0" * 64, ""]
        self.tokens: list[str] = ["nothing"]
        self.seen: dict[UUID, str] = {}  # every request ever filed -> its state
        self.by_staff: dict[UUID, bool] = {}  # whether staff confirmed its plan
        self.alive = self.living()
        self.day = NOW.date()
        type(self).lives += 1

    # Help ---------------------------------------------------------------------------------------------------------

    @property
    def today(self) -> date:
        """The company's day: Massachusetts, five hours behind in winter; the model keeps to the earlier of both."""
        return (self.now - timedelta(hours=5)).date()

    def living(self) -> set[tuple[UUID, str]]:
        """Return what can still be opened, of everybody."""
        return set(DataKey.objects.filter(destroyed_at=None).values_list("record", "envelope"))

    def requests(self) -> list[Request]:
        return list(Request.objects.order_by("filed_at", "pk"))

    def one(self, which: int) -> Request:
        found = self.requests()
        return found[which % len(found)]

    def person(self) -> Any:
        return as_customer(self.world.alice)

    def act(self, name: str, do: Callable[[], Any]) -> Any:
        """Do something; an answer that explains a refusal is a result like any other."""
        type(self).acts[name] += 1
        self.now += timedelta(seconds=1)
        try:
            return do()
        except ANSWERS as answer:
            return answer

    @contextmanager
    def killed_at(self, place: str) -> Iterator[None]:
        """Let the worker die at a checkpoint."""

        def reach(name: str, request: UUID | None = None) -> None:
            if name == place:
                raise Killed

        with self.monkeypatch.context() as patched:
            patched.setattr(checkpoints, "reach", reach)
            try:
                yield
            except Killed:
                type(self).acts["killed"] += 1

    # Asking ---------------------------------------------------------------------------------------------------------

    def filed(self, made: Any, received: date) -> None:
        if isinstance(made, Request):
            before = self.model.received.get(made.pk, received)
            self.model.received[made.pk] = min(before, received)

    @initialize(
        kinds=st.sampled_from([("erasure",), ("erasure",), ("access", "erasure"), ("access",), ()]),
        sure=st.sampled_from([True, True, False]),
        steps=st.sampled_from([0, 2, 5, 30]),
    )
    def a_beginning(self, kinds: tuple[str, ...], sure: bool, steps: int) -> None:
        """Most lives begin with somebody who asks, many with somebody who is sure of it: else few would get far."""
        self.all_is_well()
        for kind in kinds:
            self.file_in_the_portal(kind)
            self.all_is_well()
        if sure and "erasure" in kinds:
            self.plan(len(kinds) - 1)
            self.confirm(len(kinds) - 1, old=False, by_staff=False)
            self.a_worker_goes_on(len(kinds) - 1, steps)

    @precondition(lambda self: self.is_there())
    @rule(kind=st.sampled_from(["access", "erasure"]))
    def file_in_the_portal(self, kind: str) -> None:
        received = self.today
        self.filed(
            self.act("file", lambda: taken_in(kind, self.world.alice.subject_id, received_on=received, identity="login", actor=self.person(), now=self.now)),
            received,
        )  # fmt: skip

    @precondition(lambda self: self.is_there())
    @rule(
        kind=st.sampled_from(["access", "erasure"]),
        channel=st.sampled_from(["phone", "fax", "email", "mail", "in_person"]),
        how=st.sampled_from(["pending", "callback", "in_person", "staff"]),
        days=st.integers(-1, 40),
        asked_by=st.sampled_from(["self", "agent"]),
    )
    def file_by_staff(self, kind: str, channel: str, how: str, days: int, asked_by: str) -> None:
        received = self.today - timedelta(days=days)
        self.filed(
            self.act("file", lambda: taken_in(kind, self.world.alice.subject_id, channel=channel, received_on=received, identity=how, asked_by=asked_by, actor=PRIVACY, now=self.now)),
            received,
        )  # fmt: skip

    @rule(kind=st.sampled_from(["access", "erasure"]), email=st.sampled_from(["alice@example.com", "who@example.com"]))
    def ask_without_a_login(self, kind: str, email: str) -> None:
        before = set(Request.objects.values_list("pk", flat=True))
        self.act("ask", lambda: filing.ask(kind=kind, email=email, actor=ANYBODY, now=self.now))
        for pk in set(Request.objects.values_list("pk", flat=True)) - before:
            self.model.received[pk] = self.today

    @rule(which=WHICH)
    def use_a_link(self, which: int) -> None:
        self.act("link", lambda: proving.redeem(self.tokens[which % len(self.tokens)], now=self.now))

    @precondition(lambda self: self.seen)
    @rule(which=WHICH, how=st.sampled_from(["callback", "in_person", "staff", "login"]))
    def staff_prove_identity(self, which: int, how: str) -> None:
        request = self.one(which)
        if self.is_there():
            self.act("identify", lambda: proving.identify(
                request, how, subject=self.world.alice.subject_id, actor=PRIVACY, now=self.now
            ))  # fmt: skip

    @precondition(lambda self: self.seen)
    @rule(which=WHICH, outcome=st.sampled_from(["go_on", "go_on", "end"]), actor=st.sampled_from([PRIVACY, COLLEAGUE]))
    def a_second_person_decides(self, which: int, outcome: str, actor: Actor) -> None:
        request = self.one(which)
        self.act("second", lambda: second.decide(request, outcome, actor=actor, now=self.now))

    # Deciding -------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.seen)
    @rule(which=WHICH)
    def plan(self, which: int) -> None:
        request = self.one(which)
        made = self.act("plan", lambda: services.make_plan(request, actor=PRIVACY, now=self.now))
        if hasattr(made, "hash"):
            self.hashes.append(made.hash)

    @precondition(lambda self: self.seen)
    @rule(which=WHICH, old=st.booleans(), by_staff=st.booleans())
    def confirm(self, which: int, old: bool, by_staff: bool) -> None:
        request = self.one(which)
        actor = PRIVACY if by_staff or not self.is_there() else self.person()
        given = self.hashes[which % len(self.hashes)] if old else request.plan_hash
        there = {record for record, _ in self.living()}
        before = request.state
        done = self.act("confirm", lambda: services.confirm(request, given, actor=actor, now=self.now))
        request.refresh_from_db()
        if isinstance(done, services.PlanChanged):
            assert request.state == "planned" and not request.confirmed_hash, "another plan was confirmed"
        elif isinstance(done, Request) and request.kind == "erasure" and before in ("identity", "planned"):
            assert given == request.plan_hash == request.confirmed_hash
            self.model.asked[request.pk] = there
            self.by_staff[request.pk] = actor is PRIVACY

    @precondition(lambda self: self.seen)
    @rule(which=WHICH, ground=st.sampled_from([None, None, "", "Unfounded."]))
    def end_it_undone(self, which: int, ground: str | None) -> None:
        """The person takes it back, or the team refuses it with or without a reason."""
        request = self.one(which)
        if ground is None:
            done = self.act("withdraw", lambda: services.withdraw(request, actor=PRIVACY, now=self.now))
        else:
            done = self.act(
                "refuse",
                lambda: services.refuse(
                    request, ground=ground, authority="Art. 12(2) GDPR", actor=PRIVACY, now=self.now
                ),
            )
        if isinstance(done, Request):
            self.model.asked.pop(request.pk, None)

    @precondition(lambda self: self.seen)
    @rule(which=WHICH)
    def resume(self, which: int) -> None:
        request = self.one(which)
        self.act("resume", lambda: services.resume(request, actor=PRIVACY, now=self.now))

    @precondition(lambda self: self.seen)
    @rule(which=WHICH)
    def the_stranger_tries(self, which: int) -> None:
        request, bob = self.one(which), as_customer(self.world.bob)
        for attempt in (
            lambda: services.make_plan(request, actor=bob, now=self.now),
            lambda: services.confirm(request, request.plan_hash, actor=bob, now=self.now),
            lambda: services.withdraw(request, actor=bob, now=self.now),
            lambda: export.fetch(request, actor=bob, now=self.now),
        ):
            with pytest.raises(sight.NotYours):
                attempt()

    # What happens meanwhile -----------------------------------------------------------------------------------------

    def is_there(self) -> bool:
        """Whether alice is still a customer whose account can be read."""
        return (self.world.alice.pk, "account") in self.alive

    @precondition(lambda self: self.is_there())
    @rule()
    def an_order_arrives(self) -> None:
        order = self.act("order", lambda: orders.place_order(
            customer=Customer.objects.get(pk=self.world.alice.pk), items=[orders.Item(a_product(), 1)], channel="phone",
            ship=SHIP, bill=BILL, actor=TASK, now=self.now,
        ))  # fmt: skip
        self.model.sold[order.pk] = Sold("alice", self.today)
        self.model.active["alice"] = max(self.model.active["alice"], self.today)

    @precondition(lambda self: any(one.is_open for one in self.model.sold.values()))
    @rule(which=WHICH, what=st.sampled_from(["invoice", "ship", "pay", "cancel"]))
    def an_order_goes_on(self, which: int, what: str) -> None:
        opened = [key for key, one in self.model.sold.items() if one.is_open]
        pk = opened[which % len(opened)]
        sold, order = self.model.sold[pk], Order.objects.get(pk=pk)
        try:
            match what:
                case "invoice":
                    orders.invoice(order, actor=ERIN, now=self.now)
                    sold.invoiced = self.today
                case "ship":
                    orders.ship(order, actor=TASK, now=self.now)
                    sold.shipped = self.today
                case "pay":
                    orders.mark_paid(order, actor=ERIN, now=self.now)
                    sold.paid = self.today
                case "cancel":
                    orders.cancel(order, actor=TASK, now=self.now)
                    sold.cancelled = self.today
        except orders.OrderRefused:
            pass
        type(self).acts["order"] += 1

    @precondition(lambda self: self.is_there())
    @rule(which=st.integers(0, 3))
    def a_return_arrives(self, which: int) -> None:
        try:
            rma = rmas.open_rma(
                customer=Customer.objects.get(pk=self.world.alice.pk), instrument=an_instrument(f"LIFE-{which}"),
                service="repair", channel="phone", contact=CONTACT, fault="Stays dark.", actor=TASK, now=self.now,
            )  # fmt: skip
        except rmas.InstrumentRefused:
            return
        self.model.returns[rma.pk] = ("alice", self.today, None)
        self.model.active["alice"] = max(self.model.active["alice"], self.today)

    @precondition(lambda self: any(closed is None for _, _, closed in self.model.returns.values()))
    @rule()
    def a_return_ends(self) -> None:
        pk, (owner, opened, _) = next(item for item in self.model.returns.items() if item[1][2] is None)
        rmas.transition(RMA.objects.get(pk=pk), "cancelled", actor=TASK, now=self.now)
        self.model.returns[pk] = (owner, opened, self.today)

    @rule(which=WHICH)
    def a_hold_is_put(self, which: int) -> None:
        records = sorted(key for key in self.model.sold | self.model.returns)
        records += [self.world.alice.pk, self.world.bob.pk]
        record = records[which % len(records)]
        label = (
            "orders.order" if record in self.model.sold else "rma.rma" if record in self.model.returns
            else "accounts.customer"
        )  # fmt: skip
        done = self.act("hold", lambda: holds.place(label, record, reason="claim", actor=PRIVACY, now=self.now))
        if isinstance(done, Hold):
            self.model.held[record] = 1  # the same case twice is one hold

    @precondition(lambda self: any(self.model.held.values()))
    @rule(which=WHICH)
    def a_hold_is_lifted(self, which: int) -> None:
        held = sorted(record for record, count in self.model.held.items() if count)
        record = held[which % len(held)]
        hold = Hold.objects.get(record_id=record, lifted_at=None)
        # A clock that was put back: a hold is not lifted before it was placed.
        moment = max(self.now, hold.placed_at)
        assert holds.lift(hold.label, record, actor=PRIVACY, now=moment) == 1
        self.model.held[record] = 0

    # The machinery --------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 20, 40, 3600, 86400, 4 * 86400, 31 * 86400, 400 * 86400]))
    def time_goes_on(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(seconds=st.sampled_from([1, 3600, 2 * 86400]))
    def the_clock_is_put_back(self, seconds: int) -> None:
        self.now = max(self.now - timedelta(seconds=seconds), NOW)

    @precondition(lambda self: self.messages)
    @rule(which=st.integers(0, 400), twice=st.booleans())
    def a_message_is_delivered(self, which: int, twice: bool) -> None:
        """Any message ever sent: the next, one of long ago, one of a finished request; once or twice."""
        pk, step, version = self.messages[-1 - which % len(self.messages)]
        for _ in range(2 if twice else 1):
            self.act("message", lambda: execute.advance(pk, now=self.now, step=step, version=version))

    @precondition(lambda self: self.seen)
    @rule(which=WHICH, steps=st.integers(1, 30))
    def a_worker_goes_on(self, which: int, steps: int) -> None:
        request = self.one(which)
        for _ in range(steps):
            self.now += timedelta(seconds=1)
            if self.act("step", lambda: execute.advance(request.pk, now=self.now)) in ("idle", "waiting", "retry"):
                break

    @precondition(lambda self: self.seen)
    @rule(which=WHICH, place=st.sampled_from(["here", "here", "between_commits", *procedures.get("erasure").order()]))
    def a_worker_is_killed(self, which: int, place: str) -> None:
        request = self.one(which)
        with self.killed_at(request.step if place == "here" else place):
            for _ in range(20):
                self.now += timedelta(seconds=1)
                if execute.advance(request.pk, now=self.now) in ("idle", "waiting", "retry", "busy"):
                    break

    @rule()
    def the_poller_comes(self) -> None:
        self.act("poll", lambda: broker.poll(now=self.now))

    @rule()
    def the_letters_go_out(self) -> None:
        with system("letter"):
            self.act("letters", lambda: writing.send_due(now=self.now))

    @precondition(lambda self: self.seen)
    @rule(which=WHICH)
    def the_copy_is_fetched(self, which: int) -> None:
        request = self.one(which)
        self.act("fetch", lambda: export.fetch(request, actor=PRIVACY, now=self.now))

    @rule()
    def old_copies_are_deleted(self) -> None:
        self.act("expire", lambda: export.expire(now=self.now))

    @rule()
    def the_sweep_comes(self) -> None:
        with system("sweep"):
            self.act("sweep", lambda: nightly.sweep(on=self.today, dry_run=False, actor=TASK))

    @rule(hours=st.sampled_from([-400 * 24, -49, 1, 48, 400 * 24]))
    def the_sweep_comes_with_a_wrong_clock(self, hours: int) -> None:
        """The database's clock jumped since the last run: before it, or more than 48 hours after it."""
        SweepState.objects.update(marked_at=arming.database_now() + timedelta(hours=hours))
        with system("sweep"), pytest.raises(arming.ClockJumped):
            nightly.sweep(on=date(2099, 1, 1), dry_run=False, actor=TASK)
        type(self).acts["wrong clock"] += 1
        SweepState.objects.update(marked_at=arming.database_now())

    # Looking --------------------------------------------------------------------------------------------------------

    @invariant()
    def all_is_well(self) -> None:
        found = {one.pk: one for one in self.requests()}
        self.nothing_is_lost(found)
        self.only_the_arrows(found)
        self.nothing_kept_is_gone(found)
        self.each_effect_is_once()
        for one in found.values():
            self.messages.append((one.pk, one.step, one.version))
        self.messages = list(dict.fromkeys(self.messages))
        self.read_links()

    def nothing_is_lost(self, found: dict[UUID, Request]) -> None:
        assert set(self.seen) <= set(found), "a request is gone"
        assert set(self.model.received) <= set(found), "a receipt is gone"
        for one in found.values():
            if one.state not in ENDS | {"parked"}:
                assert one.step and one.next_action_at, f"nobody will look at a request that is {one.state}"
                assert one.next_action_at < self.now + timedelta(days=500)
            received = self.model.received[one.pk]
            months = 3 if one.events.filter(kind="extended").exists() else 1
            assert (one.received_on, one.due_on) == (received, months_after(received, months)), "another due date"
            assert one.due_on <= one.legal_due_on <= one.due_on + timedelta(days=5)
            assert one.legal_due_on.weekday() < 5, "the outer limit is a working day"
            if one.kind == "erasure" and one.state in BEGUN:
                assert one.pk in self.model.asked, "carried out and nobody confirmed it"
            on_staffs_word = one.identity in ("staff", "callback", "in_person") or self.by_staff.get(one.pk, False)
            if on_staffs_word and one.state in BEGUN:
                assert one.second_looks.filter(outcome="go_on").exists(), "carried out on one person's word"
            if one.state in BEGUN and one.pk not in self.model.began:
                self.model.began[one.pk] = max(self.today, self.day)
            if one.state in ENDS and one.pk not in self.model.closed:
                self.model.closed[one.pk] = max(self.today, self.day)

    def only_the_arrows(self, found: dict[UUID, Request]) -> None:
        states: dict[UUID, list[str]] = {}
        for pk, kind in (
            RequestEvent.objects.filter(kind__in=[*LINE, *ENDS, "parked"]).order_by("id").values_list("request", "kind")
        ):
            states.setdefault(pk, []).append(kind)
        for pk, one in found.items():
            # Every further receipt is an event of its own; it moves nothing.
            path = [kind for place, kind in enumerate(states[pk]) if kind != "received" or place == 0]
            wrong = [pair for pair in pairwise(path) if pair not in ARROWS]
            assert not wrong, wrong
            assert path[-1] == one.state or one.state == "received", (path, one.state)
            self.seen[pk] = one.state

    def nothing_kept_is_gone(self, found: dict[UUID, Request]) -> None:
        alive = self.living()
        day = max([self.today, *self.model.began.values()])
        for record, envelope in self.alive - alive:
            owner = "bob" if self.is_bobs(record) else "alice"
            assert self.model.may_end(owner, record, envelope, day), f"{owner}'s {envelope} was erased"
        self.alive, self.day = alive, self.today

    def is_bobs(self, record: UUID) -> bool:
        sold = self.model.sold.get(record)
        return record in self.world.bobs or (sold is not None and sold.owner == "bob")

    def each_effect_is_once(self) -> None:
        steps = Counter(RequestEvent.objects.filter(kind="step").values_list("request", "step"))
        assert not [key for key, count in steps.items() if count > 1], "a step was done twice"
        sent = Counter(message.extra_headers["Message-ID"] for message in mail.outbox)
        assert not [key for key, count in sent.items() if count > 1], "a letter went out twice"
        answers = Counter(Letter.objects.filter(key__startswith="answer:").values_list("request", flat=True))
        assert not [key for key, count in answers.items() if count > 1], "answered twice"
        stones = Counter(Tombstone.objects.filter(kind="request").values_list("reference", flat=True))
        assert not [key for key, count in stones.items() if count > 1], "two tombstones"

    def read_links(self) -> None:
        """Find the links that went to alice, as she does: in her mails."""
        for message in mail.outbox:
            self.tokens += re.findall(r"/privacy/link/([\w-]{20,})/", str(message.body))
        self.tokens = list(dict.fromkeys(self.tokens))

    # The end --------------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Let time pass with everything at work: what was confirmed is finished, what was not has expired."""
        try:
            self.finish()
            for one in self.requests():
                type(self).ended[f"{one.kind} {one.state}"] += 1
        finally:
            self.stack.close()

    def finish(self) -> None:
        for turn in range(40):
            waiting = [one for one in self.requests() if one.state not in ENDS]
            if not waiting:
                break
            self.now += timedelta(days=1 if turn < 3 else 15, hours=1)
            for one in waiting:
                if one.state == "parked":
                    services.resume(one, actor=PRIVACY, now=self.now)
                # What was asked too late to be refused in time waits for the second person, however long.
                if turn > 20 and one.due_on < company_day(self.now) and waits.is_undecided(one):
                    second.decide(one, "go_on", actor=MANAGER, now=self.now)
                for _ in range(40):
                    if execute.advance(one.pk, now=self.now) in ("idle", "waiting", "retry", "busy", "parked"):
                        break
                    self.now += timedelta(seconds=1)
            with system("letter"):
                writing.send_due(now=self.now)
            self.all_is_well()
        left = [(one.kind, one.state, one.step, one.last_error) for one in self.requests() if one.state not in ENDS]
        assert not left, left
        for pk in self.model.began:
            assert self.seen[pk] == "closed", "begun and not finished"
        self.erased_is_erased()

    def erased_is_erased(self) -> None:
        """Of a person whose erasure was closed nothing is left that had no reason to stay."""
        for pk, records in self.model.asked.items():
            if self.seen[pk] != "closed":
                continue
            for record, envelope in self.alive:
                if record in records and envelope in ("account", "fulfilment", "freight_account", "support"):
                    day = self.model.began[pk]
                    owner = "bob" if self.is_bobs(record) else "alice"
                    if owner == "alice" and self.ever_free(record, envelope, day):
                        raise AssertionError(f"{envelope} is still there")

    def ever_free(self, record: UUID, envelope: str, day: date) -> bool:
        """Whether nothing at all stood against the erasure, now or during its life."""
        return not (
            self.model.held.total()
            or len(self.model.sold) > len(self.world.orders)
            or self.model.returns
            or not self.model.may_end("alice", record, envelope, day)
        )

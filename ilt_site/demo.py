"""A small invented company's data for demonstrations: people, orders, returns, messages, staff.

Never for production: `load` refuses unless settings.DEMO. Everybody and everything here is invented; phone numbers are
from the range reserved for fiction, addresses end in .example. Passwords are drawn at random and returned once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import correspondence, factor, logins
from accounts import services as accounts
from accounts.models import Channel, Communication, Company, ContactPoint, Customer, TaxIdentifier, User
from orders import services as orders
from orders.models import Order, Product
from privacy import gate, registers, subjects
from privacy.gate import Actor
from privacy.sweep import arming
from rma import serials
from rma import services as rmas
from rma.models import RMA, Certificate, Instrument, RMAEvent

MARK = "DEMO-01"  # the reference of the first demo customer: present means loaded
STATEMENT, TRAINING = "2026", "2026"

CUSTOMERS = (("alice", "customer"), ("bob", "customer"))
STAFF = (("carol", "sales"), ("dan", "service"), ("erin", "accounting"), ("pat", "privacy"), ("mona", "manager"))

PRODUCTS = (
    ("ILT2400-A", "ILT2400 hand-held light meter", Product.Kind.INSTRUMENT, "1495"),
    ("ILT1700-R", "ILT1700 research radiometer", Product.Kind.INSTRUMENT, "3450"),
    ("ILT5000-L", "ILT5000 research lab radiometer", Product.Kind.INSTRUMENT, "2890"),
    ("ILT960-UV", "ILT960 UV spectroradiometer", Product.Kind.INSTRUMENT, "6850"),
    ("ILT10-P", "ILT10 photometer", Product.Kind.INSTRUMENT, "620"),
    ("SED033-Y", "SED033 photopic detector", Product.Kind.ACCESSORY, "840"),
    ("SED240-W", "SED240 UV detector with cosine diffuser", Product.Kind.ACCESSORY, "1120"),
    ("FIB-600", "Fibre light guide, 600 µm, 2 m", Product.Kind.ACCESSORY, "215.50"),
    ("CAL-IRR", "Irradiance calibration with certificate", Product.Kind.SERVICE, "395"),
    ("CAL-SPEC", "Spectral calibration with certificate", Product.Kind.SERVICE, "640"),
    ("REP-STD", "Repair, standard rate", Product.Kind.SERVICE, "480"),
)


class NotADemo(Exception):
    """Demo data is for demonstrations: this installation is not one (settings.DEMO)."""


@dataclass(frozen=True, slots=True)
class Login:
    """One demo login and its password, which is shown once and stored as a hash only."""

    role: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What `load` did: whether it created the data, the logins whose password is still to be changed, the others'
    names."""

    created: bool
    logins: tuple[Login, ...]
    in_use: tuple[str, ...] = ()


def load(*, actor: Actor, now: datetime) -> Loaded:
    """Load the demo company once and return one-time passwords for its logins.

    Idempotent: a second call creates nothing and draws a new password only for a login that was never used. The caller
    acts as `actor` at the gate. Raises NotADemo.
    """
    if not settings.DEMO:
        raise NotADemo("Demo data is loaded on the launcher's own servers only (DEMO).")
    if Customer.objects.filter(reference=MARK).exists():
        return _renewed()
    company = _Demo(actor, now)
    with transaction.atomic():
        company.build()
        arming.arm(actor=actor)  # a demo shows data that ends by itself; a real installation waits for its operator
    return Loaded(created=True, logins=tuple(company.logins))


def _renewed() -> Loaded:
    """Draw a password for each demo login whose holder has not chosen one yet; one that was removed stays so."""
    renewed: list[Login] = []
    in_use: list[str] = []
    for username, role in (*CUSTOMERS, *STAFF):
        user = User.objects.named(username).first()
        if user is None:
            continue
        if not user.must_change_password:
            in_use.append(username)
            continue
        password = logins.one_time_password()
        user.set_password(password)
        user.save(update_fields=["password"])
        renewed.append(Login(role=role, username=username, password=password))
    return Loaded(created=False, logins=tuple(renewed), in_use=tuple(in_use))


class _Demo:
    """The demo company in the order in which it happened."""

    def __init__(self, actor: Actor, now: datetime) -> None:
        self.actor = actor
        self.now = now
        self.today = timezone.localdate(now)
        self.logins: list[Login] = []
        self.products: dict[str, Product] = {}
        self.addresses: dict[UUID, dict[str, str]] = {}

    def build(self) -> None:
        for sku, name, kind, price in PRODUCTS:
            self.products[sku] = Product.objects.create(sku=sku, name=name, kind=kind, price=Decimal(price))
        self.people()
        self.staff()
        self.sold()
        self.returned()
        self.wrote()

    # Times --------------------------------------------------------------------------------------------------------

    def at(self, day: date) -> datetime:
        """Return noon of a day; never later than now."""
        noon = timezone.make_aware(datetime.combine(day, time(12)))
        return min(noon, self.now)

    def ago(self, days: int) -> date:
        return self.today - timedelta(days=days)

    # People -------------------------------------------------------------------------------------------------------

    def staff(self) -> None:
        for username, role in STAFF:
            user, password = logins.create_staff(
                username=username,
                email=f"{username}@intl-lighttech.example",
                roles=[role] if role in gate.STAFF_ROLES else [],
                is_manager=role == gate.MANAGER,
                acknowledged_on=self.today,
                version=STATEMENT,
                actor=self.actor,
                now=self.now,
            )
            assert user.subject_id is not None  # noqa: S101 - every login has a subject of its own
            factor.enrol(user)
            registers.sign(
                subject=user.subject_id,
                kind=registers.Acknowledgement.Kind.TRAINING,
                version=TRAINING,
                actor=self.actor,
                now=self.now,
                signed_on=self.today,
            )
            self.logins.append(Login(role=role, username=username, password=password))

    def login(self, username: str, email: str) -> User:
        password = logins.one_time_password()
        self.logins.append(Login(role="customer", username=username, password=password))
        return logins.create(
            username=username,
            email=email,
            password=password,
            must_change_password=True,
            actor=self.actor,
            now=self.now,
        )

    def customer(self, number: int, since: date, **data: Any) -> Customer:
        address: dict[str, str] = {n: data.pop(n) for n in ("street", "city", "postal_code") if n in data}
        customer = accounts.create_customer(
            actor=self.actor,
            now=self.at(since),
            since=since,
            reference=f"DEMO-{number:02d}",
            came=ContactPoint.Came.CREATED,  # as if they had come with the customer records
            **data,
        )
        if address:
            accounts.add_address(
                customer,
                purpose="billing",
                country=customer.country,
                region=customer.region,
                came=ContactPoint.Came.CREATED,
                actor=self.actor,
                now=self.at(since),
                **address,
            )
        self.addresses[customer.pk] = address
        return customer

    def company(self, **data: Any) -> Company:
        return accounts.create_company(actor=self.actor, now=self.now, **data)

    def people(self) -> None:
        self.alice = self.customer(
            1, date(2017, 3, 2), first_name="Alice", last_name="Whitfield", title="Ms.",
            email="alice.whitfield@post.example", phone="+1 978 555 0101", country="US", region="MA",
            street="14 Harbor View Road", city="Gloucester", postal_code="01930",
            user=self.login("alice", "alice.whitfield@post.example"),
        )  # fmt: skip
        self.bob = self.customer(
            2, date(2019, 4, 9), first_name="Bob", last_name="Marlow", title="Mr.", email="bob.marlow@post.example",
            phone="+44 20 7946 0102", country="GB", region="London",
            street="7 Larch Mews", city="London", postal_code="N1 7ZZ",
            user=self.login("bob", "bob.marlow@post.example"),
        )  # fmt: skip
        harbor = self.company(
            name="Harbor Optics LLC", street="200 Pier Avenue", city="Portland", postal_code="04101", region="ME",
            country="US", phone="+1 207 555 0110",
        )  # fmt: skip
        self.dana = self.customer(
            3, date(2018, 9, 14), first_name="Dana", last_name="Reyes", email="info@harboroptics.example",
            phone="+1 207 555 0111", country="US", region="ME", company=harbor,
            street="200 Pier Avenue", city="Portland", postal_code="04101",
        )  # fmt: skip
        self.marcus = self.customer(
            4, date(2021, 1, 20), first_name="Marcus", last_name="Lindqvist", email="info@harboroptics.example",
            phone="+1 207 555 0112", country="US", region="ME", company=harbor,
        )  # fmt: skip
        self.walter = self.customer(
            5, date(2016, 6, 1), first_name="Walter", last_name="Brandt", title="Mr.", phone="+1 603 555 0120",
            country="US", region="NH", channel=Channel.PHONE, notice_given_on=date(2016, 6, 1),
            street="3 Quarry Lane", city="Keene", postal_code="03431",
        )  # fmt: skip
        nordlicht = self.company(
            name="Nordlicht Messtechnik GmbH", street="Lindenallee 12", city="Rostock", postal_code="18055",
            region="MV", country="DE", vat_number="DE136695976",
        )  # fmt: skip
        self.jana = self.customer(
            6, date(2019, 2, 11), first_name="Jana", last_name="Vogel", title="Dr.",
            email="j.vogel@nordlicht-messtechnik.example", phone="+49 381 5550130", country="DE", region="MV",
            company=nordlicht, street="Lindenallee 12", city="Rostock", postal_code="18055",
        )  # fmt: skip
        self.priya = self.customer(
            7, date(2019, 10, 3), first_name="Priya", last_name="Nair", title="Dr.", email="priya.nair@post.example",
            phone="+44 131 496 0140", country="GB", region="Edinburgh",
            street="22 Calton Steps", city="Edinburgh", postal_code="EH1 1ZZ",
        )  # fmt: skip
        self.francois = self.customer(
            8, date(2022, 5, 17), first_name="François", last_name="Tremblay", email="f.tremblay@post.example",
            phone="+1 418 555 0150", country="CA", region="QC", channel=Channel.EMAIL,
            street="85 rue des Érables", city="Québec", postal_code="G1R 2S5",
        )  # fmt: skip
        self.emma = self.customer(
            9, date(2020, 8, 24), first_name="Emma", last_name="Olsen", title="Prof.",
            email="e.olsen@lakeshore-university.example", phone="+1 312 555 0160", country="US", region="IL",
            company=self.company(name="Lakeshore University, Photonics", region="IL", country="US"),
        )  # fmt: skip
        self.tom = self.customer(
            10, date(2023, 3, 30), first_name="Tom", last_name="Hale", phone="+1 802 555 0170", country="US",
            region="VT", channel=Channel.FAX, notice_given_on=date(2023, 3, 30),
            company=self.company(name="Green Valley Growers", region="VT", country="US"),
        )  # fmt: skip
        studio_owner = subjects.create(now=self.now).pk
        self.lucia = self.customer(
            11, date(2021, 11, 8), first_name="Lucia", last_name="Ortega", email="studio@ortega-lighting.example",
            phone="+1 401 555 0180", country="US", region="RI", channel=Channel.IN_PERSON, subject=studio_owner,
            notice_given_on=date(2021, 11, 8), street="5 Canal Street", city="Providence", postal_code="02903",
            company=self.company(
                name="Ortega Lighting Design", region="RI", country="US", is_sole_trader=True, subject=studio_owner
            ),
        )  # fmt: skip
        self.keiko = self.customer(
            12, date(2024, 7, 2), first_name="Keiko", last_name="Mori", email="keiko.mori@post.example",
            phone="+61 2 5550 0190", country="AU", region="NSW", street="40 Wattle Street", city="Ultimo",
            postal_code="2007",
        )  # fmt: skip
        accounts.set_tax_identifier(
            self.jana, kind=TaxIdentifier.Kind.VAT, value="DE136695976", country="DE", actor=self.actor, now=self.now
        )
        accounts.set_tax_identifier(
            self.lucia, kind=TaxIdentifier.Kind.SSN, value="536-90-4399", country="US", used_as_tax_id=True,
            reason=TaxIdentifier.Reason.NO_EIN, last_used_on=date(2024, 2, 6), actor=self.actor, now=self.now,
        )  # fmt: skip
        accounts.add_freight_account(
            self.dana, carrier="Northeast Parcel", number="NP-4471-0093", added_on=self.ago(300),
            last_shipment_on=self.ago(96), actor=self.actor, now=self.now,
        )  # fmt: skip

    # Orders -------------------------------------------------------------------------------------------------------

    def sold(self) -> None:
        self.order(self.alice, date(2017, 5, 4), {"ILT1700-R": 1, "SED033-Y": 1}, paid=20, shipped=6)
        self.order(
            self.alice, date(2024, 3, 12), {"ILT2400-A": 1}, paid=0, shipped=3,
            card=orders.Card("tok_demo4alice2024", "Visa", "4242", "09/2027"),
        )  # fmt: skip
        self.order(
            self.alice, self.ago(6), {"SED240-W": 1, "FIB-600": 2}, paid=0, shipped=None,
            card=orders.Card("tok_demo4aliceopen", "Visa", "4242", "09/2027"),
            notes="Please leave with the front desk.",
        )  # fmt: skip
        self.order(self.bob, date(2019, 6, 18), {"ILT10-P": 1}, paid=28, shipped=4)
        self.order(self.bob, self.ago(70), {"ILT5000-L": 1, "SED033-Y": 1}, paid=None, shipped=5)
        self.order(self.dana, date(2019, 2, 5), {"ILT960-UV": 1}, paid=30, shipped=9, channel=Channel.PHONE)
        self.order(
            self.dana, self.ago(98), {"SED240-W": 2}, paid=25, shipped=2, channel=Channel.EMAIL, reference="PO 88-114"
        )
        self.order(self.marcus, date(2024, 10, 1), {"ILT2400-A": 2}, paid=30, shipped=7, channel=Channel.FAX)
        self.order(self.walter, date(2017, 9, 21), {"ILT2400-A": 1}, paid=12, shipped=12, channel=Channel.PHONE)
        self.order(self.jana, date(2019, 3, 15), {"ILT5000-L": 1, "CAL-SPEC": 1}, paid=30, shipped=14)
        self.order(self.jana, date(2024, 5, 10), {"CAL-SPEC": 1}, paid=21, shipped=30, channel=Channel.MAIL)
        self.order(self.priya, date(2019, 11, 6), {"ILT10-P": 1, "CAL-IRR": 1}, paid=5, shipped=8)
        self.order(self.francois, date(2022, 6, 2), {"FIB-600": 3}, paid=0, shipped=4)
        self.order(self.emma, self.ago(3), {"ILT960-UV": 1}, paid=None, shipped=None, channel=Channel.MAIL)
        self.order(self.tom, date(2023, 4, 3), {"ILT10-P": 4}, paid=29, shipped=3, channel=Channel.FAX)
        self.order(self.lucia, date(2024, 2, 6), {"ILT2400-A": 1}, paid=0, shipped=0, channel=Channel.IN_PERSON)
        cancelled = self.order(self.keiko, self.ago(40), {"ILT10-P": 1}, paid=None, shipped=None)
        orders.cancel(cancelled, actor=self.actor, now=self.at(self.ago(38)))

    def order(
        self,
        customer: Customer,
        day: date,
        items: dict[str, int],
        *,
        paid: int | None,
        shipped: int | None,
        channel: str = Channel.WEB,
        card: orders.Card | None = None,
        reference: str = "",
        notes: str = "",
    ) -> Order:
        """Place an order; invoice and ship it `shipped` days later, take the payment `paid` days later."""
        place = self.place(customer)
        order = orders.place_order(
            customer=customer,
            items=[orders.Item(self.products[sku], quantity) for sku, quantity in items.items()],
            channel=channel,
            ship={f"ship_{name}": value for name, value in place.items()}
            | {"phone": customer.phone, "email": customer.email, "notes": notes},
            bill={f"invoice_{name}": value for name, value in place.items()} | {"customer_reference": reference},
            freight=Decimal("24.50"),
            actor=self.actor,
            now=self.at(day),
        )
        steps = []
        if shipped is not None:
            steps += [
                (shipped, 1, lambda at: orders.invoice(order, actor=self.actor, now=at)),
                (shipped, 2, lambda at: orders.ship(order, actor=self.actor, now=at)),
            ]
        elif paid is not None:
            steps.append((paid, 1, lambda at: orders.invoice(order, actor=self.actor, now=at)))
        if paid is not None:
            after = max(paid, shipped or 0)
            steps.append((after, 3, lambda at: orders.mark_paid(order, card=card, actor=self.actor, now=at)))
        for days, _, step in sorted(steps, key=lambda one: one[:2]):
            step(self.at(day + timedelta(days=days)))
        return order

    def place(self, customer: Customer) -> dict[str, str]:
        """Return the address of a customer as an order or a return wants it."""
        address = self.addresses[customer.pk]
        return {
            "name": f"{customer.first_name} {customer.last_name}",
            "company": customer.company.name if customer.company_id else "",
            "street": address.get("street", "Receiving"),
            "city": address.get("city", "Springfield"),
            "postal_code": address.get("postal_code", "00000"),
            "region": customer.region,
            "country": customer.country,
        }

    # Returns ------------------------------------------------------------------------------------------------------

    def returned(self) -> None:
        state = RMA.State
        # Walter's instrument of 2017 was calibrated for him and later sold on to Alice: its history went with it,
        # his name did not.
        sold_on = self.instrument("ILT2400-1042", "ILT2400", "ILT2400-A")
        rmas.transfer(sold_on, customer=self.walter, actor=self.actor, now=self.at(date(2017, 10, 3)))
        self.serviced(self.walter, sold_on, date(2020, 2, 3), Certificate.Procedure.ILLUMINANCE, channel=Channel.PHONE)
        rmas.transfer(sold_on, customer=self.alice, actor=self.actor, now=self.at(date(2022, 4, 19)))
        here = self.rma(
            self.alice, sold_on, self.ago(20), "repair", fault="The display goes dark after about ten minutes of use.",
            accessories="Carrying case, charger",
        )  # fmt: skip
        self.move(here, self.ago(16), state.AUTHORISED, state.RECEIVED)
        self.move(here, self.ago(12), state.QUOTED, quote=Decimal(480))
        self.move(here, self.ago(11), state.APPROVED, actor=self.who(self.alice, here.channel))
        self.move(here, self.ago(11), state.IN_SERVICE)
        self.note(here, self.ago(9), "The battery board has to be replaced; the part is in stock.")
        radiometer = self.instrument("ILT1700-0388", "ILT1700", "ILT1700-R")
        self.serviced(self.alice, radiometer, date(2024, 6, 10), Certificate.Procedure.IRRADIANCE)
        self.rma(
            self.bob, self.instrument("ILT10-2215", "ILT10", "ILT10-P"), self.ago(2), "calibration",
            fault="Yearly calibration, please.",
        )  # fmt: skip
        quoted = self.rma(
            self.dana, self.instrument("ILT960-0071", "ILT960", "ILT960-UV"), self.ago(25), "repair",
            fault="Wavelength scale is off by about 2 nm since a fall.", channel=Channel.PHONE,
        )  # fmt: skip
        self.move(quoted, self.ago(19), state.AUTHORISED, state.IN_TRANSIT, state.RECEIVED)
        self.move(quoted, self.ago(15), state.QUOTED, quote=Decimal("1120"))
        spectral = self.instrument("ILT5000-0519", "ILT5000", "ILT5000-L")
        self.serviced(self.jana, spectral, date(2024, 5, 13), Certificate.Procedure.SPECTRAL, channel=Channel.MAIL)
        waiting = self.rma(
            self.walter, self.instrument("ILT10-0907", "ILT10", "ILT10-P"), self.ago(33), "repair",
            fault="Reads zero in daylight.", channel=Channel.PHONE,
        )  # fmt: skip
        self.move(waiting, self.ago(28), state.AUTHORISED, state.RECEIVED)
        self.move(waiting, self.ago(26), state.ON_HOLD, reason=RMAEvent.Reason.WAITING_PART)
        cancelled = self.rma(
            self.priya, self.instrument("ILT10-1630", "ILT10", "ILT10-P"), self.ago(60), "calibration",
            fault="Calibration before a measuring campaign.",
        )  # fmt: skip
        unread, typed = serials.named(typed="label worn off", model_name="ILT10")
        self.rma(
            self.priya, unread, self.ago(4), "repair", serial_typed=typed, fault="The display flickers.",
        )  # fmt: skip
        self.move(cancelled, self.ago(58), state.CANCELLED, reason=RMAEvent.Reason.BY_REQUEST)

    def instrument(self, serial: str, model_name: str, sku: str) -> Instrument:
        return rmas.find_instrument(serial=serial, model_name=model_name, product=self.products[sku])

    def rma(
        self,
        customer: Customer,
        instrument: Instrument,
        day: date,
        service: str,
        *,
        fault: str,
        accessories: str = "",
        serial_typed: str = "",
        channel: str = Channel.WEB,
    ) -> RMA:
        place = self.place(customer)
        contact = {f"return_{n}": place[n] for n in ("street", "city", "region", "postal_code", "country")}
        return rmas.open_rma(
            customer=customer,
            instrument=instrument,
            service=service,
            channel=channel,
            contact=contact
            | {
                "contact_name": place["name"],
                "contact_company": place["company"],
                "phone": customer.phone,
                "email": customer.email,
            },
            fault=fault,
            accessories=accessories,
            serial_typed=serial_typed,
            actor=self.who(customer, channel),
            now=self.at(day),
        )

    def who(self, customer: Customer, channel: str) -> Actor:
        """Return who acts in what came by the website: its customer, where there is a login."""
        user = customer.user if channel == Channel.WEB else None
        return user.as_actor() if user is not None else self.actor

    def move(
        self,
        rma: RMA,
        day: date,
        *states: str,
        quote: Decimal | None = None,
        reason: str = "",
        actor: Actor | None = None,
    ) -> None:
        for state in states:
            rmas.transition(rma, state, actor=actor or self.actor, now=self.at(day), quote=quote, reason=reason)

    def note(self, rma: RMA, day: date, text: str) -> None:
        rmas.add_note(rma, text=text, actor=self.actor, now=self.at(day))

    def serviced(
        self, customer: Customer, instrument: Instrument, day: date, procedure: str, *, channel: str = Channel.WEB
    ) -> None:
        """Let an instrument come in for calibration, and go back with a certificate three weeks later."""
        state = RMA.State
        rma = self.rma(customer, instrument, day, "calibration", fault="Calibration, please.", channel=channel)
        self.move(rma, day + timedelta(days=6), state.AUTHORISED, state.IN_TRANSIT, state.RECEIVED)
        self.move(rma, day + timedelta(days=11), state.IN_SERVICE, state.VERIFIED)
        quantity, unit = {
            Certificate.Procedure.ILLUMINANCE: ("illuminance", "lx"),
            Certificate.Procedure.IRRADIANCE: ("irradiance", "mW/cm2"),
            Certificate.Procedure.SPECTRAL: ("wavelength", "nm"),
        }[Certificate.Procedure(procedure)]
        results = [
            {
                "quantity": quantity,
                "unit": unit,
                "nominal": nominal,
                "as_found": nominal * Decimal("1.013"),
                "as_left": nominal * Decimal("1.001"),
                "uncertainty": nominal * Decimal("0.012"),
            }
            for nominal in (Decimal(10), Decimal(100), Decimal(500))
        ]
        rmas.issue_certificate(
            rma,
            procedure=procedure,
            calibrated_on=day + timedelta(days=11),
            results=results,
            actor=self.actor,
            now=self.at(day + timedelta(days=12)),
        )
        self.move(rma, day + timedelta(days=13), state.SHIPPED_BACK)
        self.move(rma, day + timedelta(days=21), state.CLOSED)

    # Messages -----------------------------------------------------------------------------------------------------

    def wrote(self) -> None:
        department, topic = Communication.Department, Communication.Topic
        self.message(
            self.jana, department.CALIBRATION, Channel.EMAIL, self.ago(45), topic.RETURN, "Interval",
            "Which interval do you recommend for an instrument that is used once a month?", closed=self.ago(43),
        )  # fmt: skip
        self.message(
            self.emma, department.QUALITY, Channel.MAIL, self.ago(80), topic.PRODUCT, "Declaration of conformity",
            "Please send the declaration of conformity for the spectroradiometer.", closed=self.ago(75),
        )  # fmt: skip
        self.message(
            self.alice, department.SUPPORT, Channel.WEB, self.ago(8), topic.RETURN, "My repair",
            "Is there a date yet for the light meter?",
        )  # fmt: skip
        self.message(
            self.francois, department.ENGINEERING, Channel.PHONE, self.ago(120), topic.PRODUCT, "Light guide",
            "Asked whether the 600 µm light guide transmits below 300 nm.", closed=self.ago(120),
        )  # fmt: skip
        self.message(
            self.bob, department.ACCOUNTING, Channel.FAX, self.ago(30), topic.BILLING, "Invoice",
            "Asks for two more weeks to pay the invoice of September.",
        )  # fmt: skip

    def message(
        self,
        customer: Customer,
        department: str,
        channel: str,
        day: date,
        topic: str,
        heading: str,
        body: str,
        *,
        closed: date | None = None,
    ) -> None:
        message = correspondence.record_communication(
            customer=customer,
            department=department,
            channel=channel,
            received_on=day,
            topic=topic,
            is_order_related=topic in (Communication.Topic.RETURN, Communication.Topic.BILLING),
            contact_name=f"{customer.first_name} {customer.last_name}",
            email=customer.email,
            phone=customer.phone,
            heading=heading,
            body=body,
            actor=self.actor,
            now=self.at(day),
        )
        if closed:
            correspondence.close_communication(message, closed_on=closed, actor=self.actor, now=self.at(closed))

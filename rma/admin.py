"""Returns in the admin: the laboratory's work list. A state is never typed in, each step is taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.admin.found import BY_LOGIN
from accounts.country_choice import CountryToChoose
from accounts.models import Company, Customer
from orders.admin import PARTS
from privacy.actor import WORDS
from privacy.admin.records import RecordAdmin
from privacy.admin.steps import Step
from privacy.admin.tables import Rows, amount, yes_or_no
from privacy.admin.waiting import Task, WorkList
from privacy.gate import Actor
from rma import serials, services, states
from rma.models import RMA, RMAEvent


class AddNote(Step):
    title = "Write a message"
    help = "The customer reads it in the portal. No payment data, please."
    text = forms.CharField(widget=forms.Textarea(attrs={"rows": 5}), max_length=4000)


class MoveOn(Step):
    """One step of the table of states; the subclass of each target state names it."""

    to: ClassVar[str] = ""
    reason = forms.ChoiceField(required=False)

    def prepare(self) -> None:
        possible = states.reasons(self.record.state, self.to)
        if possible:
            named = [(one, RMAEvent.Reason(one).label) for one in possible]
            self.fields["reason"].choices = [("", "none"), *named]  # type: ignore[attr-defined]
        else:
            del self.fields["reason"]


class Quote(MoveOn):
    quote = forms.DecimalField(
        min_value=0, max_digits=14, decimal_places=2, label="Quote in USD",
        help_text="Within the limit approved in advance it counts as approved.",
    )  # fmt: skip


# What a step into a state is called where somebody takes it.
DOING: dict[RMA.State, str] = {
    RMA.State.REQUESTED: "Set back to requested",
    RMA.State.AUTHORISED: "Authorise the return",
    RMA.State.IN_TRANSIT: "Mark as on its way to us",
    RMA.State.RECEIVED: "Mark as received and inspected",
    RMA.State.QUOTED: "Quote a price",
    RMA.State.APPROVED: "Note that the quote is approved",
    RMA.State.DECLINED: "Note that the quote is declined",
    RMA.State.IN_SERVICE: "Begin calibration or repair",
    RMA.State.VERIFIED: "Mark as done and verified",
    RMA.State.SHIPPED_BACK: "Mark as shipped back",
    RMA.State.CLOSED: "Close the return",
    RMA.State.ON_HOLD: "Put on hold",
    RMA.State.REJECTED: "Reject the return",
    RMA.State.CANCELLED: "Cancel the return",
    RMA.State.BEYOND_REPAIR: "Mark as beyond repair",
}
# What cannot be undone about a step, or is not done by it, told before it is taken.
LOST: dict[RMA.State, str] = {
    RMA.State.DECLINED: "The quote ends: nothing is done to the instrument, and the only next step is to send it back.",
    RMA.State.VERIFIED: "No page of the back office issues the certificate of a calibration.",
    RMA.State.SHIPPED_BACK: "Today becomes the day on which it left us, and the only next step is to close the return.",
    RMA.State.CLOSED: "A closed return is never opened again: for more work the customer opens a new one.",
    RMA.State.REJECTED: "A rejected return is never taken up again: the customer would open a new one.",
    RMA.State.CANCELLED: (
        "A cancelled return is never taken up again, and a quote ends with it, accepted or not. If the instrument is here the "
        "only next step is to send it back."
    ),
    RMA.State.BEYOND_REPAIR: "No work follows: the next step is to send the instrument back, or to close the return.",
}
# States whose words speak to the customer, in words for the desk.
AT_THE_DESK: dict[str, str] = {
    RMA.State.AUTHORISED: "Authorised: waiting for the instrument",
    RMA.State.QUOTED: "Quoted: waiting for the customer's approval",
}


def at_the_desk(state: str, *, in_sentence: bool = False) -> str:
    """Return a state in words for the desk: as they stand alone, or within a sentence; one that this version does not
    know as it is."""
    words = {**dict(RMA.State.choices), **AT_THE_DESK}.get(state, state)
    return f"{words[:1].lower()}{words[1:]}" if in_sentence else words


class StateAtTheDesk(admin.ChoicesFieldListFilter):
    """The filter by state in the words of the desk: those of the model speak to the customer."""

    def choices(self, changelist: Any) -> Iterable[dict[str, Any]]:  # type: ignore[override]
        words = {str(RMA.State(state).label): said for state, said in AT_THE_DESK.items()}
        for one in super().choices(changelist):
            display = str(one["display"])
            yield {**one, "display": words.get(display, display)}


def _step_to(state: str) -> type[Step]:
    base = Quote if state == RMA.State.QUOTED else MoveOn
    is_end = state in (RMA.State.REJECTED, RMA.State.CANCELLED, RMA.State.CLOSED)
    return type(
        f"To{state}",
        (base,),
        {
            "to": state,
            "title": DOING[RMA.State(state)],
            "help": LOST.get(RMA.State(state), ""),
            "is_destructive": is_end,
        },
    )


class SettleSerial(Step):
    title = "Settle the serial number"
    help = (
        "What the customer wrote is not a serial number by our rule. Look at the instrument and enter the number that stands on it, "
        "or say that it has none. What the customer wrote is then removed."
    )
    template = "admin/step_serial.html"
    serial = forms.CharField(
        required=False, max_length=20, label="Serial number", strip=True,
        help_text="At most 20 letters, digits, dots, dashes or slashes, and at least one digit.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
    has_none = forms.BooleanField(required=False, label="The instrument has no serial number")
    is_sold_on = forms.BooleanField(
        required=False, label="It was sold on to this customer",
        help_text="Only where the instrument is registered to somebody else: that registration ends today.",
    )  # fmt: skip

    def context(self) -> dict[str, Any]:
        return {"typed": self.record.serial_typed, "model_name": self.record.instrument.model_name}

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if not self.errors and bool(data["serial"]) == data["has_none"]:
            self.add_error("serial", "Enter the serial number, or tick that the instrument has none.")
        return data


#: What is usually next where several steps can be undone. No state stands here in which the customer is waited for, or
#: of which the next depends on why it was put on hold.
NEXT: dict[str, str] = {
    RMA.State.REQUESTED: RMA.State.AUTHORISED,
    RMA.State.AUTHORISED: RMA.State.RECEIVED,
    RMA.State.IN_TRANSIT: RMA.State.RECEIVED,
    RMA.State.RECEIVED: RMA.State.QUOTED,
    RMA.State.APPROVED: RMA.State.IN_SERVICE,
    RMA.State.DECLINED: RMA.State.SHIPPED_BACK,
    RMA.State.IN_SERVICE: RMA.State.VERIFIED,
    RMA.State.VERIFIED: RMA.State.SHIPPED_BACK,
    RMA.State.BEYOND_REPAIR: RMA.State.SHIPPED_BACK,
    RMA.State.CANCELLED: RMA.State.SHIPPED_BACK,
    RMA.State.SHIPPED_BACK: RMA.State.CLOSED,
}


STEPS = {state.value: _step_to(state.value) for state in RMA.State}


LABELS = {f"return_{part}": title for part, title in PARTS.items()} | {
    "contact_name": "Name",
    "phone": "Phone number",
    "email": "E-mail address",
    "customer_reference": "Customer's reference",
}


@admin.register(RMA)
class RMAAdmin(RecordAdmin):
    list_display = ("number", "at_the_desk", "service", "instrument", "contact_name", "opened_on", "closed_on")
    list_filter = (("state", StateAtTheDesk), "service", "is_warranty", "is_serial_open", CountryToChoose)
    ordering = ("-opened_on", "-number")
    columns = ("number", "instrument__serial")
    named_by = ("contact_name",)
    through = (("customer", Customer), ("company", Company), ("customer__subject__users", BY_LOGIN))
    acts: ClassVar[Mapping[str, str]] = {
        "certificate.issued": "Certificate issued",
        "instrument.transferred": "Instrument registered to another customer",
        "rma.moved": "State changed",
        "rma.noted": "Message written",
        "rma.opened": "Return opened",
        "rma.serial_settled": "Serial number checked",
    }
    history_words: ClassVar[Mapping[str, str]] = {
        **dict(RMA.State.choices), **AT_THE_DESK, **dict(RMAEvent.Reason.choices), "": "",
    }  # fmt: skip
    refusals: ClassVar[dict[type[Exception], str]] = {
        services.TransitionRefused: "",
        services.InstrumentRefused: "",
        serials.SerialSettled: "The serial number was settled in the meantime.",
    }
    rows = (
        Rows("thread", "Messages", ("written_at", "author", "text")),
        Rows(
            "events",
            "States",
            ("at", "from_state", "to_state", "actor_kind", "reason"),
            called={"at": "When", "from_state": "From", "to_state": "To", "actor_kind": "By"},
            said={"from_state": AT_THE_DESK, "to_state": AT_THE_DESK, "actor_kind": WORDS, "reason": {"": "–"}},
        ),
        Rows("certificates", "Certificates", ("number", "revision", "procedure", "calibrated_on", "issued_on")),
    )
    search_help = "RMA number, serial number, or name, e-mail, phone of the customer. What you type is not kept."
    labels = LABELS
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("at_the_desk", "service", "instrument", "customer", "company", "order", "channel")}),
        ("Cost", {"fields": ((yes_or_no("is_warranty", "Under warranty"), amount("cost_limit", "Approved in advance up to"), amount("quote", "Quote")),)}),
        ("Days", {"fields": (("opened_on", "received_on", "shipped_on", "closed_on"),)}),
        ("Wanted", {"fields": ("fault", "accessories")}),
        (
            "Contact and return address",
            {
                "fields": (
                    "contact_name", "contact_company", "phone", "email", "return_street", "return_street2", "return_city",
                    "return_region", "return_postal_code", "return_country", "customer_reference",
                )
            },
        ),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("customer", "company", "order", "instrument")

    @admin.display(description="State", ordering="state")
    def at_the_desk(self, record: RMA) -> str:
        """Return the state in words for the desk: those of the model speak to the customer."""
        return at_the_desk(record.state)

    def rows_of(self, owner: Any) -> QuerySet[RMA] | None:
        found = {Customer: "customer", Company: "company"}
        path = next((path for model, path in found.items() if isinstance(owner, model)), "")
        rows = RMA.objects.select_related("instrument").order_by("-opened_on", "-number")
        return rows.filter(**{path: owner}) if path else None

    def line_of(self, record: RMA) -> tuple[str, str]:
        opened = _("opened on %s") % f"{record.opened_on:%-d %B %Y}"
        return (
            f"{super().line_of(record)[0]}: {record.instrument}",
            f"{opened}; {at_the_desk(record.state, in_sentence=True)}",
        )

    def steps(self, record: RMA, actor: Actor) -> dict[str, type[Step]]:
        if not actor.roles & {"service", "sales"}:
            return {}
        found: dict[str, type[Step]] = {to: STEPS[to] for to in states.next_states(record, states.STAFF)}
        if record.is_open and "service" in actor.roles:  # sales may not read the thread
            found["message"] = AddNote
        if "service" in actor.roles and record.is_serial_open:
            found["serial"] = SettleSerial
        return found

    def next_of(self, record: RMA, steps: Mapping[str, type[Step]]) -> str:
        """Return what the laboratory usually does next; "" where the customer is waited for or what comes depends on
        more than the state.

        The serial number is settled while the instrument is looked at; work under warranty is not quoted.
        """
        if record.state == RMA.State.RECEIVED and "serial" in steps:
            return "serial"
        is_free = record.state == RMA.State.RECEIVED and record.is_warranty
        following = RMA.State.IN_SERVICE.value if is_free else NEXT.get(record.state, "")
        return following if following in steps else ""

    def take(self, name: str, record: RMA, data: dict[str, Any], *, actor: Actor, now: datetime) -> str:
        if name == "message":
            services.add_note(record, text=data["text"], actor=actor, now=now)
            return "The message is in the customer's portal."
        if name == "serial":
            settled = serials.settle(record, serial=data["serial"], is_sold_on=data["is_sold_on"], actor=actor, now=now)
            return f"{settled.number}: the serial number is settled."
        if name not in RMA.State.values:
            return super().take(name, record, data, actor=actor, now=now)
        services.transition(record, name, actor=actor, now=now, reason=data.get("reason", ""), quote=data.get("quote"))
        return f"{record.number}: {at_the_desk(name, in_sentence=True)}."

    def work_lists(self, actor: Actor, today: date) -> Iterable[WorkList]:
        if "service" not in actor.roles:
            return []

        def task(one: RMA) -> Task:
            text = f"{one.number}: {at_the_desk(one.state, in_sentence=True)}"
            return Task(self.url_of(one), text, f"opened {one.opened_on:%-d %B %Y}")

        def number(one: RMA) -> Task:
            return Task(self.url_of(one), one.number, f"opened {one.opened_on:%-d %B %Y}")

        url = self.url_of_list()
        unsettled = serials.to_settle().order_by("opened_on", "number")
        return [
            WorkList.of("Open returns, oldest first", url, RMA.objects.open().order_by("opened_on", "number"), task),
            WorkList.of("Serial numbers to settle", f"{url}?is_serial_open__exact=1", unsettled, number),
        ]

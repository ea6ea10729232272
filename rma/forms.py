"""The form that opens a return, and the message to the laboratory. They ask what the policy lists
and nothing else (P17, P24)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django import forms

from accounts import countries
from accounts.models import Customer
from accounts.phonefield import PhoneFormField
from accounts.validators import no_card_for_identifier, no_card_number
from privacy.typed.lines import one_line
from privacy.typed.mailbox import MailboxField
from rma.models import RMA, Instrument, RMANote

CONTACT = (
    "contact_name",
    "contact_company",
    "phone",
    "email",
    "return_street",
    "return_street2",
    "return_city",
    "return_region",
    "return_postal_code",
    "return_country",
    "customer_reference",
)
#: The questions about the instrument; the others ask where it goes back to.
INSTRUMENT = ("service", "serial", "model_name", "fault", "accessories", "customer_reference")


def _text(
    label: str,
    limit: int | None,
    *,
    required: bool = True,
    hint: str = "",
    complete: str = "",
    guard: Callable[[str], None] = no_card_number,
    **kwargs: Any,
) -> forms.CharField:
    """Return a line of text that refuses card numbers by `guard`; `complete` is the browser's autocomplete token."""
    widget = kwargs.pop("widget", None) or forms.TextInput()
    if complete:
        widget.attrs["autocomplete"] = complete
    validators = [guard, *kwargs.pop("validators", [])]
    if not isinstance(widget, forms.Textarea):
        validators.append(one_line)
    return forms.CharField(
        label=label, max_length=limit, required=required, help_text=hint, widget=widget, validators=validators, **kwargs
    )


class NewRMAForm(forms.Form):
    """One instrument, what is to be done with it, and where it goes back to."""

    service = forms.ChoiceField(
        label="What is to be done?",
        choices=RMA.Service.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose calibration or repair."},
    )
    serial = _text(
        "Serial number of the instrument",
        RMA._meta.get_field("serial_typed").max_length,
        guard=no_card_for_identifier,
        hint="It stands on the back or underneath, for example ILT2400-01234. If you find none, write what you find there: "
        "our service looks at the instrument.",
        error_messages={"required": "Enter the serial number."},
    )
    model_name = _text(
        "Model",
        Instrument._meta.get_field("model_name").max_length,
        guard=no_card_for_identifier,
        hint="For example ILT2400.",
        error_messages={"required": "Enter the model."},
    )
    fault = _text(
        "What is wrong, or what do you need?",
        4000,
        hint="Leave out names, addresses and payment data: the laboratory does not need them.",
        widget=forms.Textarea(attrs={"rows": 5}),
        error_messages={"required": "Describe the fault or the calibration that you need."},
    )
    accessories = _text("What comes with it?", 500, required=False, hint="Cables, sensors, case.")
    customer_reference = _text(
        "Your reference", 80, required=False, guard=no_card_for_identifier, hint="A purchase order number, for example."
    )
    contact_name = _text(
        "Name of the contact", 200, complete="name", error_messages={"required": "Enter the name of the contact."}
    )
    contact_company = _text("Company", 200, required=False, complete="organization")
    email = MailboxField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        error_messages={
            "required": "Enter an e-mail address.",
            "invalid": "Enter an e-mail address like name@example.com.",
        },
    )
    phone = PhoneFormField(
        label="Phone number",
        max_length=40,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "tel"}),
        validators=[one_line],
        help_text="For questions of the laboratory, and for the carrier that brings the instrument back.",
    )
    return_street = _text(
        "Street",
        200,
        complete="address-line1",
        error_messages={"required": "Enter the street the instrument goes back to."},
    )
    return_street2 = _text("Second line", 200, required=False, complete="address-line2")
    return_city = _text("City", 100, complete="address-level2", error_messages={"required": "Enter the city."})
    return_region = _text("State or region", 100, required=False, complete="address-level1")
    return_postal_code = _text("Postal code", 20, required=False, complete="postal-code")
    return_country = forms.ChoiceField(
        label="Country", choices=countries.CHOICES, error_messages={"required": "Choose a country."}
    )

    def groups(self, *, changed: str = "") -> list[dict[str, Any]]:
        """Return the groups of questions, each with the name that its "Change" sends, its heading, its fields, and
        whether it is the one to be `changed`: an error is looked at before that."""
        rest = [name for name in self.fields if name not in INSTRUMENT]
        groups = (("instrument", "The instrument", INSTRUMENT), ("return", "Where it goes back to", rest))
        return [
            {
                "name": name,
                "title": title,
                "fields": [self[one] for one in names],
                "is_changed": name == changed and not self.errors,
            }
            for name, title, names in groups
        ]

    def answers(self) -> list[dict[str, Any]]:
        """Return the groups of questions, each with its name, heading and label and answer of what was answered, for
        the page that shows them once more."""
        return [{**group, "answers": self._answered(group["fields"])} for group in self.groups()]

    def _answered(self, fields: Iterable[forms.BoundField]) -> list[dict[str, Any]]:
        return [
            {"label": field.label, "answer": self._shown(field.name)}
            for field in fields
            if self.cleaned_data.get(field.name)
        ]

    def contact(self) -> dict[str, str]:
        """Return what goes into the envelope rma, and the country."""
        return {name: self.cleaned_data[name] for name in CONTACT}

    def _shown(self, name: str) -> str:
        value: str = self.cleaned_data[name]
        return dict(getattr(self.fields[name], "choices", ())).get(value, value)


def initial(customer: Customer) -> dict[str, str]:
    """Return what is on file, to save typing: name, address for returns or else the first one. Opens the own
    account."""
    address = customer.addresses.order_by("-purpose").first()
    found = {
        "contact_name": " ".join(part for part in (customer.first_name, customer.last_name) if part),
        "email": customer.email or "",
        "phone": customer.phone or "",
        "return_country": customer.country,
    }
    if address is not None:
        found |= {
            "return_street": address.street or "",
            "return_street2": address.street2 or "",
            "return_city": address.city or "",
            "return_region": address.region or "",
            "return_postal_code": address.postal_code or "",
            "return_country": address.country,
        }
    return found


class NoteForm(forms.Form):
    """A message to the laboratory about one return."""

    text = _text(
        "Your message",
        RMANote._meta.get_field("text").max_length,
        hint="Please no payment data.",
        widget=forms.Textarea(attrs={"rows": 4}),
        error_messages={"required": "Write a message."},
    )

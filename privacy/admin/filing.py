"""What is filled in to file a request that came by phone, fax, e-mail, mail or in person."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from privacy.admin.steps import Step, date_input, to_choose
from privacy.calendar import company_day
from privacy.models import Request
from privacy.requests import addresses, filing, numbered, procedures, proof
from privacy.requests.procedure import Door
from privacy.requests.states import Channel
from privacy.typed import cards
from privacy.typed.lines import one_line
from privacy.typed.mailbox import MailboxField

PROOFS = [choice for choice in Request.Identity.choices if choice[0] not in filing.WITNESSED_HERE]


# With a call-back goes what the person said: it is stated once the request is filed.
AT_FILING = [choice for choice in PROOFS if choice[0] != Request.Identity.CALLBACK]


CHANNELS = [choice for choice in Channel.choices if choice[0] != Channel.WEB]


def subject_of(number: str) -> UUID:
    """Return whom the record is about that people call `number`, as `numbered.subject_of`. Raises ValidationError."""
    try:
        return numbered.subject_of(number)
    except proof.BadRequest as error:
        raise ValidationError(str(error)) from None


class Numbered(Step):
    """A step that may name a person by customer, order or return number; `subject` is who it is."""

    customer_number = forms.CharField(
        required=False, max_length=40, help_text="Or an order or RMA number of the person.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip

    def clean_customer_number(self) -> str:
        """Return the number, and put the person as `subject` among the answers, None without one. Raises
        ValidationError for a number of nobody."""
        number: str = self.cleaned_data["customer_number"].strip()
        self.cleaned_data["subject"] = subject_of(number) if number else None
        return number


class FileRequest(Numbered):
    title = "File a request"
    help = (
        "For what came by phone, fax, e-mail, mail or in person. The clock starts on the day anybody here received it. "
        "You need a customer number, an e-mail address, or a name and a postal address."
    )
    kind = forms.ChoiceField(choices=lambda: to_choose(procedures.choices_at(Door.STAFF)()), label="What is asked for")
    channel = forms.ChoiceField(choices=to_choose(CHANNELS), label="How it reached us")
    received_on = forms.DateField(widget=date_input(), label="Received on")
    email = MailboxField(
        required=False, max_length=254, label="E-mail address they wrote from",
        help_text="Finds who asks. Unless it stands on file no link, code or data goes to it, only a letter that holds nothing "
        "(we cannot tell who is asking; a refusal; it is taken back).", widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
    name = forms.CharField(
        required=False, max_length=200, label="Name given", widget=forms.TextInput(attrs={"autocomplete": "off"}),
        validators=[one_line, cards.refuse],
    )  # fmt: skip
    postal = forms.CharField(
        required=False, max_length=400, label="Postal address they wrote from",
        help_text="With the name, for somebody without a customer number and an e-mail address. Only what holds nothing is posted there.",
        widget=forms.Textarea(attrs={"rows": 4, "autocomplete": "off"}), validators=[cards.refuse],
    )  # fmt: skip
    asked_by = forms.ChoiceField(choices=Request.AskedBy.choices, label="Asked by")
    identity = forms.ChoiceField(
        choices=AT_FILING, label="How identity was proved",
        help_text="A name and a birth date prove nothing. Whatever you state here, a second person has to agree before anything is "
        "given or removed. Not proved yet: a one-time link goes to the e-mail address on file, if there is one. For a call-back choose "
        "that, too: you state it as the next step, with what the person says.",
    )  # fmt: skip
    note = forms.CharField(
        required=False, max_length=4000, label="Notes", widget=forms.Textarea(attrs={"rows": 4}),
        validators=[cards.refuse],
    )  # fmt: skip
    field_order = (
        "kind",
        "channel",
        "received_on",
        "customer_number",
        "email",
        "name",
        "postal",
        "asked_by",
        "identity",
        "note",
    )

    def prepare(self) -> None:
        """Begin with today as the day of receipt."""
        self.fields["received_on"].initial = company_day(timezone.now())

    def clean(self) -> dict[str, Any]:
        """Return the answers with the only person whom the address names as `subject`, where no number did; None where
        it names nobody or several."""
        data = self.cleaned_data
        if not self.errors and data.get("subject") is None:
            data["subject"] = addresses.only_subject_of(data["email"], now=timezone.now())
        return data

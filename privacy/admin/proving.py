"""What is filled in about who is asking: a call-back, a code by post, what staff saw."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext as _

from privacy.admin.filing import PROOFS, Numbered
from privacy.admin.steps import Group, Step
from privacy.models import Request
from privacy.requests import proof
from privacy.typed import cards, numberfields
from privacy.typed.lines import one_line
from privacy.typed.numberfields import Kind


class PostCode(Numbered):
    title = "Send a code by post"
    help = (
        "For a person whom no e-mail reaches. The letter goes to the postal address on file, if it has been there for 14 days: "
        "print it, post it, mark it as posted: before that the code does not work. When the person reads it back, somebody else "
        "states the identity with it: who wrote the letter, opened it or marked it as posted takes no code from it, and is no second "
        "person then."
    )

    def prepare(self) -> None:
        """Say beside the number that it may be left out, where the person was matched and all of theirs is meant."""
        if self.record.subject_id and not self.record.is_about_records:
            self.fields["customer_number"].help_text = "Empty: the person already matched."

    def clean(self) -> dict[str, Any]:
        """Return the answers with the person as `subject`; without one an error beside the number."""
        data = self.cleaned_data
        matched = None if self.record.is_about_records else self.record.subject_id
        data["subject"] = data.get("subject") or matched
        if not self.errors and data["subject"] is None:
            self.add_error("customer_number", "Say who it may be: nobody was matched by the address.")
        return data


def said_on_the_telephone(label: str, help_text: str = "", of: Kind = Kind.IDENTIFIER) -> forms.CharField:
    """Return a line for what somebody said on the telephone: a number of ours, a name, or the number that was
    called."""
    return forms.CharField(
        required=False, max_length=60, label=label, help_text=help_text, validators=[one_line, partial(numberfields.refuse, of=of)],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip


class CalledBack(Step):
    """A call-back alone: the number that was called, and two facts."""

    number = said_on_the_telephone("Number that you called", of=Kind.PHONE)
    first_fact = forms.ChoiceField(required=False, label="First fact")
    first_said = said_on_the_telephone("What the person said to the first")
    second_fact = forms.ChoiceField(required=False, label="Second fact")
    second_said = said_on_the_telephone("What the person said to the second")

    def prepare(self) -> None:
        """Offer the kinds of facts by which a person is recognised in a call-back."""
        for name in ("first_fact", "second_fact"):
            self.fields[name].choices = [("", "choose"), *proof.kinds()]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Return the answers with what was said as one `callback`; the service compares it with what is on file."""
        data = self.cleaned_data
        facts = tuple((data.pop(f"{which}_fact", ""), data.pop(f"{which}_said", "")) for which in ("first", "second"))
        data["callback"] = proof.Callback(data.get("number", ""), facts)
        return data


class StateIdentity(Numbered):
    """First how it was proved, and then, on a page of its own, what that needs and no more."""

    title = "State the identity"
    template = "admin/step_identity.html"
    help = (
        "State how the person proved who they are. Every other e-mail address of the person is told. Before anything is given or "
        "removed, a second person who had no part in it has to agree."
    )
    how = forms.ChoiceField(
        choices=[
            *(choice for choice in PROOFS if choice[0] != Request.Identity.PENDING),
            (Request.Identity.POST.value, Request.Identity.POST.label),
        ],
        label="Proved by",
        widget=forms.RadioSelect,
    )
    code = forms.CharField(
        required=False, max_length=20, label="Code from our letter",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
    note = forms.CharField(
        required=False, max_length=2000, label="Reasons, for the file", widget=forms.Textarea(attrs={"rows": 4}),
        validators=[cards.refuse],
    )  # fmt: skip
    number = said_on_the_telephone("Number that you called", of=Kind.PHONE)
    first_fact = forms.ChoiceField(required=False, label="First fact")
    first_said = said_on_the_telephone("What the person said to the first")
    second_fact = forms.ChoiceField(required=False, label="Second fact")
    second_said = said_on_the_telephone("What the person said to the second")
    field_order = (
        "how", "customer_number", "number", "first_fact", "first_said", "second_fact", "second_said", "code", "note",
    )  # fmt: skip
    asked: ClassVar[Mapping[str, Group]] = {
        Request.Identity.CALLBACK: Group(
            "Call-back",
            "A number that has been on file for 14 days. Ask for two facts before you name any. What you type is compared with what is "
            "on file and not kept; after five wrong tries nothing is compared for a day.",
            ("number", "first_fact", "first_said", "second_fact", "second_said"),
        ),
        Request.Identity.POST: Group(
            "Code by post",
            "The person reads back the code from our letter, and not to who wrote, opened or posted the letter.",
            ("code",),
        ),
        Request.Identity.STAFF: Group("Written evidence", "What you saw, and why it is enough.", ("note",)),
    }

    def prepare(self) -> None:
        """Ask first how identity was proved, on a page by GET; then only for what that way needs."""
        how = str((self.data if self.is_bound else self.chosen).get("how", ""))
        if how not in dict(self.fields["how"].choices):  # type: ignore[attr-defined]
            self.http_method = "post" if self.is_bound else "get"
            self._keep({"how"})
            return
        group = self.asked.get(how)
        self.groups = (group,) if group else ()
        self.fields["how"].widget, self.fields["how"].initial = forms.HiddenInput(), how
        self._keep({"how", "customer_number", *(group.names if group else ())})
        for name in {"first_fact", "second_fact"} & set(self.fields):
            self.fields[name].choices = [("", "choose"), *proof.kinds()]  # type: ignore[attr-defined]
        if self.record.subject_id:
            self.fields["customer_number"].help_text = "Empty: the person already matched."

    def _keep(self, names: Collection[str]) -> None:
        for name in [one for one in self.fields if one not in names]:
            del self.fields[name]

    def button(self) -> str:
        """Return what the button says: on the first page nothing is stated yet."""
        return self.title if "customer_number" in self.fields else _("Go on")

    def context(self) -> dict[str, Any]:
        """Return in words what was chosen on the page before."""
        return {"chosen": dict(self.fields["how"].choices).get(self.fields["how"].initial, "")}  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Return the answers with `subject`, and `callback`, `note` and `code` for whichever way; without a person, or
        without the description of written evidence, an error beside the field."""
        data = self.cleaned_data
        if self.errors:
            return data
        data["subject"] = data.get("subject") or self.record.subject_id
        if data["subject"] is None:
            self.add_error("customer_number", "Say who it is: nobody was matched by the address.")
        facts = tuple((data.pop(f"{which}_fact", ""), data.pop(f"{which}_said", "")) for which in ("first", "second"))
        is_called = data["how"] == Request.Identity.CALLBACK
        data["callback"] = proof.Callback(data["number"], facts) if is_called else None
        data |= {name: data.get(name, "") for name in ("note", "code")}
        if data["how"] == Request.Identity.STAFF and not data["note"].strip():
            self.add_error("note", "Written evidence needs its description and your reasons.")
        return data

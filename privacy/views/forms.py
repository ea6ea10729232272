"""Forms of the privacy centre. They ask as little as possible: an address, a reference, a code (P24)."""

from __future__ import annotations

from django import forms

from privacy.requests import procedures
from privacy.requests.procedure import Door
from privacy.typed.mailbox import MailboxField


class AskForm(forms.Form):
    """A request without a login: what is asked, and the address that we may have on file."""

    kind = forms.ChoiceField(
        label="What would you like?",
        choices=procedures.choices_at(Door.WITHOUT_LOGIN),
        widget=forms.RadioSelect,
        error_messages={"required": "Choose what you would like."},
    )
    email = MailboxField(
        label="Your e-mail address",
        max_length=254,
        help_text="The one that you used with us. The link goes to it, and to no other.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        error_messages={
            "required": "Enter your e-mail address.",
            "invalid": "Enter an e-mail address like name@example.com.",
        },
    )


class OutcomeForm(forms.Form):
    """Reference and code, as shown when the request was confirmed."""

    reference = forms.CharField(
        label="Reference",
        max_length=40,
        help_text="For example PR-2026-7K3M-9Q.",
        widget=forms.TextInput(attrs={"class": "short", "autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Enter the reference."},
    )
    code = forms.CharField(
        label="Outcome code",
        max_length=40,
        help_text="Twelve letters and digits that were shown to you once.",
        widget=forms.TextInput(attrs={"class": "short", "autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Enter the outcome code."},
    )

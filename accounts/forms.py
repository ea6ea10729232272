"""Forms about a person's own data: contact data and addresses; and the words on the forms of sign-in and sign-up."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import AddEmailForm as AllauthAddEmailForm
from allauth.account.forms import BaseConfirmCodeForm, ConfirmEmailVerificationCodeForm
from allauth.account.forms import ChangePasswordForm as AllauthChangePasswordForm
from allauth.account.forms import LoginForm as AllauthLoginForm
from allauth.account.forms import ResetPasswordForm as AllauthResetPasswordForm
from allauth.account.forms import ResetPasswordKeyForm as AllauthResetPasswordKeyForm
from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.account.forms import UserTokenForm as AllauthUserTokenForm
from allauth.account.models import EmailAddress
from django import forms
from django.conf import settings
from django.utils import timezone

from accounts import countries, reach, regions, vouching
from accounts.models import Address
from accounts.phonefield import PhoneFormField
from accounts.validators import no_card_number
from privacy.typed.lines import one_line
from privacy.typed.mailbox import MailboxField
from privacy.vault import SealedModel, Unreadable


class LoginForm(AllauthLoginForm):
    """allauth's form in our words."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = "User name or e-mail address"
        self.fields["login"].error_messages["required"] = "Enter your user name or e-mail address."
        self.fields["password"].error_messages["required"] = "Enter your password."
        if "remember" in self.fields:
            self.fields["remember"].label = "Keep me signed in on this device"
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)


HINT = "At least 15 characters. A few words that you can remember make a good one."


def _in_our_words(form: Any) -> None:
    """Call the fields of a form for a new password as the rest of the site does."""
    labels = {"oldpassword": "Current password", "password1": "New password", "password2": "New password again"}
    for name, label in labels.items():
        if name in form.fields:
            form.fields[name].label = label
            form.fields[name].widget.attrs.pop("placeholder", None)
    form.fields["password1"].help_text = HINT


class SignupForm(AllauthSignupForm):
    """allauth's form in our words. User name, e-mail address, password: nothing else is asked (P16)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "User name"
        self.fields["username"].help_text = "Letters, digits and . _ + - are possible. It need not be your real name."
        self.fields["username"].error_messages["required"] = "Choose a user name."
        self.fields["email"].label = "E-mail address"
        self.fields["email"].help_text = "We send a code to it, to make sure that it is yours."
        self.fields["email"].error_messages |= {
            "required": "Enter your e-mail address.",
            "invalid": "Enter an e-mail address like name@example.com.",
        }
        self.fields["password1"].help_text = HINT
        self.fields["password1"].error_messages["required"] = "Choose a password."
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)


class ChangePasswordForm(AllauthChangePasswordForm):
    """allauth's form; the password of today is asked for as wherever it is shown once more."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _in_our_words(self)

    def clean_oldpassword(self) -> str:
        """Return the password of today. Raises ValidationError, also where a limit is reached: a try counts with those
        to sign in, so that a borrowed session guesses no faster here."""
        password = str(self.cleaned_data["oldpassword"])
        if not get_adapter().reauthenticate(self.user, password):
            raise get_adapter().validation_error("enter_current_password")
        return password


class NewPasswordForm(AllauthResetPasswordKeyForm):
    """allauth's form behind the link of a letter."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _in_our_words(self)


class CodeForm(ConfirmEmailVerificationCodeForm):
    """The code that was sent to an address, typed into the browser that asked for it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].label = "Code"
        self.fields["code"].help_text = "Eight letters, as they stand in the e-mail."
        self.fields["code"].error_messages["required"] = "Type the code from the e-mail."
        self.fields["code"].widget.attrs.pop("placeholder", None)

    def clean_code(self) -> str:
        """Return the code of a login that still waits for it. An address is taken by who has confirmed it, only.

        allauth asks whether anybody else waits for the same address, too.
        """
        code = BaseConfirmCodeForm.clean_code(self)
        if self.user is None:
            raise get_adapter().validation_error("incorrect_code")
        if reach.is_login_disputed(self.user.subject_id):
            raise forms.ValidationError(said_of_a_dispute())
        if EmailAddress.objects.filter(email=self.email, verified=True).exclude(user=self.user).exists():
            raise get_adapter().validation_error("email_taken")
        return str(code)


def said_of_a_dispute() -> str:
    """Return why the address of a login cannot be changed now, and what to do, in one sentence."""
    phone, email = settings.COMPANY["phone"], settings.COMPANY["email"]
    return (
        "Somebody has told us that the last change of this address was not theirs, so it stays as it is until our privacy team has "
        f"decided: call {phone} or write to {email}."
    )


class AddEmailForm(AllauthAddEmailForm):
    """allauth's form for another address of the login; none is taken while somebody objects to the one in force."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].label = "New e-mail address"

    @property
    def refusal(self) -> str:
        """Why no other address is taken, "" where one is: the page says it instead of asking."""
        is_disputed = self.user is not None and reach.is_login_disputed(self.user.subject_id)
        return said_of_a_dispute() if is_disputed else ""

    def clean_email(self) -> str:
        if refusal := self.refusal:
            raise forms.ValidationError(refusal)
        return str(super().clean_email())


class ResetPasswordForm(AllauthResetPasswordForm):
    """allauth's form; a login that never confirmed the address gets no letter: who signed up may be somebody else."""

    users: list[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].label = "E-mail address"

    def clean_email(self) -> str:
        email = super().clean_email()
        self.users = vouching.reached(self.users, email)
        return str(email)


class UserTokenForm(AllauthUserTokenForm):
    """allauth's check of a link that sets a new password; it works for no login that is doubted."""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean()
        if not self.reset_user.is_vouched:
            vouching.refuse(self.reset_user, now=timezone.now())
            raise get_adapter().validation_error("invalid_password_reset")
        return cleaned


class OwnDataForm(forms.Form):
    """A form over data of one record. What cannot be read is shown disabled, with the reason, and never written
    back."""

    def __init__(self, *args: Any, record: SealedModel | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            value = getattr(record, name) if record is not None else self.initial.get(name, "")
            if isinstance(value, Unreadable):
                field.disabled, field.required, value = True, False, ""
                field.help_text = "This cannot be read at the moment, so it cannot be changed."
            self.initial[name] = value

    def given(self) -> dict[str, str]:
        """Return what was entered, without the fields that could not be read."""
        return {name: value for name, value in self.cleaned_data.items() if not self.fields[name].disabled}


def _text(
    label: str, limit: int, complete: str, *, required: str = "", hint: str = "", **kwargs: Any
) -> forms.CharField:
    """Return a line of text; `required` is the sentence to show when it is empty, `complete` the autocomplete token."""
    return forms.CharField(
        label=label,
        max_length=limit,
        required=bool(required),
        help_text=hint,
        widget=forms.TextInput(attrs={"autocomplete": complete}),
        validators=[*kwargs.pop("validators", []), one_line, no_card_number],
        error_messages={"required": required} if required else None,
        **kwargs,
    )


def _country(required: str = "") -> forms.ChoiceField:
    return forms.ChoiceField(
        label="Country",
        choices=countries.CHOICES,
        required=bool(required),
        widget=forms.Select(attrs={"autocomplete": "country"}),
        error_messages={"required": required} if required else None,
    )


class ContactForm(OwnDataForm):
    """How we call the person and how we reach them. All of it is optional (P16)."""

    title = _text("Title", 40, "honorific-prefix")
    first_name = _text("First name", 100, "given-name")
    last_name = _text("Last name", 100, "family-name")
    email = MailboxField(
        label="E-mail address for orders and returns",
        max_length=254,
        required=False,
        help_text="The address that you sign in with is changed under “Signing in”.",
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        error_messages={"invalid": "Enter an e-mail address like name@example.com."},
    )
    phone = PhoneFormField(
        label="Phone number",
        max_length=40,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "tel"}),
        validators=[one_line],
    )
    region = _text("State or region", regions.LONGEST, "address-level1", hint=regions.HINT)
    country = _country()


class AddressForm(OwnDataForm):
    """One postal address."""

    purpose = forms.ChoiceField(
        label="What is this address for?",
        choices=Address.Purpose.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose what the address is for."},
    )
    street = _text("Street", 200, "address-line1", required="Enter the street.")
    street2 = _text("Second line", 200, "address-line2")
    city = _text("City", 100, "address-level2")
    region = _text("State or region", regions.LONGEST, "address-level1", hint=regions.HINT)
    postal_code = _text("Postal code", 20, "postal-code")
    country = _country("Choose a country.")

"""What the privacy team fills in to file a request and to take it on: the forms only, each step is one service call."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from privacy import called, letters, vault
from privacy.admin.work import Group, Step, date_input
from privacy.calendar import company_day
from privacy.models import Hold, Letter, Request
from privacy.requests import assessment, deadline, filing, grounds, history, identity, offering, procedures, proof
from privacy.requests.procedure import Door
from privacy.requests.states import Channel
from privacy.retention import holds
from privacy.typed import cards, numberfields
from privacy.typed.lines import one_line
from privacy.typed.mailbox import MailboxField
from privacy.typed.numberfields import Kind

PROOFS = [choice for choice in Request.Identity.choices if choice[0] not in filing.WITNESSED_HERE]
# With a call-back goes what the person said: it is stated once the request is filed.
AT_FILING = [choice for choice in PROOFS if choice[0] != Request.Identity.CALLBACK]
CHANNELS = [choice for choice in Channel.choices if choice[0] != Channel.WEB]
NOT_FOUND = "No customer, order or return has this number."


def subject_of(number: str) -> UUID:
    """Return whom the record is about that people call `number`: a customer, an order, a return.

    Raises ValidationError.
    """
    try:
        found = holds.find(number)
    except holds.RecordNotFound:
        raise ValidationError(NOT_FOUND) from None
    except holds.ReferenceNotUnique:
        raise ValidationError("More than one record has this number.") from None
    path = found.declaration.subject_path
    rows = found.declaration.model._default_manager.filter(pk=found.record_id)
    row = rows.first()
    if isinstance(row, vault.SealedModel) and vault.keys.strangers({row.pk: row.vault_owner()}):
        raise ValidationError("This record is somebody else's than its row says: tell who runs the site.")
    subject = rows.values_list(path, flat=True).first() if path else None
    if not isinstance(subject, UUID):
        raise ValidationError("This record leads to nobody.")
    return subject


class Numbered(Step):
    """A step that may name a person by customer, order or return number; `subject` is who it is."""

    customer_number = forms.CharField(
        required=False, max_length=40, help_text="Or an order or RMA number of the person.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip

    def clean_customer_number(self) -> str:
        number: str = self.cleaned_data["customer_number"].strip()
        self.cleaned_data["subject"] = subject_of(number) if number else None
        return number


class FileRequest(Numbered):
    title = "File a request"
    help = (
        "For what came by phone, fax, e-mail, mail or in person. The clock starts on the day anybody here received it. "
        "You need a customer number, an e-mail address, or a name and a postal address."
    )
    kind = forms.ChoiceField(choices=procedures.choices_at(Door.STAFF), label="What is asked for")
    channel = forms.ChoiceField(choices=CHANNELS, label="How it reached us")
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
        self.fields["received_on"].initial = company_day(timezone.now())

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if not self.errors and data.get("subject") is None:
            data["subject"] = identity.only_subject_of(data["email"], now=timezone.now())
        return data


class PostCode(Numbered):
    title = "Send a code by post"
    help = (
        "For a person whom no e-mail reaches. The letter goes to the postal address on file, if it has been there for 14 days: "
        "print it, post it, mark it as posted: before that the code does not work. When the person reads it back, somebody else "
        "states the identity with it: who wrote the letter, opened it or marked it as posted takes no code from it, and is no second "
        "person then."
    )

    def prepare(self) -> None:
        if self.record.subject_id and not self.record.is_about_records:
            self.fields["customer_number"].help_text = "Empty: the person already matched."

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        matched = None if self.record.is_about_records else self.record.subject_id
        data["subject"] = data.get("subject") or matched
        if not self.errors and data["subject"] is None:
            self.add_error("customer_number", "Say who it may be: nobody was matched by the address.")
        return data


def _said(label: str, help_text: str = "", of: Kind = Kind.IDENTIFIER) -> forms.CharField:
    """Return a line for what somebody said on the telephone: a number of ours, a name, or the number that was called."""
    return forms.CharField(
        required=False, max_length=60, label=label, help_text=help_text, validators=[one_line, partial(numberfields.refuse, of=of)],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip


class CalledBack(Step):
    """A call-back alone: the number that was called, and two facts."""

    number = _said("Number that you called", of=Kind.PHONE)
    first_fact = forms.ChoiceField(required=False, label="First fact")
    first_said = _said("What the person said to the first")
    second_fact = forms.ChoiceField(required=False, label="Second fact")
    second_said = _said("What the person said to the second")

    def prepare(self) -> None:
        for name in ("first_fact", "second_fact"):
            self.fields[name].choices = [("", "choose"), *proof.kinds()]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
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
    number = _said("Number that you called", of=Kind.PHONE)
    first_fact = forms.ChoiceField(required=False, label="First fact")
    first_said = _said("What the person said to the first")
    second_fact = forms.ChoiceField(required=False, label="Second fact")
    second_said = _said("What the person said to the second")
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
        how = str((self.data if self.is_bound else self.chosen).get("how", ""))
        if how not in dict(self.fields["how"].choices):  # type: ignore[attr-defined]
            self.method = "post" if self.is_bound else "get"
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


class MakePlan(Step):
    title = "Make or refresh the plan"
    help = "The plan says per record what goes, what stays, why and until when. Nothing is done by it."


class Confirm(Step):
    title = "Confirm for the person"
    help = (
        "Only when the person was told this plan and agreed to it, or asked for it by a signed letter or fax; where it went by post "
        "not before the day after its letter was posted, or with the day on which the answer came. A second person has to agree, and reads "
        "what you state here. What goes cannot be brought back."
    )
    is_destructive = True
    template = "admin/confirm.html"
    agreed = forms.ChoiceField(choices=[("", "choose"), *offering.AGREED.items()], label="How the person agreed")
    number = _said(
        "Number of the plan on the signed letter",
        "Only for a plan that came back signed: it stands above the signature.",
    )
    plan_hash = forms.CharField(max_length=64, widget=forms.HiddenInput)
    answered_on = forms.DateField(
        required=False, widget=date_input(), label="Day on which the person's answer came",
        help_text="Needed where the letter with the plan was posted, or handed over, today.",
    )  # fmt: skip

    def context(self) -> dict[str, Any]:
        plan = assessment.plan_for(self.record, today=company_day(timezone.now()))
        return {"plan": plan}


class NothingHeld(Step):
    title = "Answer that nothing is held"
    help = (
        "For somebody whom nothing on file names. The program looks for the address and the name that were given, whoever's they are, and "
        "refuses where anything carries them; look for other spellings yourself first. The answer goes to the address that was given. "
        "Where a name was given, nobody is told so without this step."
    )


class Refuse(Step):
    title = "Refuse"
    help = (
        "The person is told the reason, and where to complain. Nothing of theirs is changed. As manifestly unfounded or excessive it is "
        "refused only once a second person has agreed to your evidence; without a decision by the due date the request goes on."
    )
    is_destructive = True
    authority = forms.ChoiceField(label="Ground")
    ground = forms.CharField(
        max_length=2000, label="Reason, in words for the person", widget=forms.Textarea(attrs={"rows": 5}),
        validators=[cards.refuse],
    )  # fmt: skip
    evidence = forms.CharField(
        required=False, max_length=2000, label="Evidence, in words for the second person",
        help_text="Needed to refuse as manifestly unfounded or excessive: how often was asked, what was answered, what shows the intent. "
        "That somebody asks again is none by itself.",
        widget=forms.Textarea(attrs={"rows": 5}), validators=[cards.refuse],
    )  # fmt: skip
    field_order = ("authority", "ground", "evidence")

    def prepare(self) -> None:
        authority: Any = self.fields["authority"]
        authority.choices = [(rule, f"{rule}: {words}") for rule, words in grounds.of(self.record).items()]


class Extend(Step):
    title = "Extend the deadline"
    help = "Once, when the law gives a reason. The person is told at once, with the reason and the new date."
    reason = forms.ChoiceField(choices=tuple(deadline.REASONS.items()), label="Reason, Art. 12(3) GDPR")
    words = forms.CharField(
        max_length=2000, label="What takes longer, in words for the person", widget=forms.Textarea(attrs={"rows": 4})
    )


class ExtendTooLate(Extend):
    is_offered = False
    help = "The last day to tell the person is over: an extension is refused, and the audit says that it was tried too late."


class Pause(Step):
    title = "Pause the clock"
    help = (
        "Until the identity is proved: it was asked for within three working days and there is reason to doubt it. "
        "The days count again once you state the identity."
    )


class AssessBreach(Step):
    title = "Note what became of a possible breach"
    help = (
        "A second person decided that it was not shown to be the person, and a copy had been fetched or data removed before. Find "
        "out who has what. If it is a personal data breach, enter it in the company's record of breaches; an authority that has to "
        "be told is told within 72 hours of our knowing (Art. 33). This program keeps no such record: the audit notes what you found."
    )
    found = forms.ChoiceField(
        choices=(("breach", "A breach: it is in the company's record"), ("no_breach", "No breach")),
        widget=forms.RadioSelect, label="What was found",
    )  # fmt: skip


class Withdraw(Step):
    title = "Take back"
    help = "Only when the person wants it. The request ends; nothing is done for it."
    is_destructive = True


class Resume(Step):
    title = "Resume"
    help = "It goes on with the step that failed. Do it once what made it fail is mended."


class LetterStep(Step):
    """A step about one of the request's letters."""

    letter = forms.ModelChoiceField(queryset=Letter.objects.none(), empty_label=None)

    @staticmethod
    def letters(record: Request) -> QuerySet[Letter]:
        """Return the letters the step can be taken with."""
        raise NotImplementedError

    def prepare(self) -> None:
        field: Any = self.fields["letter"]
        field.queryset = self.letters(self.record)
        field.label_from_instance = lambda one: (
            f"{letter_title(one)}, written {timezone.localtime(one.queued_at):%-d %B %Y, %H:%M}"
        )


class MarkPosted(LetterStep):
    title = "Mark a letter as posted"
    help = (
        "First open the letter under Letters below, print it and post it to the address at its top. Where none stands, no postal "
        "address has been on file for 14 days: hand it over, or wait for one."
    )

    @staticmethod
    def letters(record: Request) -> QuerySet[Letter]:
        return record.letters.filter(by=Letter.By.POST, sent_at=None, stopped_at=None)


class CameBack(LetterStep):
    title = "A letter came back"
    help = (
        "A mail bounced, or the post could not deliver a letter. Nothing more of this request goes to that address, and links and codes of "
        "before end. After a bounce the person is written to by post; a call-back or a code by post shows who asks."
    )

    @staticmethod
    def letters(record: Request) -> QuerySet[Letter]:
        back = record.events.filter(kind=history.LETTER_RETURNED).values_list("detail__letter", flat=True)
        return record.letters.filter(sent_at__isnull=False).exclude(pk__in=list(back))


class PostCopy(Step):
    title = "Post the copy"
    help = (
        "For a person who wants the copy on paper or on a USB stick, or whom no e-mail reaches. A letter is written to the postal "
        "address that has been on file for 14 days; print the copy from its page, or take it for a stick, and post both together. "
        "Marked as posted, letter and copy are destroyed here."
    )


class Resend(LetterStep):
    title = "Send a letter again"
    help = "It was interrupted or given up. It may have reached the person already."

    @staticmethod
    def letters(record: Request) -> QuerySet[Letter]:
        return record.letters.filter(by=Letter.By.EMAIL, sent_at=None, stopped_at=None, next_attempt_at=None)


class PlaceHold(Step):
    title = "Place a hold"
    help = (
        "A record under a hold is not removed, whatever is asked, until the hold is lifted; what is corrected in it stays "
        "readable for the privacy team. It stays in use as long as something else keeps it, and is locked after that."
    )
    record_id = forms.ChoiceField(label="Record")
    reason = forms.ChoiceField(choices=Hold.Reason.choices)
    reference = forms.CharField(
        required=False, max_length=60, label="Number of the case", help_text="A docket or a ticket, never a name.",
        validators=Hold._meta.get_field("reference").validators,
    )  # fmt: skip

    def prepare(self) -> None:
        facts = assessment.facts_of(self.record.subject_id)
        self.labels = {str(one.record_id): one.label for one in facts}
        self.fields["record_id"].choices = [(str(one.record_id), one.title) for one in facts]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        self.cleaned_data["label"] = self.labels.get(self.cleaned_data.get("record_id", ""), "")
        return self.cleaned_data


class HoldRecord(PlaceHold):
    """Place a hold on any record, by its number."""

    record_id = None  # type: ignore[assignment]
    number = forms.CharField(max_length=40, label="Number of the record", help_text="Order, RMA or customer number.")
    field_order = ("number", "reason", "reference")

    def prepare(self) -> None:
        """Nothing to choose from: the record is named by its number."""

    def clean(self) -> dict[str, Any]:
        if number := self.cleaned_data.get("number"):
            try:
                self.cleaned_data["found"] = holds.find(number)
            except (holds.RecordNotFound, holds.ReferenceNotUnique) as error:
                self.add_error("number", str(error))
        return self.cleaned_data


class LiftHold(Step):
    title = "Lift this hold"
    help = "What an erasure left because of it is due from then on: the next sweep carries it out, where it is armed."
    is_destructive = True


LETTERS: dict[str, str] = {
    "acknowledgement": "Acknowledgement",
    "link_identity": "One-time link to prove who asks",
    "link_result": "One-time link to the answer",
    "not_identified": "Nobody identified by the address",
    "plan_ready": "Plan of the removal, by post",
    "plan_confirmed": "Plan confirmed for the person",
    "plan_changed": "Plan has changed",
    "copy_ready": "Copy is ready",
    "copy_posted": "Copy by post, on paper or on a USB stick",
    "erasure_done": "Answer: what went and what stays",
    "rest_erased": "What had to stay has gone",
    "kept_longer": "A day that was told came while something was open",
    "refused": "Refusal",
    "extended": "More time is needed",
    "late": "The answer is late",
    "withdrawn": "Taken back",
    "expired": "Expired",
    "nothing_held": "Answer: nothing is held",
    "posted_code": "Code by post to prove who asks",
    "not_you": "Not shown to be the person",
    "told_elsewhere": "Word to another address of the person",
}


def letter_title(letter: Letter) -> str:
    """Return what kind of letter it is."""
    return LETTERS.get(letter.kind, letter.kind.replace("_", " ").capitalize())


def on_paper(letter: Letter, text: Any) -> dict[str, Any]:
    """Return what the page of a letter to be printed shows: the letter, its address block, and its text below that."""
    address, rest = letters.on_paper(text) if isinstance(text, str) else ("", text)
    return {"letter": letter, "address": address, "text": rest}


def name_records(found: list[Hold]) -> None:
    """Give each hold the name of its record as `title`: order and RMA numbers, in one query per kind of record."""
    names = called.names((hold.label, hold.record_id) for hold in found)
    for hold in found:
        hold.title = names[hold.label, hold.record_id]  # type: ignore[attr-defined]

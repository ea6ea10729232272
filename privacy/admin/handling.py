"""What the privacy team fills in to take a request on to its end: the forms only, each step is one service call."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils import timezone

from privacy.admin.proving import said_on_the_telephone
from privacy.admin.steps import Step, date_input, to_choose
from privacy.calendar import company_day
from privacy.requests import assessment, deadline, filled, grounds, offering
from privacy.typed import cards


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
    number = said_on_the_telephone(
        "Number of the plan on the signed letter",
        "Only for a plan that came back signed: it stands above the signature.",
    )
    plan_hash = forms.CharField(max_length=64, widget=forms.HiddenInput)
    answered_on = forms.DateField(
        required=False, widget=date_input(), label="Day on which the person's answer came",
        help_text="Needed where the letter with the plan was posted, or handed over, today.",
    )  # fmt: skip

    def context(self) -> dict[str, Any]:
        """Return the plan as it is today, for an actor that may open the file: what is shown is what the hidden hash
        confirms."""
        plan = assessment.plan_for(self.record, today=company_day(timezone.now()))
        return {"plan": filled.only(plan)}  # the person is read what they read themselves


class NothingHeld(Step):
    title = "Answer that nothing is held"
    help = (
        "For somebody whom nothing on file names. The program looks for the address and the name that were given, whoever's they are, and "
        "refuses where anything carries them; look for other spellings yourself first. The answer goes to the address that was given. "
        "Where a name was given, nobody is told so without this step."
    )
    is_destructive = True


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
        """Offer the rules by which a request of this right can be refused under its law."""
        authority: Any = self.fields["authority"]
        authority.choices = [(rule, f"{rule}: {words}") for rule, words in grounds.of(self.record).items()]


class Extend(Step):
    title = "Extend the deadline"
    help = "Once, when the law gives a reason. The person is told at once, with the reason and the new date."
    reason = forms.ChoiceField(choices=to_choose(deadline.REASONS.items()), label="Reason, Art. 12(3) GDPR")
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
        "A second person decided that it was not shown to be the person, or the audit alone still tells that somebody said so; and a "
        "copy had been fetched or data removed. Find "
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


class AddNote(Step):
    title = "Add a note"
    help = (
        "It stands below what was noted before, with its day, and in the copy that the person gets. Nothing that was noted is changed: a "
        "second person decides by it. Who has the question open reads it anew."
    )
    text = forms.CharField(
        max_length=2000, label="Note", widget=forms.Textarea(attrs={"rows": 4}), validators=[cards.refuse],
    )  # fmt: skip


class Resume(Step):
    title = "Resume"
    help = "It goes on with the step that failed. Do it once what made it fail is mended."

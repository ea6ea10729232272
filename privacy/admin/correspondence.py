"""Steps about the letters of a request, and what each kind of letter is called at the desk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils import timezone

from privacy import letters
from privacy.admin.steps import Step
from privacy.models import Letter, Request
from privacy.requests import answer, history, procedures, writing


class LetterStep(Step):
    """A step about one of the request's letters; the answer has it as `letter`."""

    letter = forms.ModelChoiceField(queryset=Letter.objects.none(), empty_label=None)

    #: Returns the letters the step can be taken with; each step has its own.
    letters: Callable[[Request], QuerySet[Letter]]

    def prepare(self) -> None:
        """Offer the letters by kind and time, never by what they say."""
        field: Any = self.fields["letter"]
        field.queryset = self.letters(self.record)
        field.label_from_instance = lambda one: (
            f"{letter_title(one)}, written {timezone.localtime(one.queued_at):%-d %B %Y, %H:%M %Z}"
        )


class MarkPosted(LetterStep):
    title = "Mark a letter as posted"
    help = (
        "First open the letter under Letters below, print it and post it to the address at its top. Where none stands, no postal "
        "address has been on file for 14 days: hand it over, or wait for one."
    )

    @staticmethod
    def letters(record: Request) -> QuerySet[Letter]:
        """Return those that wait to be printed and posted."""
        return record.letters.filter(by=Letter.By.POST, sent_at=None, stopped_at=None)


class CameBack(LetterStep):
    title = "A letter came back"
    help = (
        "A mail bounced, or the post could not deliver a letter. Nothing more of this request goes to that address, and links and codes of "
        "before end. After a bounce the person is written to by post; a call-back or a code by post shows who asks."
    )

    @staticmethod
    def letters(record: Request) -> QuerySet[Letter]:
        """Return those that went out and did not come back yet."""
        back = {str(one.get("letter")) for one in history.details(record, history.LETTER_RETURNED)}
        sent = record.letters.filter(sent_at__isnull=False)
        return sent.exclude(pk__in=[one for one in sent.values_list("pk", flat=True) if str(one) in back])


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
        """Return the mails that were interrupted or given up."""
        return record.letters.filter(by=Letter.By.EMAIL, sent_at=None, stopped_at=None, next_attempt_at=None)


#: What a right's own letters are called stands in the table of rights.
LETTERS: dict[str, str] = {
    "acknowledgement": "Acknowledgement",
    "link_identity": "One-time link to prove who asks",
    "link_result": "One-time link to the answer",
    "not_identified": "Nobody identified by the address",
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
    return title_of_kind(letter.kind)


def title_of_kind(kind: str) -> str:
    """Return what letters of this kind are called at the desk."""
    return LETTERS.get(kind) or procedures.letter_titles().get(kind) or kind.replace("_", " ").capitalize()


def instead_of(letter: Letter) -> str:
    """Return what staff do in place of a letter about a request whose link or code is there no more, in a sentence."""
    if letter.kind == writing.POSTED_CODE:
        return "Take “Send a code by post” instead: it writes a letter with a new code, and the old one works no more."
    if letter.request is not None and letter.key == answer.key(letter.request):
        return (
            "Where it stands as stopped, a new answer is written in its place by itself; else tell who runs the site."
        )
    return (
        "Tell the person by phone, or in a letter of yours, what it was to say; who needs its link or code asks once more, "
        "and that request has new ones."
    )


def on_paper(letter: Letter, text: Any) -> dict[str, Any]:
    """Return what the page of a letter to be printed shows: the letter, its address block, and its text below that."""
    address, rest = letters.on_paper(text) if isinstance(text, str) else ("", text)
    return {"letter": letter, "address": address, "text": rest}

"""Customers at the desk: their data and contacts, objections to a contact, notices to post."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import capfirst

from accounts import activity, in_hand, looks, objections, told_of_joinings
from accounts.admin.acts import ACTS
from accounts.admin.correcting import CorrectableAdmin, PlacedForm
from accounts.admin.disputes import EndOfDispute, state_of
from accounts.admin.found import BY_LOGIN
from accounts.country_choice import CountryToChoose
from accounts.models import ContactPoint, Customer
from accounts.reach import Came, Channel
from privacy import gate, letters
from privacy.admin.correspondence import on_paper
from privacy.admin.matters import matters_of
from privacy.admin.steps import Step, to_choose
from privacy.admin.tables import Rows
from privacy.admin.waiting import Task, WorkList
from privacy.admin.work import acting
from privacy.gate import Actor
from privacy.letters.models import Letter
from privacy.requests import login_stays
from privacy.sweep import notices as endings


class KeepAccount(Step):
    title = "Keep this account"
    help = (
        "The person told us to keep the account, for example after our letter that it ends. Its retention period starts again "
        "today."
    )
    reason = forms.ChoiceField(
        choices=to_choose(one for one in endings.WAYS.items() if one[0] != "link"), label="How they told us"
    )


class CustomerForm(PlacedForm):
    """The data of a customer; another e-mail address or phone number needs a reason, which the audit keeps (design
    9)."""

    CONTACT = frozenset({"email", "phone"})
    REASONS = (
        ("", "choose when the e-mail address or phone number changes"),
        ("asked by phone", "the person asked by phone, and we called back"),
        ("asked in writing", "the person asked in writing"),
        ("asked in person", "the person asked in person"),
        ("did not reach the person", "messages or calls did not reach the person"),
        ("our mistake", "we had written it down wrongly"),
    )

    change_reason = forms.ChoiceField(
        choices=REASONS, required=False, label="Reason for another contact",
        help_text="The older e-mail addresses are told. A new e-mail address, number or postal address proves nothing for "
        "14 days after that; where nobody could be told, by e-mail or by post, it proves nothing at all.",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "change_reason" in self.fields:
            kind = self.instance.vault_label
            contact = (field for name, field in self.fields.items() if name in self.CONTACT)
            may = gate.may(acting(), kind, "account", "write") and not all(field.disabled for field in contact)
            self.fields["change_reason"].disabled |= not may
            if not may:  # nothing can be changed for which a reason would be given
                self.fields["change_reason"].widget = forms.HiddenInput()

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if self.CONTACT & set(self.changed_data) and not data.get("change_reason"):
            self.add_error("change_reason", "Say why the e-mail address or phone number changes.")
        return data


class PostNotice(Step):
    title = "Mark the notice as posted"
    help = (
        "Print this page with your browser and post the letter; then mark it. A new contact that it tells of counts 14 days later; an "
        "account whose end it tells of stays for 30 days more, and as long as the letter is not posted. Where no address stands at its "
        "top, none has been on file for 14 days: tell the person some other way, by phone for example. Who entered or settled the "
        "contact does not mark it. A code in it works once it is marked, and who had that in hand neither proposes anything by it nor confirms anything about the person."
    )
    template = "admin/step_letter.html"

    def context(self) -> dict[str, Any]:
        letter = in_hand.to_post(self.record)
        text: Any = ""
        if letter is not None:
            now = timezone.now()
            try:
                letters.require_whole(letter, now=now)
            except letters.LinkLost as lost:
                return {"lost": f"{lost} {in_hand.INSTEAD}"}
            letters.opened(letter, actor=acting(), now=now)
            text, _ = letters.given(letter)
        return on_paper(letter, text) if letter is not None else {}


class DisputeContact(Step):
    title = "The person says: not me"
    help = (
        "Somebody whom we told of another e-mail address says that it was not they who asked for it. Unless it was confirmed with "
        "the password, the address then proves nothing; the privacy team looks into it."
    )
    is_destructive = True


class SettleContact(EndOfDispute):
    title = "End the dispute"
    help = (
        "Somebody who was told of a new contact said that it was not they who entered it. Call back on a number that was on "
        "file before, and have a colleague correct the contact first if it is wrong. It then counts as entered today. "
        "Who entered or corrected it does not end the dispute."
    )

    def points(self) -> list[ContactPoint]:
        return list(objections.disputed_contacts(self.record))


@admin.register(Customer)
class CustomerAdmin(CorrectableAdmin):
    form = CustomerForm
    change_form_template = "admin/owner.html"
    disputed_by = frozenset({"sales", "privacy"})
    acts = ACTS
    tells = ("contact.asked", "contact.confirmed", "contact.disputed", "contact.settled")
    list_display = ("reference", "last_name", "first_name", "kind", "country", "since", "last_active_on")
    list_filter = ("kind", "channel", CountryToChoose)
    ordering = ("reference",)
    columns = ("reference",)
    named_by = ("first_name", "last_name")
    through = (("subject__users", BY_LOGIN),)
    editable = ("title", "first_name", "last_name", "email", "phone", "region", "country", "change_reason")
    search_help = "Name, e-mail, phone or customer number. What you type is not kept."
    fieldsets = (
        (None, {"fields": ("reference", "kind", "company")}),
        (
            "Contact",
            {
                "fields": (
                    *("title", "first_name", "last_name", "email", "phone", "change_reason", "contacts_since"),
                    *("region", "country"),
                )
            },
        ),
        ("Since when", {"fields": ("channel", "since", "last_active_on", "notice_given_on")}),
    )
    rows = (
        Rows("addresses", "Addresses", ("purpose", "street", "street2", "city", "region", "postal_code", "country")),
        Rows("freight_accounts", "Freight accounts", ("carrier", "number", "added_on", "last_shipment_on")),
        # Of a social security number only that it is there.
        Rows("tax_identifiers", "Tax identifiers", ("kind", "country", "value", "last_used_on")),
    )
    refusals: ClassVar[dict[type[Exception], str]] = {
        **CorrectableAdmin.refusals,
        endings.NoticeGone: "The removal of this account has begun: it cannot be kept any more.",
        endings.CannotKeep: "",
        in_hand.OwnEntry: "",
        letters.LinkLost: "",
    }

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("company")

    def details(self, record: Customer, actor: Actor) -> dict[str, Any]:
        """Return the tables, and above them what the person has to do with us, as far as the role works with it."""
        removal = login_stays.removal_of(record.vault_label, record.pk)
        return {**super().details(record, actor), "matters": matters_of(record, actor), "removal": removal}

    @admin.display(description="Since when they count")
    def contacts_since(self, customer: Customer) -> str:
        """Return for each contact how it came, since when it is on file, and from when it may prove the person."""
        now = timezone.now()
        points = customer.contact_points.select_related("address").order_by("channel", "pk")
        return "\n".join(state_of(point, now) for point in points) or "–"

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        form.changed_data = [name for name in form.changed_data if name != "change_reason"]
        obj.change_reason = form.cleaned_data.get("change_reason", "")
        super().save_model(request, obj, form, change)

    def whose(self, record: Customer) -> dict[str, Any]:
        return {"about": [record.subject_id], "by": [("customer", str(record.user_id))]}

    def steps(self, record: Customer, actor: Actor) -> dict[str, type[Step]]:
        found: dict[str, type[Step]] = {}
        is_still_sealed = bool(getattr(record, "sealed_account", None)) and self.may_write(actor)
        if is_still_sealed and record.subject_id and endings.may_keep(record.subject_id):
            found["keep"] = KeepAccount
        if actor.roles & self.disputed_by and self._entered(record).exists():
            found["dispute"] = DisputeContact
        if "privacy" in actor.roles and objections.disputed_contacts(record).exists():
            found["settle"] = SettleContact
        if "privacy" in actor.roles and record.subject_id and self._objected(record, actor).exists():
            found["joined"] = looks.SettleJoining
        if "privacy" in actor.roles and in_hand.to_post(record):
            found["post"] = PostNotice
        return found

    def _objected(self, record: Customer, actor: Actor) -> Any:
        """Return the objections to joinings of the person that this member of staff may end."""
        mine = f"{actor.kind}/{actor.id or ''}"[:64]
        return told_of_joinings.disputed_joinings(record.subject_id).exclude(proposed_by=mine)

    def _entered(self, record: Customer) -> Any:
        """Return the e-mail addresses in force that came after the customer: what somebody can
        object to, also when another has."""
        came = (Came.CREATED, Came.EARLIER)
        return record.contact_points.filter(channel="email").exclude(came__in=came)

    def take(self, name: str, record: Customer, data: dict[str, Any], *, actor: Actor, now: datetime) -> str:
        if name == "keep":
            activity.keep_account(record, reason=data["reason"], actor=actor, now=now)
            return "The account is kept: its period starts again today."
        if name == "dispute":
            for point in self._entered(record):
                objections.object_to(point, actor=actor, now=now)
            return "Written down: the privacy team looks into it."
        if name == "joined" and record.subject_id:
            told_of_joinings.settle_joined(record.subject_id, seen=data["seen"], actor=actor, now=now)
            return "The objection is ended."
        if name == "post" and (letter := in_hand.to_post(record)) is not None:
            in_hand.mark_posted(letter, actor=actor, now=now)
            return "The notice is marked as posted."
        if name == "settle":
            objections.settle_contacts(record, seen=data["seen"], actor=actor, now=now)
            return "The dispute is ended."
        return super().take(name, record, data, actor=actor, now=now)

    def work_lists(self, actor: Actor, today: date) -> Iterable[WorkList]:
        if not actor.roles & self.disputed_by:
            return []
        disputed = ContactPoint.objects.filter(disputed_at__isnull=False).exclude(channel=Channel.LOGIN)
        disputed = disputed.select_related("customer")
        url = self.url_of_list()
        lists = [WorkList.of("Disputed contacts", url, disputed.order_by("disputed_at"), self._dispute)]
        if "privacy" in actor.roles:
            waiting = Letter.objects.filter(by=Letter.By.POST, request=None, sent_at=None, stopped_at=None)
            unposted = Customer.objects.filter(subject__in=waiting.exclude(subject=None).values("subject"))
            lists.append(WorkList.of("Notices to post", url, unposted.order_by("reference"), self._notice))
        return lists

    def _dispute(self, one: ContactPoint) -> Task:
        text = f"{capfirst(str(one.customer))}: {one.get_channel_display()} said to be somebody else's"
        return Task(self.url_of(one.customer), text, f"since {timezone.localdate(one.disputed_at):%-d %B %Y}")

    def _notice(self, one: Customer) -> Task:
        return Task(self.url_of(one), capfirst(str(one)))

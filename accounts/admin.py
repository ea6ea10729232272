"""People, companies, messages and claimed addresses in the admin."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from allauth.account import admin as _account_admin  # noqa: F401  registers what is unregistered here
from allauth.account.models import EmailAddress
from allauth.mfa import admin as _mfa_admin  # noqa: F401
from allauth.mfa.models import Authenticator
from django import forms
from django.contrib import admin
from django.contrib.auth import admin as _auth_admin  # noqa: F401  registers what is unregistered here
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from accounts import claim, giving_back, looks, notices, people, reach, regions, services
from accounts.country_choice import CountryToChoose
from accounts.models import ClaimReview, Communication, Company, ContactPoint, Customer, User
from accounts.reach import Came, Channel
from privacy import audit, gate, letters
from privacy.admin.covers import reason
from privacy.admin.handling import CalledBack, on_paper
from privacy.admin.records import MaskingForm, RecordAdmin
from privacy.admin.work import (
    SHOWN_ON_FRONT_PAGE,
    Decision,
    Rows,
    Step,
    Task,
    WorkAdmin,
    WorkList,
    acting,
    date_input,
    matters_of,
)
from privacy.gate import MANAGER, Actor
from privacy.letters.models import Letter
from privacy.requests import history, proof
from privacy.sweep import notices as endings
from privacy.typed import numbers
from privacy.vault import Unreadable

LATE_AFTER_DAYS = 7  # a disputed login alarms: whoever has it may be a stranger

admin.site.unregister(Group)  # roles are given by `create_staff`, with an acknowledgement
# The login's own tables: an address here would be opened by whoever lists them, a second factor by whoever edits it.
admin.site.unregister([EmailAddress, Authenticator])


class CorrectableAdmin(RecordAdmin):
    """A record whose data staff may set right: the same function as in the portal."""

    refusals: ClassVar[dict[type[Exception], str]] = {services.AlreadyClosed: "It was closed in the meantime."}

    def write(self, record: Any, changes: dict[str, Any], *, actor: Actor, now: datetime) -> None:
        current = self.model._default_manager.get(pk=record.pk)
        try:
            reason = getattr(record, "change_reason", "") or "by staff"
            services.correct(current, changes, actor=actor, now=now, reason=reason)
        except services.NothingToCorrect:
            return


class KeepAccount(Step):
    title = "Keep this account"
    help = (
        "The person told us to keep the account, for example after our letter that it ends. Its retention period starts again "
        "today."
    )
    reason = forms.ChoiceField(
        choices=[choice for choice in endings.WAYS.items() if choice[0] != "link"], label="How they told us"
    )


class PlacedForm(MaskingForm):
    """A form with a region: one of before that no list knows stands as it is until it or the country changes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if (region := self.fields.get("region")) and not region.help_text:
            region.help_text = regions.HINT

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() | {"region"}  # type: ignore[misc]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        region, country = data.get("region"), data.get("country")
        if isinstance(region, str) and isinstance(country, str) and {"region", "country"} & set(self.changed_data):
            try:
                region = self.instance._meta.get_field("region").clean(region, None)
                data["region"] = regions.clean(country, region)
            except ValidationError as error:
                self.add_error("region", error)
        return data


class CustomerForm(PlacedForm):
    """The data of a customer; another e-mail address or phone number needs a reason, which the audit keeps (design 9)."""

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
            may = gate.may(acting(), kind, "account", "write")
            self.fields["change_reason"].disabled |= not may

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
        letter = notices.to_post(self.record)
        text: Any = ""
        if letter is not None:
            letters.opened(letter, actor=acting(), now=timezone.now())
            text, _ = letters.given(letter)
        return on_paper(letter, text) if letter is not None else {}


class DisputeContact(Step):
    title = "The person says: not me"
    help = (
        "Somebody whom we told of another e-mail address says that it was not they who asked for it. Unless it was confirmed with "
        "the password, the address then proves nothing; the privacy team looks into it."
    )
    is_destructive = True


class EndOfDispute(Decision):
    """A page on which objections to contacts are ended, or that is proposed: it shows each of them."""

    def points(self) -> list[ContactPoint]:
        """Return the contacts to which somebody objects."""
        return [self.record]

    def shown(self) -> str:
        return notices.shown(self.points())

    def lines(self) -> list[str]:
        """Return the contacts as they stand, and each objection to one of them since the oldest that is open."""
        points, now = self.points(), timezone.now()
        first = min((one.disputed_at for one in points if one.disputed_at), default=now)
        told = [f"{timezone.localtime(at):%-d %B %Y, %H:%M}" for _, at in notices.objections(points) if at >= first]
        owners = [one.used_at for point in points if point.disputed_at for one in notices.owner_objects(point)]
        return [
            *(_state(one, now) for one in points),
            *(line for one in points for line in _proposed(one, now)),
            *(f"“This was not me” was said on {at}" for at in told),
            *(
                f"On {timezone.localtime(at):%-d %B %Y, %H:%M} it was the present address of the login that objected to giving it back"
                for at in owners
            ),
        ]


class SettleContact(EndOfDispute):
    title = "End the dispute"
    help = (
        "Somebody who was told of a new contact said that it was not they who entered it. Call back on a number that was on "
        "file before, and have a colleague correct the contact first if it is wrong. It then counts as entered today. "
        "Who entered or corrected it does not end the dispute."
    )

    def points(self) -> list[ContactPoint]:
        return list(notices.disputed_contacts(self.record))


class ProposeEnd(EndOfDispute):
    title = "Propose to end the dispute"
    help = (
        "Somebody who was told of another login address said that it was not they who changed it. Propose the end only if you are sure "
        "that the address is the person's: call back on a number that was on file before. If the login was taken, propose to give it "
        "back instead, or nothing. As long as the dispute is open, copies and removals asked for by this login wait for "
        "a second person; the right person asks by a call-back, in person or in writing. Nothing ends yet: a second person "
        "of the privacy team, a manager or an operator confirms within 7 days. Who entered or changed a contact proposes nothing."
    )


class ConfirmEnd(EndOfDispute):
    title = "Confirm, and end the dispute"
    help = (
        "A colleague has proposed this; you are the second person. Let the colleague show you how we know that the login "
        "address is the person's. From then on what is asked by this login needs no second person. The mailbox that objected "
        "is told."
    )
    is_destructive = True


class PostCode(Step):
    title = "Post a code to the person"
    help = (
        "Where nobody can be called: leaves a letter with a code, to an address that was on file before the change, and that the login did not "
        "enter in the 30 days before it, under “Notices to post” with the customer. Who reads the code back is the person; who wrote the letter, opened it or marked it as posted does not "
        "propose by it. An earlier code works no more."
    )


class ProposeBack(EndOfDispute, CalledBack):
    title = "Propose to give the login back"
    help = (
        "The mailbox that the login had before the change says that it was not they. If the login was taken, call the person on a "
        "number that was on file before the change, and that the login did not enter in the 30 days before it, and ask for two facts from "
        "before the change; or take the code from our letter. "
        "Either way the person names the address, and you name nothing first: the login goes to no other. "
        "What you type is compared with what is on file and not kept; after five wrong tries nothing is compared for a day. Nothing "
        "is given back yet: the present address is told and can object, and after 72 hours and within 7 days a second person of the "
        "privacy team, a manager or an operator confirms. Who entered or changed a contact proposes nothing."
    )
    mailbox = forms.EmailField(
        label="Address that the person names", help_text="With which they signed in before the change.",
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
    code = forms.CharField(
        required=False, max_length=20, label="Code from our letter", help_text="Instead of a call-back, and not by who wrote, opened or posted the letter.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip


class GiveBack(EndOfDispute):
    title = "Confirm, and give the login back"
    help = (
        "A colleague of the privacy team has proposed this; you are the second person. Below stands how the person was proved to the "
        "colleague: by a call-back, or by a code that we had posted. The login gets the address that it had "
        "before, whose mailbox has objected and which the person named. Its present address was told and had 72 hours to object; if it "
        "did before, its objection stands here. Contacts that the login entered or confirmed meanwhile are disputed, its open requests "
        "wait for a second person. Its password, its second factor and every session end, and a link to choose a new "
        "password goes to that mailbox. Every other address on file is told, and the one that loses the login can object. It can be "
        "undone by the same way within 14 days."
    )
    is_destructive = True


@admin.register(Customer)
class CustomerAdmin(CorrectableAdmin):
    form = CustomerForm
    change_form_template = "admin/owner.html"
    disputed_by = frozenset({"sales", "privacy"})
    list_display = ("reference", "last_name", "first_name", "kind", "country", "since", "last_active_on")
    list_filter = ("kind", "channel", CountryToChoose)
    ordering = ("reference",)
    columns = ("reference",)
    named_by = ("first_name", "last_name")
    through = (("subject__users", people.logins_with),)
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
        notices.OwnEntry: "",
    }

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("company")

    def details(self, record: Customer, actor: Actor) -> dict[str, Any]:
        """Return the tables, and above them what the person has to do with us, as far as the role works with it."""
        return {**super().details(record, actor), "matters": matters_of(record, actor)}

    @admin.display(description="Since when they count")
    def contacts_since(self, customer: Customer) -> str:
        """Return for each contact how it came, since when it is on file, and from when it may prove the person."""
        now = timezone.now()
        points = customer.contact_points.select_related("address").order_by("channel", "pk")
        return "\n".join(_state(point, now) for point in points) or "–"

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        form.changed_data = [name for name in form.changed_data if name != "change_reason"]
        obj.change_reason = form.cleaned_data.get("change_reason", "")
        super().save_model(request, obj, form, change)

    def steps(self, record: Customer, actor: Actor) -> dict[str, type[Step]]:
        found: dict[str, type[Step]] = {}
        if record.subject_id and getattr(record, "sealed_account", None) and self.may_write(actor):
            found["keep"] = KeepAccount
        if actor.roles & self.disputed_by and self._entered(record).exists():
            found["dispute"] = DisputeContact
        if "privacy" in actor.roles and notices.disputed_contacts(record).exists():
            found["settle"] = SettleContact
        if "privacy" in actor.roles and record.subject_id and self._objected(record, actor).exists():
            found["joined"] = looks.SettleJoining
        if "privacy" in actor.roles and notices.to_post(record):
            found["post"] = PostNotice
        return found

    def _objected(self, record: Customer, actor: Actor) -> Any:
        """Return the objections to joinings of the person that this member of staff may end."""
        mine = f"{actor.kind}/{actor.id or ''}"[:64]
        return notices.disputed_joinings(record.subject_id).exclude(proposed_by=mine)

    def _entered(self, record: Customer) -> Any:
        """Return the e-mail addresses in force that came after the customer: what somebody can object to, also when another has."""
        came = (Came.CREATED, Came.EARLIER)
        return record.contact_points.filter(channel="email").exclude(came__in=came)

    def take(self, name: str, record: Customer, data: dict[str, Any], *, actor: Actor, now: datetime) -> str:
        if name == "keep":
            services.keep_account(record, reason=data["reason"], actor=actor, now=now)
            return "The account is kept: its period starts again today."
        if name == "dispute":
            for point in self._entered(record):
                notices.object_to(point, actor=actor, now=now)
            return "Written down: the privacy team looks into it."
        if name == "joined" and record.subject_id:
            notices.settle_joined(record.subject_id, seen=data["seen"], actor=actor, now=now)
            return "The objection is ended."
        if name == "post" and (letter := notices.to_post(record)) is not None:
            notices.mark_posted(letter, actor=actor, now=now)
            return "The notice is marked as posted."
        notices.settle_contacts(record, seen=data["seen"], actor=actor, now=now)
        return "The dispute is ended."

    def work_lists(self, actor: Actor, today: date) -> Iterable[WorkList]:
        if not actor.roles & self.disputed_by:
            return []
        disputed = ContactPoint.objects.filter(disputed_at__isnull=False).exclude(channel=Channel.LOGIN)
        disputed = disputed.select_related("customer")
        tasks = [
            Task(
                self.url_of(one.customer),
                f"{capfirst(str(one.customer))}: {one.get_channel_display()} said to be somebody else's",
                f"since {timezone.localdate(one.disputed_at):%-d %B %Y}",
            )
            for one in disputed.order_by("disputed_at")[:SHOWN_ON_FRONT_PAGE]
        ]
        lists = [WorkList("Disputed contacts", self.url_of_list(), tasks, disputed.count())]
        if "privacy" in actor.roles:
            waiting = Letter.objects.filter(by=Letter.By.POST, request=None, sent_at=None, stopped_at=None)
            unposted = Customer.objects.filter(subject__in=waiting.exclude(subject=None).values("subject"))
            first = unposted.order_by("reference")[:SHOWN_ON_FRONT_PAGE]
            notes = [Task(self.url_of(one), capfirst(str(one))) for one in first]
            lists.append(WorkList("Notices to post", self.url_of_list(), notes, unposted.count()))
        return lists


@admin.register(ContactPoint)
class LoginDisputeAdmin(WorkAdmin):
    """Changes of a login's address to which somebody objects: one proposes what becomes of it, a second person confirms it."""

    readers = frozenset({"privacy", MANAGER})  # a manager only confirms
    list_display = ("disputed_at", "customer", "since", "end_proposed_at", "gives_back")
    ordering = (F("disputed_at").desc(nulls_last=True), "-id")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    *("customer", "channel", "since", "disputed_at", "open_for"),
                    *("end_proposed_at", "gives_back", "confirms", "given_back_at", "taken_at"),
                )
            },
        ),
    )
    refusals: ClassVar[dict[type[Exception], str]] = {
        notices.OwnEntry: "",
        notices.NotProposed: "",
        giving_back.CannotGiveBack: "",
        proof.BadRequest: "",
    }

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(channel=Channel.LOGIN).select_related("customer")

    @admin.display(description="Open for")
    def open_for(self, point: ContactPoint) -> str:
        """Return how long somebody has objected."""
        return _age(point, timezone.localdate()) if point.disputed_at else "–"

    @admin.display(description="Who confirms")
    def confirms(self, point: ContactPoint) -> str:
        """Return who is the second person for what is proposed."""
        if not notices.is_end_proposed(point, now=timezone.now()):
            return "–"
        return giving_back.OPERATOR_ENDS if giving_back.needs_operator(point) else "A second person, on this page"

    def history_of(self, record: ContactPoint) -> QuerySet[audit.AuditEvent]:
        return audit.history(record=(Customer.vault_label, record.customer_id)).filter(action__startswith="contact.")

    def steps(self, record: ContactPoint, actor: Actor) -> dict[str, type[Step]]:
        now = timezone.now()
        if notices.may_end(record, actor, now=now) and not giving_back.needs_operator(record):
            return {"give": GiveBack} if record.gives_back else {"confirm": ConfirmEnd}
        if "privacy" not in actor.roles or not record.disputed_at or notices.is_end_proposed(record, now=now):
            return {}
        back: dict[str, type[Step]] = {"back": ProposeBack, "code": PostCode}
        if not giving_back.is_objected(record):
            back = {}
        return {"propose": ProposeEnd, **back}

    def take(self, name: str, record: ContactPoint, data: dict[str, Any], *, actor: Actor, now: datetime) -> str:
        match name:
            case "propose":
                notices.propose_end(record, seen=data["seen"], actor=actor, now=now)
                return "Proposed. The dispute stays open until a second person confirms its end on this page, within 7 days."
            case "back":
                giving_back.propose(
                    record,
                    data["callback"],
                    mailbox=data["mailbox"],
                    code=data["code"],
                    seen=data["seen"],
                    actor=actor,
                    now=now,
                )
                record.refresh_from_db()
                told = f"Proposed: it goes to {giving_back.goes_to(record)}. The present address of the login is told."
                if giving_back.needs_operator(record):
                    return f"{told} After 72 hours and within 7 days: {giving_back.OPERATOR_ENDS}"
                return f"{told} A second person confirms on this page, after 72 hours and within 7 days."
            case "code":
                giving_back.post_code(record, actor=actor, now=now)
                return "The letter stands with the customer, under “Mark the notice as posted”."
            case "give":
                giving_back.give_back(record, seen=data["seen"], actor=actor, now=now)
                return "The login is given back. A link to choose a new password goes to its earlier address, and everybody else is told."
            case _:
                notices.settle(record, seen=data["seen"], actor=actor, now=now)
                return "The dispute is ended, and the mailbox that objected is told."

    def work_lists(self, actor: Actor, today: date) -> Iterable[WorkList]:
        if not actor.roles & self.readers:
            return []
        disputed = notices.disputed_logins()
        if "privacy" not in actor.roles:
            disputed = disputed.filter(end_proposed_at__gt=timezone.now() - notices.PROPOSAL_LIVES)
        tasks = [
            Task(
                self.url_of(one),
                f"{capfirst(str(one.customer))}: somebody objects to the changed login address",
                f"since {timezone.localdate(one.disputed_at):%-d %B %Y}, {_age(one, today)}",
                _days(one, today) >= LATE_AFTER_DAYS,
            )
            for one in disputed[:SHOWN_ON_FRONT_PAGE]
        ]
        return [
            WorkList("Changed login addresses to which somebody objects", self.url_of_list(), tasks, disputed.count())
        ]


def _days(point: ContactPoint, today: date) -> int:
    return (today - timezone.localdate(point.disputed_at)).days


def _age(point: ContactPoint, today: date) -> str:
    days = _days(point, today)
    return "today" if days < 1 else f"{days} day{'' if days == 1 else 's'}"


def _proposed(point: ContactPoint, now: datetime) -> list[str]:
    """Return by whom what waits for the second person was proposed, and how the person was proved to them."""
    if not notices.is_end_proposed(point, now=now):
        return []
    who = history.named(*point.end_proposed_by.split("/", 1))
    day = f"{timezone.localtime(point.end_proposed_at):%-d %B %Y, %H:%M}"
    if not point.gives_back:
        return [
            f"On {day} {who} proposed to end the dispute; how we know that the address is the person's is not written down here"
        ]
    how = giving_back.how_proved(point) or "how is not written down"
    return [
        f"On {day} {who} proposed to give the login back to {giving_back.goes_to(point) or 'a mailbox that cannot be read'}; "
        f"the person was proved {how}"
    ]


def _state(point: ContactPoint, now: datetime) -> str:
    kind = f"{point.address.purpose} address" if point.address else point.get_channel_display()
    is_by = point.came not in (Came.EARLIER, Came.CLEARED)
    came = f"{kind}: {'by ' if is_by else ''}{point.get_came_display()}"
    since = f"{came}, since {timezone.localdate(point.since):%-d %B %Y}"
    counts_from = reach.counts_from(point, now=now)
    if point.disputed_at and point.confirmed_at:
        return f"{since}; said to be somebody else's, but confirmed with the password: requests by link {'or login ' if point.channel == 'login' else ''}need a second person"
    if point.disputed_at:
        return f"{since}; said to be somebody else's, proves nothing"
    if point.came == Came.CLEARED:
        return since
    if counts_from is None:
        confirmed = "until it is confirmed, or " if point.channel == "email" else ""
        return f"{since}; proves nothing {confirmed}until an older address could be told"
    return since if counts_from <= now else f"{since}; counts from {timezone.localdate(counts_from):%-d %B %Y}"


@admin.register(Company)
class CompanyAdmin(CorrectableAdmin):
    form = PlacedForm
    change_form_template = "admin/owner.html"
    list_display = ("name", "city", "region", "country", "is_sole_trader")
    list_filter = ("is_sole_trader", CountryToChoose)
    ordering = ("-id",)
    editable = (
        "name",
        "vat_number",
        "tax_id",
        "phone",
        "street",
        "street2",
        "city",
        "postal_code",
        "region",
        "country",
    )
    search_help = "Company name, VAT number or switchboard. What you type is not kept."
    fields = (*editable, "is_sole_trader")
    rows = (Rows("contacts", "Contacts", ("reference", "first_name", "last_name", "email", "phone")),)

    def heading_of(self, record: Company) -> str:
        """Return the name of the company, which has no number of its own; where it cannot be read, that of the row."""
        return record.name or super().heading_of(record)

    def details(self, record: Company, actor: Actor) -> dict[str, Any]:
        """Return the contacts, and above them what the company has to do with us, as far as the role works with it."""
        return {**super().details(record, actor), "matters": matters_of(record, actor)}


class CloseMessage(Step):
    title = "Close this message"
    help = "The period for keeping it starts today."


class WriteDown(Step):
    """A message by phone, fax, e-mail, mail or in person, written down by staff (P23, P27, P28)."""

    title = "Write down a message"
    help = "What a person told or sent us, by whatever way. Write down no payment data."
    customer_number = forms.CharField(
        required=False, max_length=32, help_text="If the person is a customer. Leave empty otherwise.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
    _written = (
        "department", "topic", "channel", "direction", "received_on", "contact_name", "company_name", "email", "phone",
        "address", "heading", "body", "is_order_related", "notice_given_on",
    )  # fmt: skip
    field_order = ("customer_number", *_written)

    def prepare(self) -> None:
        self.fields |= forms.fields_for_model(Communication, fields=self._written)
        for name in ("received_on", "notice_given_on"):
            self.fields[name].widget = date_input()
        self.fields["received_on"].initial = timezone.localdate()

    def clean_customer_number(self) -> str:
        number: str = self.cleaned_data["customer_number"].strip()
        self.customer = Customer.objects.filter(
            pk__in=list(numbers.equal(Customer.objects.all(), "reference", number))
        ).first()
        if number and self.customer is None:
            raise ValidationError("No customer has this number: look it up under Customers, or leave this empty.")
        return number

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if not self.errors:
            data["customer"] = self.customer
        data.pop("customer_number", None)
        return data


@admin.register(Communication)
class CommunicationAdmin(CorrectableAdmin):
    list_display = ("received_on", "department", "channel", "topic", "contact_name", "closed_on")
    list_filter = ("department", "channel", "topic")
    ordering = ("-received_on", "-id")
    through = (("customer", Customer), ("customer__subject__users", people.logins_with))
    named_by = ("contact_name",)
    adding = WriteDown
    editable = ("contact_name", "company_name", "email", "phone", "address", "department", "topic")
    search_help = "E-mail or phone of the message, or name, e-mail, phone of the customer. What you type is not kept."
    fieldsets = (
        (None, {"fields": ("department", "topic", "channel", "direction", "received_on", "closed_on", "customer")}),
        ("Who wrote", {"fields": ("contact_name", "company_name", "email", "phone", "address")}),
        ("What", {"fields": ("heading", "body", "is_order_related", "notice_given_on")}),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("customer")

    def rows_of(self, owner: Any) -> QuerySet[Communication] | None:
        if not isinstance(owner, Customer):
            return None
        return Communication.objects.filter(customer=owner).order_by("-received_on", "-id")

    def line_of(self, record: Communication) -> tuple[str, str]:
        state = _("closed on %s") % f"{record.closed_on:%-d %B %Y}" if record.closed_on else _("open")
        return f"{capfirst(str(record))}: {record.get_topic_display()}", state

    def add(self, data: dict[str, Any], *, actor: Actor, now: datetime) -> tuple[Communication, str]:
        taker = User.objects.filter(pk=actor.id).first()
        return services.record_communication(taken_by=taker, actor=actor, now=now, **data), "The message is on file."

    def steps(self, record: Communication, actor: Actor) -> dict[str, type[Step]]:
        return {} if record.closed_on or not self.may_write(actor) else {"close": CloseMessage}

    def take(self, name: str, record: Communication, data: dict[str, Any], *, actor: Actor, now: datetime) -> str:
        services.close_communication(record, closed_on=timezone.localdate(now), actor=actor, now=now)
        return "The message is closed."


class ProposeClaim(Step):
    title = "Propose to link the login"
    help = (
        "Nothing is linked yet: a second person of the privacy team, or a manager, confirms within 7 days. Then the login "
        "sees all that is on file about this customer, and both are one person. Be sure that they are."
    )
    how = forms.ChoiceField(choices=ClaimReview.How.choices, label="How we know")


class AcceptClaim(Step):
    title = "Confirm, and link the login"
    help = (
        "A colleague has proposed this; you are the second person. The login sees from now on all that is on file about "
        "this customer, and both are one person. Every e-mail address on file of both is told. Be sure that they are."
    )
    is_destructive = True


class RefuseClaim(Step):
    title = "Refuse"
    help = "The login stays on its own and learns nothing of what is on file."


@admin.register(ClaimReview)
class ClaimReviewAdmin(WorkAdmin):
    """A login has proved an address that is on file, and it is not certain that it is the same person."""

    readers = frozenset({"privacy", MANAGER})
    list_display = ("opened_at", "customer", "reason", "proposed_at", "outcome", "decided_at")
    list_filter = ("outcome", "reason")
    ordering = ("-opened_at",)
    fieldsets = (
        (None, {"fields": ("reason", "opened_at", "how", "proposed_at", "outcome", "decided_at")}),
        ("On file", {"fields": ("customer", "name_on_file", "email_on_file")}),
        ("The login that proved this address", {"fields": ("login_since", "user_name")}),
    )
    refusals: ClassVar[dict[type[Exception], str]] = {
        claim.NotOpen: (
            "This cannot be linked: it was decided before, the customer has a login already, or a privacy request of one "
            "of them is running."
        ),
        claim.NotNow: "",
    }

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("customer", "user")

    @admin.display(description="Name")
    def name_on_file(self, review: ClaimReview) -> str:
        """Return the customer's name, or why it is covered."""
        return self._shown(review.customer, "first_name", "last_name")

    @admin.display(description="E-mail")
    def email_on_file(self, review: ClaimReview) -> str:
        """Return the customer's address, or why it is covered."""
        return self._shown(review.customer, "email")

    @admin.display(description="User name")
    def user_name(self, review: ClaimReview) -> str:
        """Return the login's name, or why it is covered."""
        return self._shown(review.user, "username")

    @admin.display(description="Since")
    def login_since(self, review: ClaimReview) -> str:
        """Return when the login was made."""
        return f"{timezone.localtime(review.user.created_at):%-d %B %Y}"

    def _shown(self, record: Any, *names: str) -> str:
        values = [getattr(record, name) for name in names]
        covered = next((one for one in values if isinstance(one, Unreadable)), None)
        if covered is not None:
            return f"{covered} {reason(covered, record.vault_label, 'account')}"
        return " ".join(one for one in values if one)

    def person_of(self, record: ClaimReview) -> UUID | None:
        return record.customer.subject_id

    def history_of(self, record: ClaimReview) -> QuerySet[audit.AuditEvent]:
        return audit.history(record=(Customer.vault_label, record.customer_id)).filter(action__startswith="claim.")

    def ask_why(self, request: HttpRequest, record: ClaimReview) -> HttpResponse | None:
        """Ask nothing of who opens nothing: a manager reads no data here."""
        return super().ask_why(request, record) if "privacy" in acting().roles else None

    def steps(self, record: ClaimReview, actor: Actor) -> dict[str, type[Step]]:
        if record.outcome != ClaimReview.Outcome.OPEN:
            return {}
        is_proposed = claim.is_proposed(record, now=timezone.now())
        steps: dict[str, type[Step]] = {}
        if is_proposed and claim.may_confirm(record, actor):
            steps["accept"] = AcceptClaim
        if "privacy" in actor.roles:
            steps |= {"refuse": RefuseClaim} if is_proposed else {"propose": ProposeClaim, "refuse": RefuseClaim}
        return steps

    def take(self, name: str, record: ClaimReview, data: dict[str, Any], *, actor: Actor, now: datetime) -> str:
        match name:
            case "propose":
                claim.propose(record, how=data["how"], actor=actor, now=now)
                return "Proposed. Nothing is linked until a second person confirms it on this page, within 7 days."
            case "accept":
                claim.confirm(record, actor=actor, now=now)
                return "The login is linked to the customer."
            case _:
                claim.refuse(record, actor=actor, now=now)
                return "The claim is refused."

    def work_lists(self, actor: Actor, today: date) -> Iterable[WorkList]:
        if not actor.roles & self.readers:
            return []
        waiting = ClaimReview.objects.filter(outcome=ClaimReview.Outcome.OPEN).select_related("customer")
        if "privacy" not in actor.roles:
            waiting = waiting.filter(proposed_at__gt=timezone.now() - claim.PROPOSAL_LIVES)
        tasks = [
            Task(
                self.url_of(one),
                f"{capfirst(str(one.customer))}: {one.get_reason_display()}",
                f"since {timezone.localdate(one.opened_at):%-d %B %Y}",
            )
            for one in waiting.order_by("opened_at")[:SHOWN_ON_FRONT_PAGE]
        ]
        return [WorkList("Claimed addresses", self.url_of_list(), tasks, waiting.count())]

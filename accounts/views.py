"""A person's own account: overview, contact data and addresses, earlier records to connect."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast
from uuid import UUID

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import (
    candidates,
    claim,
    confirmed,
    contact_links,
    corrections,
    countries,
    factor,
    joining,
    notices,
    objections,
    reach,
    services,
    told_of_joinings,
)
from accounts.forms import AddressForm, ContactForm
from accounts.models import Address, ContactLink, ContactPoint, Customer, FreightAccount, TaxIdentifier, User
from privacy import registers
from privacy.requests import listing, login_stays
from privacy.requests.models import Request
from privacy.requests.states import OPEN_STATES
from privacy.retention import restriction
from privacy.templatetags.pages import ending
from privacy.vault import RecordElsewhere, RecordErased
from privacy.views import check, person

# What the pages say before an address or a freight account is removed (privacy/views/check.py).
KEEP_THEIRS = "Orders and returns that are already placed keep what they were placed with."
TOLD = "We tell every e-mail address that we have of you."
GONE = "Its key is destroyed with it, so it cannot be brought back; backups of the key are overwritten in turn."
CORRECTED = "Corrected. The old value can no longer be read in this record; backups of its key are overwritten in turn."
TO_CONFIRM = "We have sent a link to the new e-mail address. It works for seven days; open it to confirm the address."
CORRECTED_ON_HOLD = "Corrected. The record is under a legal hold: the old value is kept until the hold ends; of our staff only the privacy team can read it."


@require_safe
def account(request: HttpRequest) -> HttpResponse:
    """Show where everything is, and what is going on with the person's requests."""
    owner = request.user.subject_id
    waiting = Request.objects.filter(subject_id=owner) if owner else Request.objects.none()
    removal = login_stays.until_finished(owner) if owner else None
    if removal is not None:
        listing.tell([removal])
    context = {
        "requests": listing.tell(waiting.filter(state__in=OPEN_STATES).order_by("due_on")),
        "removal": removal,
        "has_second_proof": isinstance(request.user, User) and factor.is_enrolled(request.user),
    }
    return render(request, "accounts/overview.html", context)


@require_safe
def account_details(request: HttpRequest) -> HttpResponse:
    """Show contact data, addresses, tax numbers and freight accounts of the signed-in person (P8)."""
    owner = request.user.subject_id
    customers = list(Customer.objects.for_subject(owner).select_related("company").order_by("since", "pk"))
    context = {
        "customers": [
            (customer, customer.user_id == request.user.pk) for customer in _with_waiting(customers, timezone.now())
        ],
        "addresses": Address.objects.for_subject(owner).order_by("purpose", "pk"),
        "tax_identifiers": TaxIdentifier.objects.for_subject(owner).order_by("kind"),
        "freight_accounts": FreightAccount.objects.for_subject(owner).order_by("added_on", "pk"),
    }
    return render(request, "accounts/details.html", context)


@reauthentication_required
def account_edit(request: HttpRequest) -> HttpResponse:
    """Correct the own contact data (Art. 16, P8); the old value becomes unreadable."""
    # Looking makes nothing: a login that never needed a customer gets one when there is something to keep.
    known = reach.customer_of(cast(User, request.user))
    form = ContactForm(request.POST or None, record=known)
    if request.method == "POST" and form.is_valid() and _corrected(request, known or _own_customer(request), form):
        return redirect("account_details")
    is_on_hold = known is not None and restriction.keeps_old_values(known.pk)
    return render(request, "accounts/edit.html", {"form": form, "is_on_hold": is_on_hold})


@reauthentication_required
def address_new(request: HttpRequest) -> HttpResponse:
    """Add an address."""
    form = AddressForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.add_address(
                _own_customer(request), actor=request.user.as_actor(), now=timezone.now(), **form.given()
            )
            messages.success(request, "The address is added.")
            return redirect("account_details")
        except ValidationError as invalid:
            _explain(form, invalid)
    return render(request, "accounts/address.html", {"form": form})


@reauthentication_required
def address_edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Correct one of the own addresses; 404 for anybody else's."""
    address = _own(request, Address, pk)
    form = AddressForm(request.POST or None, record=address)
    if request.method == "POST" and form.is_valid() and _corrected(request, address, form):
        return redirect("account_details")
    return render(request, "accounts/address.html", {"form": form, "address": address})


@require_http_methods(["GET", "POST"])
@reauthentication_required
def address_remove(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Say what removing one of the own addresses means; the POST removes it at once (P9)."""
    address = _own(request, Address, pk)
    if request.method == "POST":
        return _remove(request, address, "The address is removed.")
    kind = address.get_purpose_display()
    about = [
        ("Street", address.street),
        ("Second address line", address.street2),
        ("City", address.city),
        ("State or region", address.region),
        ("Postal code", address.postal_code),
        ("Country", countries.name_of(address.country)),
    ]
    return _check_removal(
        request,
        address,
        title=f"Remove the {kind} address?",
        about=[(name, shown) for name, shown in about if shown],
        happens=f"The {kind} address is removed from your account at once.",
        lost="You can type the address in again; a code by post goes to it only after it has been on file for 14 days.",
        act="Remove the address",
    )


@require_http_methods(["GET", "POST"])
@reauthentication_required
def freight_remove(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Say what removing one of the own freight accounts means; the POST removes it at once (P9)."""
    account = _own(request, FreightAccount, pk)
    if request.method == "POST":
        return _remove(request, account, "The freight account is removed.")
    return _check_removal(
        request,
        account,
        title="Remove this freight account?",
        about=[("Carrier", account.carrier), ("Number", ending(account.number))],
        happens="The freight account is removed at once.",
        lost="Its number cannot be typed in here again.",
        act="Remove the freight account",
    )


@require_POST
@reauthentication_required
def contact_send(request: HttpRequest) -> HttpResponse:
    """Send a link to the contact address that waits for its confirmation, once more."""
    user = cast(User, request.user)
    try:
        notices.send_again(user, actor=user.as_actor(), now=timezone.now())
    except notices.TooSoon:
        messages.info(
            request, "We sent a link to this address less than ten minutes ago. Wait until ten minutes have passed."
        )
    except notices.NothingToConfirm:
        messages.info(request, "There is nothing to confirm.")
    else:
        messages.success(request, "We have sent a link to the address. It works for seven days.")
    return redirect("account_details")


def contact_confirm(request: HttpRequest, token: str) -> HttpResponse:
    """Show a button for the link that was sent to a new contact address; only the POST, by its own login, confirms
    it."""
    user, now, purpose = cast(User, request.user), timezone.now(), ContactLink.Purpose.CONFIRM
    try:
        if request.method != "POST":
            contact_links.look(token, purpose, now=now)
            return render(request, "accounts/contact_link.html", {"is_confirming": True})
        contact_links.confirm(token, user=user, actor=user.as_actor(), now=now)
    except contact_links.LinkRefused:
        return render(request, "accounts/contact_link_spent.html", status=403)
    messages.success(request, "The address is confirmed.")
    return redirect("account_details")


@login_not_required
def contact_not_me(request: HttpRequest, token: str) -> HttpResponse:
    """Show a button for "this was not me"; only the POST disputes the contact that was entered, or what was joined."""
    now, purpose = timezone.now(), ContactLink.Purpose.NOT_ME
    try:
        if request.method != "POST":
            point = contact_links.look(token, purpose, now=now).point
            return render(
                request, "accounts/contact_link.html", {"is_login": point.channel == ContactPoint.Channel.LOGIN}
            )
        point = objections.dispute(token, now=now)
    except contact_links.LinkRefused:
        return _joined_not_me(request, token, now)
    return render(request, "accounts/contact_disputed.html", {"is_login": point.channel == ContactPoint.Channel.LOGIN})


def _joined_not_me(request: HttpRequest, token: str, now: datetime) -> HttpResponse:
    """Do the same for the link in a letter that something was joined."""
    try:
        if request.method != "POST":
            told_of_joinings.look_at_joined(token, now=now)
            return render(request, "accounts/contact_link.html", {"is_joined": True})
        told_of_joinings.dispute_joined(token, now=now)
    except contact_links.LinkRefused:
        context = {"is_not_me": True, "is_told": contact_links.is_told(token)}
        return render(request, "accounts/contact_link_spent.html", context, status=403)
    return render(request, "accounts/contact_disputed.html", {"is_joined": True})


@reauthentication_required
def account_claim(request: HttpRequest) -> HttpResponse:
    """Show how many earlier records stand under the verified address of this login, never what is in them, and join
    them (POST): by the holder of the password, who has proved the address. What cannot be joined so is put to staff;
    the page says the same then as when there is nothing."""
    user, now = cast(User, request.user), timezone.now()
    actor = user.as_actor()
    address = next((one for one in confirmed.rows(user_id=user.pk) if one.primary), None)
    if request.method != "POST":
        found = claim.joinable(user, address.email, now=now) if address else None
        counts = claim.counts(found) if found else []
        return render(request, "accounts/claim.html", {"counts": counts, "has_address": address is not None})
    found = claim.attempt(user, address.email, actor=actor, now=now) if address else None
    if found is None:
        if address is not None and user.subject_id is not None and not user.is_staff:
            joining.ask_for_the_rest(user.subject_id, actor=actor, now=now)
        return render(request, "accounts/claimed.html", {"has_address": address is not None})
    messages.success(request, "Your earlier orders and returns are now under this account.")
    return redirect("account_details")


@require_POST
def account_look(request: HttpRequest) -> HttpResponse:
    """Ask the privacy team to look at what carries an address of this person without being joined to them (Art. 15)."""
    user, now = cast(User, request.user), timezone.now()
    if user.subject_id is None:
        raise Http404
    if candidates.told(user.subject_id, timezone.localdate(now)):
        joining.ask(user.subject_id, actor=person.actor(request), now=now)
        messages.success(request, "A person of our privacy team looks at it. What is yours will be shown here.")
    else:
        messages.info(request, "Nothing carries your address that is not here already.")
    return redirect("held")


@reauthentication_required
def confidentiality(request: HttpRequest) -> HttpResponse:
    """Show staff the confidentiality acknowledgement and take the signature, without which they see covers only
    (P41)."""
    user, now = cast(User, request.user), timezone.now()
    if not user.is_staff or user.subject_id is None:
        raise Http404
    today = timezone.localdate(now)
    if request.method == "POST":
        kind, version = registers.Acknowledgement.Kind.CONFIDENTIALITY, registers.UNDERTAKING
        signed = registers.sign(
            subject=user.subject_id, kind=kind, version=version, actor=user.as_actor(), now=now, signed_on=today
        )
        messages.success(request, f"Signed. It counts until {signed.expires_on:%-d %B %Y}.")
        return redirect("admin:index")
    current = registers.current(user.subject_id, today=today)
    context = {"current": current, "version": registers.UNDERTAKING}
    return render(request, "accounts/confidentiality.html", context)


def _with_waiting(customers: list[Customer], now: datetime) -> list[Customer]:
    """Return the customers; each tells of its e-mail and phone in `waiting_…` why or until when they do not count
    yet."""
    points = ContactPoint.objects.filter(customer__in=customers, address=None)
    found = {(point.customer_id, point.channel): point for point in points}
    asked = notices.asked(found.values())
    for customer in customers:
        for channel in ("email", "phone"):
            point = found.get((customer.pk, channel))
            counts_from = reach.counts_from(point) if point else None
            is_disputed = point is not None and point.disputed_at is not None
            waits = point is not None and (is_disputed or counts_from is None or counts_from > now)
            state = (
                {
                    "since": point.since,
                    "counts_from": counts_from,
                    "is_disputed": is_disputed,
                    "is_confirmed": point.confirmed_at is not None,
                    "is_phone": channel == "phone",
                    "is_asked": point.pk in asked,
                }
                if waits
                else None
            )
            setattr(customer, f"waiting_{channel}", state)
    return customers


def _own_customer(request: HttpRequest) -> Customer:
    """Return the customer of this login, made now when the login never needed one."""
    now, user = timezone.now(), cast(User, request.user)
    return services.customer_of(user, actor=user.as_actor(), now=now, today=timezone.localdate(now))


def _own(request: HttpRequest, model: Any, pk: UUID) -> Any:
    found = model.objects.for_subject(request.user.subject_id).select_related("customer")
    return get_object_or_404(found, pk=pk)


def _corrected(request: HttpRequest, record: Any, form: Any) -> bool:
    """Correct the record; put what does not fit into the form and return False."""
    actor, now = request.user.as_actor(), timezone.now()
    try:
        changed = corrections.correct(record, form.given(), actor=actor, now=now, reason="own data")
    except corrections.NothingToCorrect:
        messages.info(request, "Nothing was changed.")
    except ValidationError as invalid:
        _explain(form, invalid)
        return False
    except RecordErased:
        form.add_error(None, "These data were removed while you were writing; nothing was saved.")
        return False
    except RecordElsewhere:
        form.add_error(None, "These data were joined with others while you were writing; nothing was saved.")
        return False
    else:
        told = CORRECTED_ON_HOLD if restriction.keeps_old_values(record.pk) else CORRECTED
        messages.success(request, f"{told} {KEEP_THEIRS}")
        if isinstance(record, Customer) and "email" in changed and _is_asked_to_confirm(record):
            messages.info(request, TO_CONFIRM)
    return True


def _is_asked_to_confirm(customer: Customer) -> bool:
    """Say whether a link that confirms its contact address as it stands now is on its way."""
    points = ContactPoint.objects.filter(customer=customer, channel=ContactPoint.Channel.EMAIL, confirmed_at=None)
    return bool(notices.asked(points))


def _check_removal(request: HttpRequest, record: Any, *, happens: str, lost: str, **said: Any) -> HttpResponse:
    """Return the page before a removal; back with the reason where the record is under a legal hold."""
    if why := services.why_on_hold(record):
        messages.warning(request, why)
        return redirect("account_details")
    return check.page(
        request,
        check.Check(
            happens=[happens, KEEP_THEIRS, TOLD],
            lost=[GONE, lost],
            back=reverse("account_details"),
            up="Contact data and addresses",
            **said,
        ),
    )


def _remove(request: HttpRequest, record: Any, told: str) -> HttpResponse:
    try:
        services.remove(record, actor=request.user.as_actor(), now=timezone.now())
    except ValidationError as why:
        messages.warning(request, " ".join(why.messages))
    else:
        messages.success(request, told)
    return redirect("account_details")


def _explain(form: Any, invalid: ValidationError) -> None:
    """Put a service's complaint beside the field it is about, or on top when the form has no such field."""
    found = invalid.message_dict if hasattr(invalid, "error_dict") else {"": invalid.messages}
    for name, texts in found.items():
        form.add_error(name if name in form.fields else None, texts)

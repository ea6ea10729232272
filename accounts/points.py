"""Since when, and by whose word, a customer's e-mail address, phone number or postal address is on file (design 9).

What must never happen: a value of a contact here, or a row that outlives its customer. A row says times and ways only;
it is about the value in force: whoever changes the value writes the row anew (accounts/reach.py). A contact that was
taken out keeps its row, so that an objection outlives it.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.customers import Address, Customer
from privacy import vault
from privacy.letters.models import Letter


class ContactPoint(models.Model):
    """How one e-mail address, phone number or postal address in force came on file, and what has become of it since.

    Of the login's address there is a row once it was changed: what somebody objects to.
    """

    class Channel(models.TextChoices):
        EMAIL = "email", "e-mail"
        PHONE = "phone", "phone"
        POST = "post", "post"
        LOGIN = "login", "login address"

    class Came(models.TextChoices):
        LOGIN = "login", "the confirmed address of the login"
        CREATED = "created", "an import of customer records that created the customer"
        PERSON = "person", "the person, in the portal"
        STAFF = "staff", "our staff, or a later import"
        EARLIER = "earlier", "on file before this was written down"
        CLEARED = "cleared", "taken out"

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="contact_points")
    address = models.OneToOneField(
        Address, null=True, blank=True, on_delete=models.CASCADE, related_name="contact_point"
    )
    channel = models.CharField(max_length=5, choices=Channel.choices)
    came = models.CharField(max_length=7, choices=Came.choices)
    since = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    disputed_at = models.DateTimeField(null=True, blank=True)
    # Of a login's address only: somebody of the privacy team has proposed to end the dispute; another person confirms.
    end_proposed_at = models.DateTimeField(null=True, blank=True)
    end_proposed_by = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    # What was proposed: to give the login back to the mailbox that objects, not to leave it as it is.
    gives_back = models.BooleanField(default=False, db_default=False)
    # The objection (ContactLink) whose mailbox would have the login back.
    back_link = models.BigIntegerField(null=True, blank=True, editable=False)
    # A keyed hash over what is proposed (privacy.vault.macs); a proposal without one waits for nobody.
    mac = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    given_back_at = models.DateTimeField(null=True, blank=True)
    # Since when the login that was given back had been in other hands: what was entered since proves nothing.
    taken_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        # The back office lists those of logins alone.
        verbose_name = "changed login address"
        verbose_name_plural = "changed login addresses"
        constraints = [
            models.UniqueConstraint(
                fields=["customer", "channel"],
                condition=Q(address=None) & ~Q(channel="post"),
                name="one_contact_point_of_a_channel",
            ),
            models.CheckConstraint(
                name="contact_point_of_an_address_is_post",
                # Of a postal address that was removed the row stays where somebody objects to it.
                condition=Q(channel="post", address__isnull=False)
                | Q(channel="post", came="cleared")
                | (~Q(channel="post") & Q(address__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        kind = "changed login address" if self.channel == self.Channel.LOGIN else self.get_channel_display()
        return f"{kind}, since {timezone.localdate(self.since):%-d %B %Y}"

    @property
    def is_typed(self) -> bool:
        """Whether the contact stands on file by the person's own entry alone."""
        return self.came == self.Came.PERSON and self.confirmed_at is None


class ContactLink(models.Model):
    """A letter about a changed contact, with its one-time link: to confirm the new address, or to say "this was not
    me".

    A notice by post has no link (token_hash is NULL): the person calls. A row without a letter says that nobody could
    be told whose address counts: then no waiting makes the contact count. The row carries a keyed hash over what it
    says, over the number of its letter too: a letter says by itself to whom it went, and opens under its own number
    only. So whom a link reached is no column.
    """

    class Purpose(models.TextChoices):
        CONFIRM = "confirm", "confirm the new address"
        NOT_ME = "not_me", "say that it was somebody else"
        CODE = "code", "a code by post, to have a login given back"

    point = models.ForeignKey(ContactPoint, on_delete=models.CASCADE, related_name="links")
    purpose = models.CharField(max_length=7, choices=Purpose.choices)
    token_hash = models.CharField(max_length=64, unique=True, null=True, blank=True)
    # Protected: that it was sent is what the fourteen days count from.
    letter = models.ForeignKey("privacy.Letter", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    # It went to an address of the login that a change left behind: to that one the login can be given back.
    was_login = models.BooleanField(default=False, db_default=False)
    # A keyed hash over what the row says (privacy.vault.macs); without one the link opens nothing,
    # and its letter told nobody.
    mac = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)

    def __str__(self) -> str:
        return f"letter about a contact, {timezone.localdate(self.at):%-d %B %Y}"

    def bind(self) -> ContactLink:
        """Give the row, not yet saved, the keyed hash over what it says."""
        self.mac = vault.mac_of(*self._says())
        return self

    @property
    def is_bound(self) -> bool:
        """Whether the site made this link or code, and its letter is the one that was written with it."""
        return vault.mac_fits(self.mac, *self._says())

    @property
    def went_to(self) -> str:
        """The e-mail address to which the letter went, "" where it was none or the row does not say what the site
        wrote. Opened under the caller's actor."""
        letter = self.letter if self.letter_id is not None and self.is_bound else None
        to = letter.to if letter is not None and letter.by == Letter.By.EMAIL else ""
        return "" if isinstance(to, vault.Unreadable) else str(to or "")

    def bind_letter(self) -> bool:
        """Give a row of the version before, not yet saved, the hash over its letter, too, unless it said something else
        before; return whether it did. A notice without a link had no hash."""
        if self.is_bound or not (vault.mac_fits(self.mac, *self._said()) or (not self.mac and self.token_hash is None)):
            return False
        self.bind()
        return True

    def _says(self) -> tuple[Any, ...]:
        return *self._said(), "letter", self.letter_id

    def _said(self) -> tuple[Any, ...]:
        also = ("was-login",) if self.was_login else ()
        return "contact-link", self.token_hash, self.purpose, self.point_id, self.at, self.expires_at, *also

"""Logins: who they are, their address, their sessions, and what they claim (P13, P16).

What must never happen: a user name, an address or a session that can be read in the tables or their backups; a login
that counts because of what somebody wrote into the table. So the row of a login carries a keyed hash over what gives it
power (password, switches, person, roles), made where these are changed: `save`, `set_roles`, `carry`. A login whose
hash does not fit is nobody (accounts/vouching.py); it is undone by an operator who looked, with `seal_logins`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any, ClassVar
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import Group, PermissionsMixin
from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.sessions.base_session import AbstractBaseSession
from django.core.exceptions import PermissionDenied
from django.db import models, router, transaction
from django.db.models import OuterRef, Q
from django.utils import timezone

from accounts.customers import Customer, Owned
from accounts.validators import validate_username
from privacy import gate, vault
from privacy.subjects import Subject
from privacy.vault import EncryptedEmailField, EncryptedTextField, Exact, SealedModel

#: The blind index that leads from a login's address to its handle.
LOGIN_ADDRESS = Exact("login_address.email", normaliser="email", unique=True)

#: The blind index of what a user name looks like: not unique, names of before may look alike.
LOOKALIKE = "user.lookalike"


#: What gives a login its power: a keyed hash stands over it.
GUARDED = frozenset({"password", "is_active", "is_staff", "is_superuser", "subject", "subject_id"})


#: Logins that are looked at all the time: with some power of staff, or without any keyed hash.
LOOKED_AT = Q(is_staff=True) | Q(is_superuser=True) | Q(mac="")


class LoginDoubted(PermissionDenied):
    """The row of a login does not say what the site wrote: it is neither used nor changed."""


@cache
def _role_names() -> ArraySubquery:
    """Return the names of a login's roles as a column, put together once: every page of somebody signed in reads it."""
    return ArraySubquery(Group.objects.filter(user=OuterRef("pk")).order_by("name").values("name"))


class UserQuerySet(Owned):  # type: ignore[override]
    def with_roles(self) -> UserQuerySet:
        """Read the names of the roles in the same query: the keyed hash stands over them, too."""
        found: UserQuerySet = self.annotate(role_names=_role_names())
        return found

    def update(self, **kwargs: Any) -> int:
        """Refuse what the keyed hash stands over: `User.save` and `carry` write it with the hash.

        Not where a person is deleted: Django cuts the link, and a login that is left behind is nobody.
        """
        if GUARDED & kwargs.keys() and kwargs != {"subject": None}:
            raise TypeError("What gives a login its power is changed by User.save, User.set_roles or carry.")
        return int(super().update(**kwargs))

    def bulk_update(self, objs: Iterable[Any], fields: Iterable[str], batch_size: int | None = None) -> int:
        """Refuse the same as `update`."""
        fields = list(fields)
        if GUARDED & set(fields):
            raise TypeError("What gives a login its power is changed by User.save, User.set_roles or carry.")
        return int(super().bulk_update(objs, fields, batch_size))

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        """Insert logins without roles, each with its keyed hash."""
        listed = list(objs)
        for user in listed:
            user.mac = user.mac_with(())
        created: list[Any] = super().bulk_create(listed, *args, **kwargs)
        return created

    def named(self, username: str) -> UserQuerySet:
        """Return the user whose name matches in any letter case, through the blind index."""
        return self.find("user.username", username)

    def looking_like(self, username: str) -> UserQuerySet:
        """Return the users whose name a reader may take for this one (`alice`, `alıce`), the same name among them."""
        return self.find(LOOKALIKE, username)


class UserManager(BaseUserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    """Users are made by sign-up and by `create_staff` only, so there is no `create_user` here."""


class User(SealedModel, AbstractBaseUser, PermissionsMixin):
    """A login. The name is sealed; the address is allauth's, as an opaque handle (accounts/handles.py)."""

    vault_label: ClassVar[str] = "accounts.user"
    USERNAME_FIELD = "id"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    subject = models.ForeignKey(Subject, null=True, blank=True, on_delete=models.SET_NULL, related_name="users")
    username = EncryptedTextField(
        envelope="account",
        max_length=150,
        blank=False,
        blind=(
            Exact("user.username", normaliser="username", unique=True),
            Exact(LOOKALIKE, normaliser="lookalike"),
        ),
        validators=[validate_username],
        verbose_name="user name",
    )
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    must_change_password = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    mac = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)

    objects: ClassVar[Any] = UserManager()

    class Meta(SealedModel.Meta):
        abstract = False
        indexes = [models.Index(fields=["id"], condition=LOOKED_AT, name="login_looked_at")]

    #: Whether the session at hand lacks the second factor that staff must have proved (accounts.middleware sets it).
    lacks_factor = False

    def __str__(self) -> str:
        return f"user {str(self.pk)[-12:]}"

    def clean(self) -> None:
        """Do not normalise USERNAME_FIELD as Django does: it is an id."""

    def vault_owner(self) -> tuple[str, UUID | None]:
        return ("subject", self.subject_id) if self.subject_id else ("none", None)

    @property
    def roles(self) -> frozenset[str]:
        """The roles by which the gate decides: the groups of staff and "manager", `customer` for everybody else."""
        if not self.is_staff:
            return frozenset({"customer"})
        if "_roles" not in self.__dict__:
            self._roles = frozenset({*self._names(), *({gate.MANAGER} if self.is_superuser else ())})
        return self._roles

    def _names(self) -> list[str]:
        """Return the names of the groups: those read with the row (`with_roles`), else looked up once."""
        if "role_names" not in self.__dict__:
            self.role_names = list(self.groups.values_list("name", flat=True))
        return list(self.role_names)

    # --- the keyed hash ------------------------------------------------------------------------

    def mac_with(self, roles: Iterable[str]) -> str:
        """Return the keyed hash over this login with these roles."""
        switches = self.is_active, self.is_staff, self.is_superuser
        return vault.mac_of("login", self.pk, self.subject_id, self.password, *switches, sorted(roles))

    @property
    def is_vouched(self) -> bool:
        """Whether the row says what the site wrote, its roles included."""
        return vault.same_mac(self.mac, self.mac_with(self._names()))

    def save(self, *args: Any, anew: bool = False, **kwargs: Any) -> None:
        """Save, with the keyed hash where something under it is written. Raises LoginDoubted where the row did not fit
        before.

        `anew` asks nothing of the row: for what closes a login, and for an operator who looked.
        """
        fields = kwargs.get("update_fields")
        if fields is not None and not GUARDED & set(fields):
            super().save(*args, **kwargs)
            return
        with transaction.atomic(using=router.db_for_write(type(self), instance=self)):
            roles: list[str] = []
            if not self._state.adding:
                stored = type(self).objects.select_for_update(of=("self",), no_key=True).with_roles().get(pk=self.pk)
                if not anew and not stored.is_vouched:
                    raise LoginDoubted
                roles = self.role_names = stored.role_names
            self.mac = self.mac_with(roles)
            if fields is not None:
                kwargs["update_fields"] = {*fields, "mac"}
            super().save(*args, **kwargs)

    def set_roles(self, names: Iterable[str], *, anew: bool = False) -> None:
        """Give the login these roles and no others. Raises LoginDoubted, as `save` does."""
        wanted = sorted(set(names))
        with transaction.atomic():
            stored = type(self).objects.select_for_update(of=("self",), no_key=True).with_roles().get(pk=self.pk)
            if not anew and not stored.is_vouched:
                raise LoginDoubted
            self.groups.set([Group.objects.get_or_create(name=name)[0] for name in wanted])
            self.role_names = wanted
            self.__dict__.pop("_roles", None)
            self.mac = stored.mac_with(wanted)
            type(self).objects.filter(pk=self.pk).update(mac=self.mac)

    def as_actor(self) -> gate.Actor:
        """Return who this user is for the gate: a customer with the own subject, or staff with its roles (P40).

        In a session without the second factor staff have no role: only what is their own opens.
        """
        if self.is_staff:
            roles = frozenset() if self.lacks_factor else self.roles
            return gate.staff_actor(id=self.pk, subject=self.subject_id, roles=roles)
        companies = frozenset(
            Customer.objects.for_subject(self.subject_id)
            .filter(company__isnull=False)
            .values_list("company_id", flat=True)
        )
        return gate.Actor(
            kind="customer",
            id=str(self.pk),
            subject=self.subject_id,
            roles=self.roles,
            purpose="own data",
            companies=companies,
        )


def carry(ids: Iterable[UUID], to: UUID | None) -> int:
    """Make logins another person's, with their keyed hashes; return how many. One that did not fit goes with them and
    still does not. In the caller's transaction."""
    moved = 0
    rows = User.objects.filter(pk__in=list(ids)).order_by("pk").select_for_update(of=("self",))
    for user in rows.with_roles():
        was_vouched = user.is_vouched
        user.subject_id = to
        mac = user.mac_with(user.role_names) if was_vouched else user.mac
        moved += models.QuerySet(User).filter(pk=user.pk).update(subject_id=to, mac=mac)
    return moved


def carry_joinings(rows: models.QuerySet[Joining], to: UUID) -> int:
    """Make joinings another person's, with their keyed hashes; return how many. One that did not fit still does not.

    In the caller's transaction."""
    moved = 0
    for one in rows.order_by("pk").select_for_update(of=("self",)):
        was_bound = one.is_bound
        one.subject_id = to
        mac = one.bind().mac if was_bound else one.mac
        moved += Joining.objects.filter(pk=one.pk).update(subject_id=to, mac=mac)
    return moved


class LoginAddress(SealedModel):
    """The address behind the opaque handle in allauth's table (accounts/handles.py)."""

    vault_label: ClassVar[str] = "accounts.login_address"
    vault_asks: ClassVar[bool] = False  # allauth's own step: a sign-up, a change, a login given back by two people

    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="login_addresses")
    email = EncryptedEmailField(
        envelope="account",
        max_length=254,
        blank=False,
        blind=(LOGIN_ADDRESS,),
        verbose_name="e-mail",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    # A keyed hash that says which login has confirmed the address (accounts/confirmed.py); without
    # one it counts for nothing.
    mac = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)

    class Meta(SealedModel.Meta):
        abstract = False
        verbose_name_plural = "login addresses"

    def __str__(self) -> str:
        return f"login address {str(self.pk)[-12:]}"

    def vault_owner(self) -> tuple[str, UUID | None]:
        return self.user.vault_owner() if self.user is not None else ("none", None)


class ClaimReview(models.Model):
    """A verified address that matches records on file, but not as one exact private person: staff decide."""

    class Reason(models.TextChoices):
        SEVERAL = "several", "several people on file share the address"
        CONTACT = "contact", "the match is the contact of a company"
        TAKEN = "taken", "the match already has a login"
        ENTERED = "entered", "the address on file was entered by somebody and never confirmed"
        REQUEST = "request", "a privacy request of one of them is open"

    class Outcome(models.TextChoices):
        OPEN = "open", "waits for a decision"
        ACCEPTED = "accepted", "accepted"
        REFUSED = "refused", "refused"

    class How(models.TextChoices):
        CALLBACK = "callback", "called back at a number on file"
        PERSON = "person", "in person, with a document"
        FACTS = "facts", "named what stands in the records"
        WRITTEN = "written", "written evidence, in the file of a request"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="claim_reviews")
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="claim_reviews")
    reason = models.CharField(max_length=8, choices=Reason.choices)
    outcome = models.CharField(max_length=8, choices=Outcome.choices, default=Outcome.OPEN)
    opened_at = models.DateTimeField()
    # Somebody of the privacy team has proposed to link them; another one confirms.
    how = models.CharField("how we know", max_length=8, choices=How.choices, blank=True, default="")
    proposed_at = models.DateTimeField(null=True, blank=True)
    proposed_by = models.CharField(max_length=64, blank=True, default="", editable=False)
    # A keyed hash over what is proposed; a proposal without one waits for nobody.
    mac = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "claimed address"
        verbose_name_plural = "claimed addresses"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "customer"], condition=Q(outcome="open"), name="one_open_claim_review"
            )
        ]

    def __str__(self) -> str:
        return f"claimed address, {timezone.localdate(self.opened_at):%-d %B %Y}"

    def bind(self) -> ClaimReview:
        """Give the row, not yet saved, the keyed hash over what is proposed: whose login, which number, how, when, by
        whom."""
        self.mac = vault.mac_of(*self._says())
        return self

    @property
    def is_bound(self) -> bool:
        """Whether somebody proposed by the site what the row says."""
        return vault.mac_fits(self.mac, *self._says())

    def _says(self) -> tuple[Any, ...]:
        return "claim", self.pk, self.user_id, self.customer_id, self.how, self.proposed_at, self.proposed_by


class Joining(models.Model):
    """A look at what carries a person's address or phone, and what staff joined to the person by it (design 9)."""

    class AskedBy(models.TextChoices):
        PERSON = "person", "the person"
        STAFF = "staff", "staff"

    class Outcome(models.TextChoices):
        OPEN = "open", "waits for a look"
        NOTHING = "nothing", "nothing joined"
        JOINED = "joined", "joined"
        UNDONE = "undone", "joined, and undone"

    class Reason(models.TextChoices):
        FACTS = "facts", "the person named what stands in the records"
        CALLBACK = "callback", "the person was called back at a number on file"
        ADDRESS = "address", "the address is the person's alone, and nothing points to anybody else"
        WRITTEN = "written", "written evidence, in the file of a request"

    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="joinings")
    asked_by = models.CharField(max_length=6, choices=AskedBy.choices)
    opened_at = models.DateTimeField()
    outcome = models.CharField(max_length=7, choices=Outcome.choices, default=Outcome.OPEN)
    reason = models.CharField(max_length=8, choices=Reason.choices, blank=True, default="")
    # Somebody of the privacy team has proposed what a second person confirms: records, people, reason.
    proposal = models.JSONField(default=dict, blank=True, editable=False)
    proposed_at = models.DateTimeField(null=True, blank=True)
    proposed_by = models.CharField(max_length=64, blank=True, default="", editable=False)
    decided_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)
    moved = models.JSONField(default=dict, editable=False)  # what an undo needs: numbers of records and people
    is_settled = models.BooleanField(default=True)  # the keys belong to whom the records name
    mac = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)

    class Meta:
        verbose_name = "joining of records"
        verbose_name_plural = "joinings of records"
        indexes = [
            models.Index(fields=["opened_at"], condition=Q(outcome="open"), name="joining_open"),
            models.Index(fields=["id"], condition=Q(is_settled=False), name="joining_unsettled"),
        ]

    def __str__(self) -> str:
        return f"joining of records, opened {timezone.localdate(self.opened_at):%-d %B %Y}"

    def bind(self) -> Joining:
        """Give the row, not yet saved, the keyed hash over what moves keys: person, outcome, what moved, whether they
        follow; and what is proposed, when and by whom, as long as that waits."""
        self.mac = vault.mac_of(*self._says())
        return self

    @property
    def is_bound(self) -> bool:
        """Whether the row says what the site wrote: no key changes its owner by another one."""
        return vault.mac_fits(self.mac, *self._says())

    def _says(self) -> tuple[Any, ...]:
        moved = json.dumps(self.moved, sort_keys=True)
        waits = json.dumps(self.proposal, sort_keys=True), self.proposed_at, self.proposed_by
        proposed = waits if self.proposal else ()
        return "joining", self.pk, self.subject_id, self.outcome, self.is_settled, moved, *proposed


class Joined(models.Model):
    """That something was joined to a person, of which every e-mail address on file was told, and what became of it.

    The letters give one link to say "this was not me" (`token_hash`). An undo takes the row away.
    """

    subject = models.ForeignKey(Subject, on_delete=models.CASCADE, related_name="joined")
    joining = models.ForeignKey(Joining, null=True, blank=True, on_delete=models.CASCADE, related_name="told")
    at = models.DateTimeField()
    is_whole = models.BooleanField()  # another person, not single records
    proposed_by = models.CharField(max_length=64, blank=True, default="", editable=False)  # "" by the person
    token_hash = models.CharField(max_length=64, unique=True)
    disputed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"joining that was told, {timezone.localdate(self.at):%-d %B %Y}"


class Session(AbstractBaseSession):
    """A browser session, sealed, its key hashed, and tied to its subject so that an erasure ends it."""

    subject = models.ForeignKey(Subject, null=True, blank=True, on_delete=models.CASCADE, related_name="sessions")
    user = models.ForeignKey(User, null=True, blank=True, on_delete=models.CASCADE, related_name="sessions")

    @classmethod
    def get_session_store_class(cls) -> Any:
        from accounts.sessions import SessionStore

        return SessionStore

    def get_decoded(self) -> dict[str, Any]:
        """Return the contents, none where they were not sealed to this row."""
        contents: dict[str, Any] = self.get_session_store_class()().opened(self.session_key, self.session_data)
        return contents

    def __str__(self) -> str:
        return "session"

"""The login's e-mail address as an opaque handle in allauth's table.

What must never happen: an address in a column of the main database or its backups. `account_emailaddress.email` holds
`h1.<random>`; the address itself is sealed in `accounts.LoginAddress`, the keyed hash that leads from an address to
its handle lies in the key store. Destroying the key therefore reaches every backup: what remains is a random number.

allauth knows nothing of this. `install()` changes the class of its field: looking up an address turns it into the
handle first, saving one creates the sealed record first, and reading resolves the handle only when it is touched
(a cascade that deletes the row must not have to open it).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import FieldError
from django.db import models
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_delete

from accounts import adapter, confirmed
from accounts.models import LOGIN_ADDRESS, LoginAddress, User
from privacy import vault
from privacy.vault.keystore import tokens
from privacy.vault.models import DataKey

PREFIX = "h1."
NOBODY = PREFIX + "nobody"  # stored nowhere, so a look-up of an unknown address finds nothing


class Handle(str):
    """An opaque handle, told from a typed address by its type, never by its looks."""

    __slots__ = ()

    @classmethod
    def of(cls, record_id: UUID) -> Handle:
        """Return the handle of a sealed address."""
        return cls(PREFIX + record_id.hex)

    @property
    def record_id(self) -> UUID | None:
        """The id of the sealed address; None for a handle that leads nowhere."""
        try:
            return UUID(hex=self.removeprefix(PREFIX))
        except ValueError:
            return None


def find(address: str) -> Handle | None:
    """Return the handle of an address that has a sealed record, through the blind index."""
    record = LoginAddress.objects.find(LOGIN_ADDRESS.field, address).only("pk").first()
    return Handle.of(record.pk) if record else None


def keep(address: str, user: User | None) -> Handle:
    """Return the handle of an address, sealing it first when nobody has it yet.

    A crash may have left a token without its record: then the record is made anew under the id the token names.
    """
    known = find(address)
    if known is not None:
        return known
    named, _keys = tokens.find(LOGIN_ADDRESS, address)
    # A row that holds another address is somebody's: the index refuses what its token leads to (ValueTaken).
    left_over = named - set(LoginAddress.objects.filter(pk__in=named).values_list("pk", flat=True))
    record = LoginAddress(user=user, email=address)
    record.pk = min(left_over, default=record.pk)
    record.save(force_insert=True)
    if left_over:
        # The key was made for whoever crashed: the token leads to no row, so it is nobody's who is here.
        owners = vault.keys.owners([record.pk]).values()
        vault.keys.hand_over([record.pk], record.vault_owner(), of=owners)
    return Handle.of(record.pk)


def adopt(handle: Handle, user: User) -> None:
    """Make the holder of a verified address its owner: an earlier, unverified claim by somebody else ends with that
    person's data, not with the holder's.

    It is taken from the login that the sealed record names. Nothing changes where the key store says that the address
    is neither that login's nor this one's: a row in allauth's table alone takes no key away."""
    record_id = handle.record_id
    record = LoginAddress.objects.filter(pk=record_id).exclude(user=user).first() if record_id else None
    if record is None:
        return
    former = record.vault_owner()
    key = DataKey.objects.filter(record=record.pk, destroyed_at=None).values_list("owner_kind", "owner_id").first()
    if key is not None and key not in (former, user.vault_owner()):
        return
    LoginAddress.objects.filter(pk=record.pk).update(user=user)
    vault.keys.hand_over([record.pk], user.vault_owner(), of=[former])


class HandleAttribute(DeferredAttribute):
    """Resolves the handle when the address is read, not when the row is loaded."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        if isinstance(value, Handle):
            record_id = value.record_id
            return adapter.address_of(record_id) if record_id else ""
        return value

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class HandleField(models.EmailField):
    """allauth's e-mail field over handles."""

    descriptor_class = HandleAttribute
    handle = Handle  # for who asks by a handle, and must not look for an address

    def deconstruct(self) -> Any:
        """Look like what allauth's own migrations know; otherwise one would be written into the installed package."""
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.EmailField", args, kwargs

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Handle | None:
        return None if value is None else Handle(value)

    def get_prep_value(self, value: Any) -> Any:
        if value is None or isinstance(value, Handle):
            return value
        return find(str(value)) or NOBODY

    def pre_save(self, instance: Any, add: bool) -> Any:
        value = instance.__dict__.get(self.attname)
        if value and not isinstance(value, Handle):
            value = keep(value, instance.user)
        if value and instance.verified and not _was_verified(instance):
            adopt(value, instance.user)
            if value.record_id is not None:
                confirmed.bind(value.record_id, instance.user_id)
        return value

    def get_lookup(self, lookup_name: str) -> Any:
        """Allow what handles can answer; a pattern would silently find nothing, so it is refused."""
        if lookup_name == "iexact":  # the blind index knows no letter case
            lookup_name = "exact"
        if lookup_name not in {"exact", "in", "isnull"}:
            raise FieldError("An e-mail address is stored as a handle: it can be compared as a whole only.")
        return super().get_lookup(lookup_name)


def _was_verified(instance: Any) -> bool:
    """Say whether the row stands in the table as verified already: then the site confirms nothing by saving it, and who
    wrote there gets nobody's address by that."""
    stored = type(instance)._base_manager.filter(pk=instance.pk, verified=True)
    return instance.pk is not None and bool(stored.exists())


def forget(sender: Any, instance: Any, **kwargs: Any) -> None:
    """Remove the sealed address, its token and key with the row of the login whose it is by the key store, whoever else
    says that it is theirs: a row alone makes nobody the heir of an address, and takes none away. Who had typed it too,
    and not confirmed it, types it again."""
    value = instance.__dict__.get("email")
    handle = value if isinstance(value, Handle) else find(value or "")
    if handle is None or handle.record_id is None:
        return
    if sender.objects.filter(email=handle, user=instance.user_id).exists():
        return
    if not vault.keys.strangers({handle.record_id: instance.user.vault_owner()}):
        for record in LoginAddress.objects.filter(pk=handle.record_id):
            record.delete()


def install() -> None:
    """Put the handle behind allauth's e-mail field (AppConfig.ready). Safe to repeat."""
    from allauth.account.models import EmailAddress

    field = EmailAddress._meta.get_field("email")
    if isinstance(field, HandleField):
        return
    field.__class__ = HandleField
    field.__dict__.pop("cached_col", None)
    EmailAddress.email = HandleAttribute(field)
    EmailAddress.__str__ = lambda self: f"e-mail address {self.pk}"
    post_delete.connect(forget, sender=EmailAddress, dispatch_uid="accounts.handles")

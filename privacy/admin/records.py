"""Personal records in the admin: each member of staff sees what the job needs, and why the rest is covered (P28, P40).

What must never happen: a list, a search or a form that shows more than the matrix allows. So nothing here decides who
sees what: reading a field asks the gate, and what comes back covered is drawn as a disabled field that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone

from privacy import audit, datamap, gate, vault
from privacy.actor import YOURSELF, is_own
from privacy.admin import covers, search
from privacy.admin.covers import UNCHANGED, reason
from privacy.admin.linked import linked
from privacy.admin.lists import FoundChangeList, SearchedList
from privacy.admin.tables import code_of, named
from privacy.admin.work import WorkAdmin, acting
from privacy.datamap import sealed_in
from privacy.gate import Actor, matrix
from privacy.vault import Erased, RecordElsewhere, RecordErased, RecordRestricted, Unreadable


class SealedChangeList(FoundChangeList):
    """A list whose encrypted columns cannot be sorted by, not by a hand-made `?o=` either."""

    def get_ordering_field(self, field_name: Any) -> Any:
        try:
            field = self.lookup_opts.get_field(field_name)
        except (FieldDoesNotExist, TypeError):
            return super().get_ordering_field(field_name)
        return None if sealed_in(field) else super().get_ordering_field(field_name)


def is_erased(record: Any) -> bool:
    """Whether the first envelope of a record was erased: the one with which its plain columns are written. Opens
    nothing."""
    return vault.keys.is_destroyed(record.pk, next(iter(type(record).envelopes())))


class MaskingForm(forms.ModelForm):
    """A form that draws what may not be read or changed as a disabled field with its reason; `covered` has the reasons
    of what may not be read, by the fields' names."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.covered: dict[str, str] = {}
        actor, record = acting(), self.instance
        first, is_gone = next(iter(type(record).envelopes())), is_erased(record)
        is_yourself = is_own(actor, about=[datamap.person_of(record)])
        for name, field in self.fields.items():
            if name in self.declared_fields:
                field.disabled = field.disabled or is_gone or is_yourself
                continue  # a question of the form's own, no field of the record
            # A plain column is written with the right to the record's first envelope, as the services see it.
            envelope = sealed_in(record._meta.get_field(name)) or first
            value = self.initial.get(name)
            if isinstance(value, Unreadable):
                field.disabled = True
                self.covered[name] = field.help_text = reason(value, record.vault_label, envelope)
                if isinstance(value, Erased):
                    self.initial[name] = covers.shown(value)
            elif is_gone:
                field.disabled = True
                field.help_text = covers.ERASED
            elif is_yourself:
                field.disabled = True
                field.help_text = YOURSELF
            elif not gate.may(actor, record.vault_label, envelope, "write"):
                field.disabled = True
                field.help_text = "Your role may read this, not change it." if actor.roles else UNCHANGED
            elif not gate.may(
                actor, record.vault_label, envelope, "write", None, restriction := record.restriction(envelope)
            ):
                field.disabled = True
                field.help_text = covers.locked(restriction, record.vault_label, envelope)


class RecordAdmin(SearchedList, WorkAdmin):
    """The admin of one sealed model. Who may come in follows from the matrix; nothing is deleted here (P9: by
    request)."""

    form = MaskingForm
    editable: ClassVar[tuple[str, ...]] = ()
    named_by: ClassVar[tuple[str, ...]] = ()  # the data that name the person or company that a record is about
    columns: ClassVar[tuple[str, ...]] = ()  # plain columns that a search looks into
    through: ClassVar[tuple[tuple[str, search.Through], ...]] = ()  # ("customer", Customer): found by its owner too
    labels: ClassVar[Mapping[str, str]] = {}  # where the name of a field says twice what its group says
    search_help: ClassVar[str] = "Name, e-mail, phone or number. What you type is not kept."
    search_missed: ClassVar[str] = (
        "Whole e-mail addresses and phone numbers are compared exactly; of a name, the beginning is enough. What"
        " your role may not read finds nothing, and a record that is locked for it is found by its number only."
    )

    # Who may come in ---------------------------------------------------------------------------------------------

    def opens_to(self, roles: Collection[str]) -> bool:
        """Whether the matrix lets one of these roles read anything of such a record."""
        return self._allows(frozenset(roles), "read")

    def may_write(self, actor: Actor) -> bool:
        """Whether the matrix lets this actor, under a current acknowledgement, write anything of such a record."""
        return self._allows(actor.roles, "write")

    def _allows(self, roles: frozenset[str], mode: matrix.Mode) -> bool:
        anybody, _ = matrix.rights(roles & gate.STAFF_ROLES, False, mode)
        return any(label == self.model.vault_label for label, _ in anybody)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # True draws a form, in which covered fields are disabled and say why; see `MaskingForm`.
        return self.may_see(request.user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.adding is not None and self.may_see(request.user) and self.may_write(acting())

    # The list ----------------------------------------------------------------------------------------------------

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SealedChangeList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [
            self._column(one) if isinstance(one, str) and (self._is_datum(one) or code_of(self.model, one)) else one
            for one in self.list_display
        ]

    def _is_datum(self, name: str) -> bool:
        try:
            return bool(sealed_in(self.opts.get_field(name)))
        except FieldDoesNotExist:
            return False

    def _column(self, name: str) -> Callable[[Any], Any]:
        """Return a column or field that shows a sealed datum, of an erased one when it was erased and by what, and of a
        code its name; always the same one, by which Django knows it again."""
        if (known := self._columns.get(name)) is not None:
            return known
        ordering = None if self._is_datum(name) else name

        @admin.display(
            description=self.labels.get(name) or str(self.opts.get_field(name).verbose_name), ordering=ordering
        )
        def shown(record: Any) -> Any:
            value = getattr(record, name)
            return covers.shown(value) if isinstance(value, Erased) else named(record, name, value)

        shown.__name__ = f"{name}_said" if ordering else name  # under the field's own name Django adds its help text
        self._columns[name] = shown
        return shown

    @cached_property
    def _columns(self) -> dict[str, Callable[[Any], Any]]:
        return {}

    def get_sortable_by(self, request: HttpRequest) -> list[Any]:
        listed = self.get_list_display(request)
        return [
            one
            for one in listed
            if (not self._is_sealed(one) if isinstance(one, str) else hasattr(one, "admin_order_field"))
        ]

    def _is_sealed(self, name: str) -> bool:
        try:
            return bool(sealed_in(self.opts.get_field(name)))
        except FieldDoesNotExist:
            return not hasattr(getattr(self, name, None), "admin_order_field")

    # Search ------------------------------------------------------------------------------------------------------

    def refuse_search(self) -> str:
        """Without a current acknowledgement nobody looks for people (P40)."""
        if self._allows(acting().roles, "read"):
            return ""
        return "Sign the confidentiality acknowledgement first: without it nothing can be searched."

    def note_search(self, text: str, found: search.Found) -> None:
        """Write down who looked for somebody, and how many came up; never what was typed (P40)."""
        audit.record(
            "records.searched",
            actor=acting(),
            now=timezone.now(),
            fields=(search.kind_of(text),),
            reason=f"{self.model.vault_label}: {len(found.ids)}{'' if found.is_all else ' and more'} found",
        )

    def find(self, text: str) -> search.Found:
        """Return the records that match what was typed."""
        return search.find(self.model, text, columns=self.columns, through=self.through)

    # The form ----------------------------------------------------------------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Let what is linked with a record be called what it is at the desk, instead of the name of its row, and a code
        that can be read and is not edited here by what it stands for."""

        def drawn(one: Any) -> Any:
            if isinstance(one, list | tuple):
                return tuple(map(drawn, one))
            if callable(one) or one in self.editable:
                return one
            if obj is not None and code_of(self.model, one) and not isinstance(getattr(obj, one), Unreadable):
                return self._column(one)
            return self._linked(one)

        groups = self.fieldsets or [(None, {"fields": self.fields or ()})]
        return [(title, {**group, "fields": drawn(group["fields"])}) for title, group in groups]

    def _linked(self, name: str) -> Any:
        if name not in self._links:
            self._links[name] = self._link(name) or name
        return self._links[name]

    def _link(self, name: str) -> Callable[[Any], str] | None:
        try:
            field = self.opts.get_field(name)
        except FieldDoesNotExist:
            return None
        return linked(field) if isinstance(field, models.ForeignKey) else None

    @cached_property
    def _links(self) -> dict[str, Any]:
        return {}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Draw as plain text what can be read and is not edited here; the rest is the form's."""
        names = flatten_fieldsets(self.get_fieldsets(request, obj))
        return [
            name
            for name in names
            if callable(name) or (name not in self.editable and not isinstance(getattr(obj, name, None), Unreadable))
        ]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm]:
        return super().get_form(request, obj, change=change, labels=dict(self.labels), **kwargs)

    def heading_of(self, record: Any) -> str:
        """Return who the record is about, where that opens to who is at work, and its number."""
        values = (getattr(record, name) for name in self.named_by)
        name = " ".join(value for value in values if value)  # what cannot be read is falsy
        said = str(record)
        within = said if said[:2].isupper() else f"{said[:1].lower()}{said[1:]}"  # a number stays as it is
        return f"{name}, {within}" if name else super().heading_of(record)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        can_save = bool(self.editable) and self.may_write(acting())
        record = self.get_object(request, unquote(object_id)) if can_save else None
        is_yourself = record is not None and self.is_own(record)
        can_save = can_save and (record is None or not (is_erased(record) or is_yourself))
        if request.method == "POST" and not can_save:
            if is_yourself:
                messages.warning(request, YOURSELF)
            return HttpResponseRedirect(request.path)
        is_offered = can_save and (record is None or self._has_something_to_type(record))
        context = {
            "show_save_and_add_another": False,
            "show_save_and_continue": is_offered,
            "show_save": is_offered,
            **(extra_context or {}),
        }
        try:
            return super().change_view(request, object_id, form_url, context)
        except RecordErased:
            text = "This record was erased while you were writing; nothing was saved."
        except RecordElsewhere:
            text = "This record was given to another person while you were writing; nothing was saved."
        except (RecordRestricted, gate.Refused):  # for the form takes nothing that was refused before
            text = "This record was locked while you were writing; nothing was saved."
        except ValidationError as error:  # what fitted the form, and no more what a colleague saved a moment ago
            text = " ".join(error.messages)
        messages.error(request, text)
        return HttpResponseRedirect(request.path)

    def _has_something_to_type(self, record: Any) -> bool:
        """Whether an envelope that is edited here opens to be written, as the record is locked."""
        first = next(iter(type(record).envelopes()))
        envelopes = {sealed_in(field) or first for field in self.opts.get_fields() if field.name in self.editable}
        return any(
            gate.may(acting(), record.vault_label, name, "write", None, record.restriction(name)) for name in envelopes
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Write what was edited: a right for each envelope, one audit event that names fields, never values."""
        changed = [name for name in form.changed_data if not form.fields[name].disabled]
        if not changed:
            return
        # A plain column is written with the right to the record's first envelope, as the services see it.
        first = next(iter(type(obj).envelopes()))
        gate.require_record(acting(), obj, {sealed_in(self.opts.get_field(name)) or first for name in changed}, "write")
        self.write(obj, {name: form.cleaned_data[name] for name in changed}, actor=acting(), now=timezone.now())

    #: Saves the changes of one record by the app's own service, which records the event; where something is `editable`.
    write: Callable[..., None]

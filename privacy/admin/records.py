"""Personal records in the admin: each member of staff sees what the job needs, and why the rest is covered (P28, P40).

What must never happen: a list, a search or a form that shows more than the matrix allows. So nothing here decides who
sees what: reading a field asks the gate, and what comes back covered is drawn as a disabled field that says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from privacy import audit, gate
from privacy.admin import search
from privacy.datamap import sealed_in
from privacy.gate import matrix
from privacy.vault import Erased, KeyUnavailable, Unreadable


class SealedChangeList(ChangeList):
    """A list whose encrypted columns cannot be sorted by: a hand-made `?o=` is ignored instead of failing."""

    def get_ordering_field(self, field_name: Any) -> Any:
        try:
            field = self.lookup_opts.get_field(field_name)
        except (FieldDoesNotExist, TypeError):
            return super().get_ordering_field(field_name)
        return None if sealed_in(field) else super().get_ordering_field(field_name)


class MaskingForm(forms.ModelForm):
    """A form that draws what may not be read or changed as a disabled field with its reason."""

    editable: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        actor = gate.current()
        label = self.instance.vault_label
        adding = self.instance._state.adding
        for name, field in self.fields.items():
            envelope = sealed_in(self.instance._meta.get_field(name)) if _is_field(self.instance, name) else None
            value = self.initial.get(name)
            if isinstance(value, Unreadable):
                field.disabled = True
                field.help_text = reason(value, label, envelope)
            elif not adding and name not in self.editable:
                field.disabled = True
            elif envelope and not gate.may(actor, label, envelope, "write"):
                field.disabled = True
                field.help_text = "Your role may read this, not change it."


class Step(forms.Form):
    """What can be done with a record now: a name, a sentence for the button, and what has to be filled in first."""

    title: ClassVar[str] = ""
    help: ClassVar[str] = ""
    is_destructive: ClassVar[bool] = False


class RecordAdmin(admin.ModelAdmin):
    """The admin of one sealed model. Who may come in follows from the matrix; nothing is deleted here (P9: by request)."""

    form = MaskingForm
    change_list_template = "admin/record_change_list.html"
    change_form_template = "admin/record_change_form.html"
    actions = None
    list_per_page = 50
    show_full_result_count = False
    editable: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[tuple[str, ...]] = ()  # plain columns that a search looks into
    through: ClassVar[tuple[tuple[str, type[models.Model]], ...]] = ()  # ("customer", Customer): found by its owner too
    search_help: ClassVar[str] = "Name, e-mail, phone or number. What you type is not kept."

    # Who may come in ---------------------------------------------------------------------------------------------

    def _has_right(self, request: HttpRequest, mode: matrix.Mode) -> bool:
        user: Any = request.user
        if not (user.is_active and user.is_staff):
            return False
        anybody, _ = matrix.rights(user.roles, False, mode)
        return any(label == self.model.vault_label for label, _ in anybody)  # type: ignore[attr-defined]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._has_right(request, "read")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._has_right(request, "read")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # True draws a form, in which covered fields are disabled and say why; see `MaskingForm`.
        return self._has_right(request, "read")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    # The list ----------------------------------------------------------------------------------------------------

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return SealedChangeList

    def get_sortable_by(self, request: HttpRequest) -> Sequence[str]:
        return [name for name in self.get_list_display(request) if isinstance(name, str) and not self._is_sealed(name)]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        queryset = super().get_queryset(request)
        found = request.session.get(self._found_key)
        if found is None or request.resolver_match is None or not str(request.resolver_match.url_name).endswith("_changelist"):
            return queryset
        return queryset.filter(pk__in=found)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        found = request.session.get(self._found_key)
        context = {
            "search_help": self.search_help,
            "found": found,
            "is_found_capped": found is not None and len(found) >= search.CAP,
            "search_url": reverse(f"admin:{self._names}_search"),
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    @property
    def _names(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}"

    @property
    def _found_key(self) -> str:
        return f"found:{self._names}"

    def _is_sealed(self, name: str) -> bool:
        try:
            return bool(sealed_in(self.opts.get_field(name)))
        except FieldDoesNotExist:
            return not hasattr(getattr(self, name, None), "admin_order_field")

    # Search by POST: what is typed never stands in a URL, a log or the history ------------------------------------

    def get_urls(self) -> list[URLPattern]:
        site = self.admin_site
        return [
            path("search/", site.admin_view(require_POST(self.search_view)), name=f"{self._names}_search"),
            path("<path:object_id>/step/<slug:name>/", site.admin_view(self.step_view), name=f"{self._names}_step"),
            *super().get_urls(),
        ]

    def search_view(self, request: HttpRequest) -> HttpResponse:
        """Keep the ids found in the sealed session and show them as the list."""
        if not self.has_view_permission(request):
            raise Http404
        text = request.POST.get("q", "").replace("\x00", "").strip()[:200]
        if text and "clear" not in request.POST:
            ids = search.find(self.model, text, columns=self.columns, through=self.through)
            request.session[self._found_key] = [str(pk) for pk in ids]
        else:
            request.session.pop(self._found_key, None)
        return HttpResponseRedirect(reverse(f"admin:{self._names}_changelist"))

    # The form ----------------------------------------------------------------------------------------------------

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> type[forms.ModelForm]:
        base = type("Form", (self.form,), {"editable": frozenset(self.editable)})
        return super().get_form(request, obj, change=change, form=base, **kwargs)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        record = self.get_object(request, object_id)
        context = {
            "show_save_and_add_another": False,
            "show_save_and_continue": bool(self.editable),
            "show_save": bool(self.editable),
            "steps": [
                {
                    "title": step.title,
                    "is_destructive": step.is_destructive,
                    "url": reverse(f"admin:{self._names}_step", args=[quote(object_id), name]),
                }
                for name, step in (self.steps(request, record) if record is not None else {}).items()
            ],
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Write what was edited: a right for each envelope, one audit event that names fields, never values."""
        changed = [name for name in form.changed_data if not form.fields[name].disabled]
        if not changed:
            return
        actor, now = gate.current(), timezone.now()
        for envelope in {sealed_in(self.opts.get_field(name)) for name in changed} - {None}:
            gate.require(actor, obj.vault_label, envelope, "write", obj.vault_owner())
        self.write(obj, {name: form.cleaned_data[name] for name in changed}, actor=actor, now=now)

    def write(self, record: Any, changes: dict[str, Any], *, actor: Any, now: Any) -> None:
        """Save the changes of one record and record the event; an app with a service of its own overrides this."""
        kind, owner = record.vault_owner()
        record.save(update_fields=list(changes))
        audit.record(
            "record.changed",
            actor=actor,
            now=now,
            subject=owner if kind == "subject" else None,
            record=(record.vault_label, record.pk),
            fields=sorted(changes),
        )

    # Steps: one page, one POST, one service call -------------------------------------------------------------------

    def steps(self, request: HttpRequest, record: Any) -> dict[str, type[Step]]:
        """Return what this member of staff can do with the record now, by name."""
        return {}

    def take(self, name: str, record: Any, data: dict[str, Any], *, actor: Any, now: Any) -> str:
        """Do the step by one call of a service and return the sentence that says what was done.

        May raise the service's own refusals; those in `refusals` become a message.
        """
        raise Http404

    refusals: ClassVar[tuple[type[Exception], ...]] = (gate.Refused, ValidationError)

    def step_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """Ask what the step needs (GET), or take it (POST)."""
        record = self.get_object(request, object_id)
        if record is None or not self.has_view_permission(request, record):
            raise Http404
        step = self.steps(request, record).get(name)
        back = reverse(f"admin:{self._names}_change", args=[quote(object_id)])
        if step is None:
            messages.warning(request, "This step is not possible any more.")
            return HttpResponseRedirect(back)
        form = step(request.POST or None) if request.method == "POST" else step()
        if request.method == "POST" and form.is_valid():
            try:
                done = self.take(name, record, form.cleaned_data, actor=gate.current(), now=timezone.now())
            except self.refusals as error:
                form.add_error(None, "; ".join(_sentences(error)))
            else:
                messages.success(request, done)
                return HttpResponseRedirect(back)
        context = {
            **self.admin_site.each_context(request),
            "title": step.title,
            "step": step,
            "form": form,
            "original": record,
            "opts": self.opts,
            "back": back,
        }
        return TemplateResponse(request, "admin/step.html", context, status=400 if form.errors else 200)


class ReadOnlyInline(admin.TabularInline):
    """Rows shown under a record, never edited there."""

    extra = 0
    can_delete = False
    show_change_link = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True  # the page around it has asked

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return list(self.fields or ())


def reason(value: Unreadable, label: str, envelope: str | None) -> str:
    """Return the sentence that says why a value is covered."""
    if isinstance(value, Erased):
        return "Erased: nobody can read this any more, in backups neither."
    if isinstance(value, KeyUnavailable):
        return "Not available at the moment: the key store does not answer, or does not know this record."
    readers = sorted(role for role in gate.STAFF_ROLES if _reads(role, label, envelope))
    if not readers:
        return "Covered: no role of staff may read this."
    return f"Covered: your role does not need this. It is open to {_list(readers)} with a current confidentiality acknowledgement."


def _reads(role: str, label: str, envelope: str | None) -> bool:
    anybody, _ = matrix.rights(frozenset({role}), False, "read")
    return (label, envelope) in anybody


def _list(words: Iterable[str]) -> str:
    words = list(words)
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _is_field(record: Any, name: str) -> bool:
    try:
        record._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True


def _sentences(error: Exception) -> list[str]:
    if isinstance(error, ValidationError):
        return error.messages
    return [str(error)]

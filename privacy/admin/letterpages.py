"""The letters of a request that go by post: opened to be printed, and the copy that goes with one of them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from privacy import letters
from privacy.actor import YOURSELF
from privacy.admin import correspondence
from privacy.admin.records import RecordAdmin
from privacy.admin.work import acting
from privacy.models import Letter, Request
from privacy.requests import (
    export,
    paper,
    posting,
    sight,
)
from privacy.requests.history import NotAllowed


class LetterPages(RecordAdmin):
    """The pages of a request that show a letter to print, or give its copy, each time written down."""

    def get_urls(self) -> list[URLPattern]:
        view, copy = self.admin_site.admin_view(self.letter_view), self.admin_site.admin_view(self.copy_view)
        return [
            path("<uuid:object_id>/letter/<uuid:letter_id>/", view, name=f"{self.names}_letter"),
            path("<uuid:object_id>/letter/<uuid:letter_id>/copy/", copy, name=f"{self.names}_copy"),
            *super().get_urls(),
        ]

    def _to_post(self, request: HttpRequest, object_id: Any, letter_id: Any) -> tuple[Request, Letter]:
        """Return a letter that waits to be posted, with its request. Raises Http404."""
        record = self.get_object(request, str(object_id))
        if record is None or not self.has_view_permission(request, record):
            raise Http404
        letter = record.letters.filter(pk=letter_id, by=Letter.By.POST, sent_at=None, stopped_at=None).first()
        if letter is None:
            raise Http404
        return record, letter

    def _refuse(self, request: HttpRequest, record: Request) -> HttpResponse:
        """Say that a colleague prints what goes to who is at work."""
        messages.warning(request, YOURSELF)
        return HttpResponseRedirect(self.url_of(record))

    def copy_view(self, request: HttpRequest, object_id: Any, letter_id: Any) -> HttpResponseBase:
        """Give the copy that goes with a letter: its page, to be printed, or its archive, once, for a stick.

        Only where a button asked for it: a look, or a browser that fetches ahead, puts nothing into an envelope.
        """
        record, letter = self._to_post(request, object_id, letter_id)
        take = request.POST.get("take")
        if take not in ("page", "stick"):
            return HttpResponseRedirect(reverse(f"admin:{self.names}_letter", args=[record.pk, letter.pk]))
        if (question := self.ask_why(request, record)) is not None:
            return question
        if self.is_own(record):
            return self._refuse(request, record)
        try:
            if take == "page":
                pieces = paper.page(letter, actor=acting(), now=timezone.now())
                shown = StreamingHttpResponse(pieces, content_type="text/html; charset=utf-8")
                shown._csp_update = {"style-src": [paper.style_of_page()]}  # type: ignore[attr-defined]
                shown["Cache-Control"] = "no-store"
                return shown
            name, pieces = paper.archive(letter, actor=acting(), now=timezone.now())
        except export.NoCopy:
            messages.warning(request, "There is no copy with this letter, or its week is over.")
        except (NotAllowed, sight.NotYours) as refused:
            messages.warning(request, str(refused))
        else:
            headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
            return StreamingHttpResponse(pieces, content_type="application/zip", headers=headers)
        return HttpResponseRedirect(self.url_of(record))

    def letter_view(self, request: HttpRequest, object_id: Any, letter_id: Any) -> HttpResponse:
        """Show a letter that is to be printed and posted; what goes by mail is nobody's to read here."""
        record, letter = self._to_post(request, object_id, letter_id)
        if (question := self.ask_why(request, record)) is not None:
            return question
        if self.is_own(record):
            return self._refuse(request, record)
        try:
            posting.opened(letter, actor=acting(), now=timezone.now())
        except letters.LinkLost as lost:
            messages.error(request, f"{lost} {correspondence.instead_of(letter)}")
            return HttpResponseRedirect(self.url_of(record))
        context = {
            "title": correspondence.letter_title(letter),
            "letter": letter,
            **correspondence.on_paper(letter, letters.given(letter)[0]),
            "gives": letter.sealed_credentials is not None,  # type: ignore[attr-defined]
            "copy_url": reverse(f"admin:{self.names}_copy", args=[record.pk, letter.pk])
            if paper.goes_with(letter, record)
            else "",
            "mark_url": reverse(f"admin:{self.names}_step", args=[record.pk, "posted"]),
        }
        return self._page(request, "admin/letter.html", record, context)

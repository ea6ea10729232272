"""The back office's own part: login through allauth, the work of the privacy team, the base of all record pages."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.generic import RedirectView

from privacy.admin import holds as holds  # registers itself
from privacy.admin import requests as requests  # registers itself
from privacy.admin import second as second  # registers itself

_login = secure_admin_login(admin.site.login)


def login(request: HttpRequest, **kwargs: object) -> HttpResponseBase:
    """Lead to the one login there is; for a customer who is signed in the back office does not exist."""
    if request.user.is_authenticated and not request.user.is_staff:
        raise Http404
    answer: HttpResponseBase = _login(request, **kwargs)
    return answer


login.login_required = False  # type: ignore[attr-defined]
admin.site.login = login  # type: ignore[method-assign, assignment]
# Passwords change in one place, which knows one-time passwords and writes the audit.
admin.site.password_change = RedirectView.as_view(pattern_name="account_change_password")  # type: ignore[method-assign, assignment]
admin.site.password_change_done = admin.site.password_change  # type: ignore[method-assign]
admin.site.logout = RedirectView.as_view(pattern_name="account_logout")  # type: ignore[method-assign, assignment]
admin.site.site_header = "ILT back office"
admin.site.site_title = "ILT back office"
admin.site.index_title = "Your work"
admin.site.index_template = "admin/work.html"
admin.site.enable_nav_sidebar = False

"""The back office's own part: login through allauth, the work of the privacy team, the base of all record pages.

What every page is made of
    work     guarded lists, steps as pages of their own, the history of a record, the work lists of the front page
    lists    lists that end in time, narrowed by their own filters and searched by POST; `search` finds by what is typed
    records  personal records: what the job needs, and why the rest is covered (`covers`); `why` a record is opened
    steps    what can be done with a record now, a page each
    groups   fields in groups; `tables` rows below a record; `matters` what else is theirs
    told     what the audit tells of a record, `acts` what was done; `linked` a link to another, called what it is there

The work of the privacy team
    requests  the list and page of requests; `agenda` what of them is work, `waiting` the lists of the front page
    filing    one that came by other ways than the website; `proving` who is asking; `handling` on to its end
    second    the page of the second person
    correspondence  the letters of a request; `letterpages` those that go by post
    holds     legal holds; `holding` what is filled in for one
"""

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

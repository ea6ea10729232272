"""The URL map. Everything needs a login but what says `login_not_required`."""

from django.contrib import admin
from django.urls import include, path

from ilt_site import health, metrics, views

urlpatterns = [
    path("", views.home, name="home"),
    path("health/", health.health, name="health"),
    path("health/live/", health.live, name="live"),
    path("metrics/", metrics.metrics, name="metrics"),
    path("accounts/", include("allauth.urls")),
    path("", include("accounts.urls")),
    path("", include("orders.urls")),
    path("", include("rma.urls")),
    path("privacy/", include("privacy.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "ilt_site.views.bad_request"
handler403 = "ilt_site.views.permission_denied"
handler404 = "ilt_site.views.page_not_found"
handler429 = "ilt_site.views.too_many_requests"  # asked for by allauth's limits
handler500 = "ilt_site.views.server_error"

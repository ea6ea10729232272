from django.urls import path

from privacy.views import centre, held, public, requests

urlpatterns = [
    path("", centre.privacy, name="privacy"),
    path("held/", held.held, name="held"),
    path("held/<str:label>/", held.held_kind, name="held_kind"),
    path("openings/", centre.openings, name="openings"),
    path("requests/", requests.requests, name="requests"),
    path("requests/new/<str:kind>/", requests.request_new, name="request_new"),
    path("requests/<uuid:pk>/", requests.request_detail, name="request"),
    path("requests/<uuid:pk>/confirm/", requests.request_confirm, name="request_confirm"),
    path("requests/<uuid:pk>/withdraw/", requests.request_withdraw, name="request_withdraw"),
    path("requests/<uuid:pk>/export/", requests.request_export, name="request_export"),
    path("requests/<uuid:pk>/export/destroy/", requests.request_destroy, name="request_destroy"),
    path("ask/", public.ask, name="ask"),
    path("ask/sent/", public.asked, name="asked"),
    path("keep/<str:token>/", public.keep, name="keep"),
    path("link/<str:token>/", public.link, name="link"),
    path("outcome/", public.outcome, name="outcome"),
]

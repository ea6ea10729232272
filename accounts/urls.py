from django.urls import path

from accounts import views

urlpatterns = [
    path("account/", views.account, name="account"),
    path("account/details/", views.account_details, name="account_details"),
    path("account/details/edit/", views.account_edit, name="account_edit"),
    path("account/addresses/new/", views.address_new, name="address_new"),
    path("account/addresses/<uuid:pk>/", views.address_edit, name="address_edit"),
    path("account/addresses/<uuid:pk>/remove/", views.address_remove, name="address_remove"),
    path("account/freight/<uuid:pk>/remove/", views.freight_remove, name="freight_remove"),
    path("account/contact/send/", views.contact_send, name="contact_send"),
    path("account/contact/confirm/<str:token>/", views.contact_confirm, name="contact_confirm"),
    path("account/contact/not-me/<str:token>/", views.contact_not_me, name="contact_not_me"),
    path("account/claim/", views.account_claim, name="account_claim"),
    path("account/look/", views.account_look, name="account_look"),
    path("account/confidentiality/", views.confidentiality, name="confidentiality"),
]

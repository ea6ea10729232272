from django.urls import path

from rma import views

urlpatterns = [
    path("rma/", views.rmas, name="rmas"),
    path("rma/new/", views.rma_new, name="rma_new"),
    path("rma/<uuid:pk>/", views.rma, name="rma"),
    path("rma/<uuid:pk>/step/", views.rma_step, name="rma_step"),
    path("rma/<uuid:pk>/message/", views.rma_message, name="rma_message"),
    path("rma/certificates/<slug:number>/", views.certificate, name="certificate"),
]

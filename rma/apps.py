from django.apps import AppConfig


class RMAConfig(AppConfig):
    name = "rma"
    default_auto_field = "django.db.models.BigAutoField"

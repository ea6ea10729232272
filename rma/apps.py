from django.apps import AppConfig


class RMAConfig(AppConfig):
    name = "rma"
    verbose_name = "Calibration and repair"
    default_auto_field = "django.db.models.BigAutoField"

from django.apps import AppConfig


class RMAConfig(AppConfig):
    name = "rma"
    verbose_name = "Calibration and repair"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from rma import serials  # noqa: F401  registers a check

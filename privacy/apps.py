"""The ground floor: who data is about, what is held, who may open it, how long it is kept."""

from django.apps import AppConfig


class PrivacyConfig(AppConfig):
    name = "privacy"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Privacy"

    def ready(self) -> None:
        from privacy import checks, datamap  # noqa: F401  (checks: registers the system checks)
        from privacy.calendar import undated
        from privacy.gate import guard, purposes, worker
        from privacy.requests import procedures
        from privacy.retention import holds
        from privacy.vault.unit import set_guard, set_keeper

        datamap.autodiscover()
        purposes.set_source(procedures.purposes)
        set_guard(guard.decide)
        set_keeper(holds.keep)
        worker.connect()
        undated.connect()

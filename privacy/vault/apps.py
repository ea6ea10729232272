"""The vault: an app of its own, whose tables alone live in the key store."""

from django.apps import AppConfig


class VaultConfig(AppConfig):
    name = "privacy.vault"
    label = "vault"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from privacy.vault import checks, typecasts  # noqa: F401  (checks: registers the system checks)

        typecasts.register()

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "ilt_site"
    verbose_name = "Site"

    def ready(self) -> None:
        from ilt_site import startup  # noqa: F401  (registers the checks)

"""People with and without a login."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "People and companies"

    def ready(self) -> None:
        from accounts import handles, people
        from privacy.requests import hooks

        handles.install()
        hooks.register(
            find=people.find,
            address=people.address,
            name=people.name,
            sign_out=people.sign_out,
            has_login=people.has_login,
        )

"""People with and without a login."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "People and companies"

    def ready(self) -> None:
        from accounts import candidates, handles, people
        from privacy.requests import hooks

        handles.install()
        hooks.register(
            hooks.People(
                find=people.find,
                address=people.address,
                name=people.name,
                sign_out=people.sign_out,
                has_login=people.has_login,
                candidates=candidates.told,
                records_with=lambda email: [(one.label, one.pk, one.subject) for one in candidates.records_with(email)],
            )
        )

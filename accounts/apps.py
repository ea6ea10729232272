"""People with and without a login."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "People and companies"

    def ready(self) -> None:
        from accounts import (  # noqa: F401  upgrades and vouching register checks
            candidates,
            factor,
            factor_secrets,
            handles,
            in_hand,
            joining,
            people,
            regions,
            sessions,
            told_of_joinings,
            upgrades,
            vouching,
        )
        from privacy.people import People, register

        handles.install()
        factor_secrets.install()
        factor.install()
        sessions.install()
        register(
            People(
                reach=people.opened_by,
                named=people.named,
                still=people.still,
                later=people.later,
                written_by=people.written_by,
                is_known=people.is_known,
                carriers=candidates.people_with,
                renamed=people.renamed,
                renamed_by=people.renamed_by,
                on_file=people.on_file,
                answer_address=people.answer_address,
                others=people.others,
                is_disputed=people.is_disputed,
                is_login_disputed=people.is_login_disputed,
                joined_by=told_of_joinings.joined_by,
                had_contacts=in_hand.had_contacts,
                postal=people.postal,
                can_call=people.can_call,
                called=people.called,
                address=people.address,
                name=people.name,
                region=regions.name_of,
                team=people.team,
                sign_out=people.sign_out,
                has_login=people.has_login,
                candidates=candidates.told,
                look=joining.said,
                keep=people.keep,
            )
        )

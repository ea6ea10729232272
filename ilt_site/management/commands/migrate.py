"""Django's migrate; in the key store it applies what has tables there, and walks through nothing else; in both
databases each column gets the CHECK that nothing unreadable comes in (ilt_site.bounds)."""

from typing import Any

from django.core.management.commands import migrate

from ilt_site import bounds
from ilt_site.routers import KEYSTORE_APP


class Command(migrate.Command):
    """Migrate one database; for the key store without an app's name, the vault alone."""

    help = (
        "Changes the tables of one database to what this version needs, as Django's command of this name does; with "
        "--database keystore those of the vault, the only ones there. `prepare` calls it for both. "
        "Exit codes: 0 done, 1 failed, 2 usage."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["database"] == "keystore" and not options["app_label"]:
            # The other apps' migrations change nothing there, but drawing every state of every model takes seconds.
            options |= {"app_label": KEYSTORE_APP, "run_syncdb": False}
        super().handle(*args, **options)
        if not (options["plan"] or options["check_unapplied"]):
            bounds.settle(options["database"])

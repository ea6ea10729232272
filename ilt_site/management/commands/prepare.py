"""Bring an installation up to date: migrate, grant, collect static files. Run as the owner: ILT_DB_ROLE=owner."""

import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS
from django.utils import timezone

from accounts import country_choice, logins, upgrades
from privacy import letters
from privacy.files import owner
from privacy.gate.system import system_actor
from privacy.requests import recount
from privacy.restore import replay
from privacy.retention import restriction
from privacy.vault.keystore import identity, once
from rma import serials


class Command(BaseCommand):
    """Migrate the key store and the main database, give the roles their rights, collect the static files."""

    help = (
        "Changes the tables of both databases to what this version needs, binds both to the key ring, grants the "
        "application roles their rights, restricts what earlier erasures kept, puts right codes of countries that are none of ISO 3166-1 where it is certain which is meant (UK, EL, small letters) and names the rows of the others, counts the days of open requests anew, indexes user names of before by what they look like, phone numbers (once) and the words of names as this version compares them, binds links, codes, second factors, joinings, decisions, confirmed addresses and logins of before to what their rows say (once), signs the copied lines of the ledger of before (once), seals regions and serial numbers of before that are none, and writes the static files into STATIC_ROOT. Safe to repeat. Run it as the owner: ILT_DB_ROLE=owner. "
        "Exit codes: 0 done, 1 failed, 2 usage."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        for alias in ("keystore", DEFAULT_DB_ALIAS):
            call_command("migrate", database=alias, verbosity=0, interactive=False)
        # Bound to each other before the first key is made: `create_staff` may come before the first start.
        for problem in identity.verify():
            self.stderr.write(problem)
        call_command("grant_roles")
        # What was kept before there were restrictions: nothing changes where all of it is known already.
        restriction.settle_all(actor=system_actor("sweep", kind="operator"), now=timezone.now())
        # Codes of countries from before only those of ISO 3166-1 came in; the law is read from them.
        settled = upgrades.settle_countries(actor=system_actor("sweep", kind="operator"), now=timezone.now())
        if settled:
            self.stderr.write(f"Countries put right: {settled}.")
        if to_choose := upgrades.misspelt_countries():
            self.stderr.write(f"{country_choice.said(len(to_choose))} `countries` lists them, and takes the right one.")
        logins.index_lookalikes()  # likewise
        # What was typed as a region before it was a code or sealed: each batch stands for itself.
        for left in upgrades.settle_regions():
            self.stderr.write(f"The region of {left.label} {left.record} could not be settled ({left.error}).")
        # What is open is answered by today's laws, holidays and switches, and by regions that are codes now.
        recount.recount(actor=system_actor("sweep", kind="operator"), now=timezone.now())
        for left in serials.settle_old():
            self.stderr.write(f"The serial number of {left.label} {left.record} could not be settled ({left.error}).")
        # Numbers as this version compares them: staff find them in any spelling. Once, since most
        # orders have none to index.
        if not once.is_done(once.PHONES):
            unindexed = upgrades.index_phones()
            for left in unindexed:
                self.stderr.write(
                    f"The phone number of {left.label} {left.record} could not be indexed ({left.error})."
                )
            if not unindexed:
                once.note(once.PHONES, now=timezone.now())
        # Names as this version compares words: staff find O'Brien by obrien, and each sign of a Chinese name.
        for left in upgrades.index_names():
            self.stderr.write(f"The name of {left.label} {left.record} could not be indexed ({left.error}).")
        # Links, outcome codes, second factors, joinings, confirmed addresses and logins that were not bound to their
        # rows; once in the life of an installation.
        upgrades.bind_rows(now=timezone.now())
        # Lines of the ledger's copy from before they were signed; likewise.
        replay.sign_old(now=timezone.now())
        # Letters of a version that put links and codes into the text: a migration cannot open what is sealed.
        while letters.set_apart():
            pass
        collect_static()


def collect_static() -> None:
    """Write the static files, in a folder of the services as they would. Raises CommandError where root's are in the
    way."""
    static = Path(settings.STATIC_ROOT)
    with owner.as_services() if Path(settings.STATE_DIR) in static.parents else nullcontext():
        try:
            call_command("collectstatic", verbosity=0, interactive=False)
        except PermissionError as error:
            raise CommandError(
                f"The static files cannot be written ({error.strerror}): `rm -r {shlex.quote(str(static))}`, then type this again.",
                returncode=1,
            ) from None

"""Letters that an earlier version wrote, with links and codes in their text: those are taken out and kept apart."""

from __future__ import annotations

import re

from django.db import transaction
from django.utils.html import escape

from privacy import vault
from privacy.letters.credentials import CREDENTIALS_WAIT, placeholder
from privacy.letters.models import Letter
from privacy.work.broken import Findings, require_own

OLD_LINK = re.compile(
    r"https?://[^\s\"'<>]+/(?:privacy/link|account/contact/(?:confirm|not-me)|accounts/confirm-email|accounts/password/reset/key)/[^\s\"'<>]+"
)
OLD_CODE = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){2}\b")
HAD_A_CODE = "acknowledgement"  # the one kind of letter whose text held a code


def set_apart(*, limit: int = 100) -> int:
    """Take links and codes out of the text of letters that an earlier version wrote; return how many were done.

    In those sent or stopped they end; for those that wait they go into their own envelope. Each letter gets a new key,
    so that the old text opens in no backup. Done by `prepare` at an upgrade and before every sending; safe to repeat.
    """
    ids = list(Letter.objects.filter(is_apart=False).order_by("queued_at", "id").values_list("pk", flat=True)[:limit])
    done = 0
    for letter_id in ids:
        try:
            with transaction.atomic():
                # None where another worker has taken it apart, or is at it.
                there = Letter.objects.select_for_update(skip_locked=True).filter(pk=letter_id, is_apart=False)
                done += sum(map(_take_out, there))
        except Exception as error:  # this letter cannot be sealed again: the others are taken apart all the same
            require_own(error)
            Findings().note("set_apart", Letter.vault_label, letter_id, error)
    return done


def _take_out(letter: Letter) -> bool:
    gives: dict[str, str] = {}
    with vault.internal():  # shown to nobody
        text, html = letter.text, letter.html
        if isinstance(text, vault.KeyUnavailable) or isinstance(html, vault.KeyUnavailable):
            return False  # the key store is away: later
        if not isinstance(text, vault.Unreadable) and not isinstance(html, vault.Unreadable):
            for sort, pattern in (("link", OLD_LINK), ("code", OLD_CODE)):
                if sort == "code" and letter.kind != HAD_A_CODE:
                    continue
                for number, value in enumerate(dict.fromkeys(pattern.findall(text))):
                    name = sort if number == 0 else f"other_{sort}"
                    gives[name] = value
                    text = text.replace(value, placeholder(name))
                    html = html.replace(escape(value), placeholder(name)).replace(value, placeholder(name))
            letter.text, letter.html = text, html
        letter.is_apart = True
        fields = ["is_apart"]
        if gives:
            fields += ["text", "html"]
            if letter.sent_at is None and letter.stopped_at is None:
                letter.credentials, letter.credentials_until = gives, letter.queued_at + CREDENTIALS_WAIT
                fields += ["credentials", "credentials_until"]
        letter.save(update_fields=fields)
    return True

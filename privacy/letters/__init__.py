"""The sealed outbox: every message the product sends, of whatever app, is written here first, and sent from here.

    letters.queue(
        "shipped", to=address, context={...}, key=f"shipped:{order.pk}", now=now, subject=..., folder="orders/email"
    )

What must never happen: a letter that goes out twice, one that goes to somebody who was erased meanwhile, an address in
a log, a stored letter that opens anything. Nothing here knows what a letter is about; what follows for a request that
was answered is `privacy.requests.writing` and `posting`.

    models       the table
    composing    a letter from its template, or one that another program composed, once per key
    plain        the text part, made from the HTML part
    credentials  links and codes, kept apart from the text
    spellings    whether the text gives one away all the same
    sending      by mail: when, how often, what was interrupted
    printing     to be printed and posted: who had it in hand
    stopping     what is not sent any more, and what letters said
    earlier      letters of versions that kept links in the text
"""

from privacy.letters.composing import MOST_A_DAY, CredentialInText, queue, queue_message, within_cap
from privacy.letters.credentials import CREDENTIALS, end_credentials, given, placeholder
from privacy.letters.earlier import set_apart
from privacy.letters.models import Letter
from privacy.letters.printing import LinkLost, in_hand, mark_posted, on_paper, opened, require_whole
from privacy.letters.sending import (
    LAPSED,
    CannotSendAgain,
    has_no_mail_server,
    is_read_by_outbox,
    note_gone_before,
    printed,
    resend,
    send,
    send_due,
    sent_at,
    went_at,
    word_for_gone,
)
from privacy.letters.stopping import burn, burn_given, gone_out, of_person, stop, withhold

__all__ = [
    "CREDENTIALS",
    "LAPSED",
    "MOST_A_DAY",
    "CannotSendAgain",
    "CredentialInText",
    "Letter",
    "LinkLost",
    "burn",
    "burn_given",
    "end_credentials",
    "given",
    "gone_out",
    "has_no_mail_server",
    "in_hand",
    "is_read_by_outbox",
    "mark_posted",
    "note_gone_before",
    "of_person",
    "on_paper",
    "opened",
    "placeholder",
    "printed",
    "queue",
    "queue_message",
    "require_whole",
    "resend",
    "send",
    "send_due",
    "sent_at",
    "set_apart",
    "stop",
    "went_at",
    "withhold",
    "within_cap",
    "word_for_gone",
]

"""No template lies here that no page, letter or command reaches."""

from __future__ import annotations

from tests import reached


def test_every_template_is_reached_by_a_page_a_letter_or_a_command() -> None:
    ours = reached.existing()
    unreached = sorted(ours - reached.reached(ours))
    assert len(ours) > 200 and not unreached, "Nothing leads to these:\n" + "\n".join(unreached)


def test_one_that_nothing_leads_to_is_found_and_one_that_is_drawn_is_not() -> None:
    """The control: a kind that no letter has, a part without a page, pages and messages of allauth that are not routed
    here."""
    nowhere = {
        "privacy/email/nobody_sends_this.html",
        "privacy/_nobody_includes_this.html",
        "account/messages/phone_verified.txt",
        "account/email/email_confirm_subject.txt",
        "account/email.html",
        "mfa/trust.html",
        "mfa/webauthn/add_form.html",
        "allauth/elements/panel.html",
        "418.html",
    }
    found = reached.reached(reached.existing() | nowhere)
    assert not found & nowhere
    assert found >= {
        "account/messages/logged_in.txt",
        "account/email/email_confirmation_signup_subject.txt",
        "account/confirm_email_verification_code.html",
        "allauth/elements/button.html",
        "429.html",
        "django/forms/field.html",
        "privacy/email/_plan.html",
    }

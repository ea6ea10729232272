"""The forms for a new password speak as the sign-up does."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.account import app_settings
from django.utils.module_loading import import_string

from accounts.forms import HINT


@pytest.mark.parametrize("name", ["change_password", "reset_password_from_key"])
def test_a_new_password_is_asked_for_in_the_words_of_the_sign_up(name: str) -> None:
    form: Any = import_string(app_settings.FORMS[name])()
    labels = [str(form.fields[one].label) for one in form.fields]
    assert labels[-2:] == ["New password", "New password again"]
    assert labels[:-2] == (["Current password"] if name == "change_password" else [])
    assert form.fields["password1"].help_text == HINT

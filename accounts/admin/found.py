"""By what else than its own data a record is found at the desk."""

from __future__ import annotations

from accounts import people
from accounts.models import LoginAddress
from privacy.admin.search import By

#: By the address with which somebody signs in: for who may read that.
BY_LOGIN = By(people.logins_with, LoginAddress.vault_label, "account")

"""People, companies, messages and claimed addresses in the admin.

customers, companies, messages  a list and a page for each
acts        what the audit records, in words
found       by what else than its own data a record is found
correcting  records set right by the same function as in the portal
claims      records that carry somebody's address; `disputes` logins and contacts of which somebody says "not me"
"""

from allauth.account import admin as _account_admin  # noqa: F401  registers what is unregistered here
from allauth.account.models import EmailAddress
from allauth.mfa import admin as _mfa_admin  # noqa: F401
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth import admin as _auth_admin  # noqa: F401  registers what is unregistered here
from django.contrib.auth.models import Group

from accounts.admin.claims import ClaimReviewAdmin
from accounts.admin.companies import CompanyAdmin
from accounts.admin.customers import CustomerAdmin
from accounts.admin.disputes import LoginDisputeAdmin
from accounts.admin.messages import CommunicationAdmin

__all__ = ["ClaimReviewAdmin", "CommunicationAdmin", "CompanyAdmin", "CustomerAdmin", "LoginDisputeAdmin"]

admin.site.unregister(Group)  # roles are given by `create_staff`, with an acknowledgement
# The login's own tables: an address here would be opened by whoever lists them, a second factor by whoever edits it.
admin.site.unregister([EmailAddress, Authenticator])

"""The back office's own part: login through allauth, the work list of privacy requests, the base of all record pages."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin

from privacy.admin import requests as requests  # registers itself

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = "ILT back office"
admin.site.site_title = "ILT back office"
admin.site.index_title = "Work"
admin.site.enable_nav_sidebar = False

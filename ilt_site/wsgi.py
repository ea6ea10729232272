"""The WSGI entry: refuses to start on an unsafe configuration (ilt_site.startup)."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ilt_site.settings")
os.environ.setdefault("ILT_PROCESS", "web")

from django.core.wsgi import get_wsgi_application

from ilt_site import startup

startup.refuse_unsafe_start()
application = get_wsgi_application()
startup.refuse_foreign_parts()
startup.look_at_ledger()

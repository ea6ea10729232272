"""The product's settings, the measured models, and what the compared libraries want to be told."""

import base64
import os

from ilt_site.settings import *  # noqa: F403
from ilt_site.settings import ALLOWED_HOSTS, INSTALLED_APPS, STORAGES

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks"]
STAFF_SECOND_FACTOR = False  # the measured browsers are put in without signing in
ALLOWED_HOSTS = [*ALLOWED_HOSTS, "testserver"]
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

SALT_KEY = base64.b64encode(os.urandom(24)).decode()  # django-fernet-encrypted-fields
FIELD_ENCRYPTION_KEY = base64.urlsafe_b64encode(os.urandom(32)).decode()  # django-encrypted-model-fields
FIELD_ENCRYPTION_KEYS = [os.urandom(32).hex()]  # django-searchable-encrypted-fields

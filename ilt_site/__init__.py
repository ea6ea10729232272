"""The site: settings, doors to the outside, the launcher, and what concerns all apps together."""

from ilt_site.celery import app as celery_app

__all__ = ["celery_app"]

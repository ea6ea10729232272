"""Everybody at the doors of the product, made once for a module."""

from tests.journeys.home import _house, house  # noqa: F401

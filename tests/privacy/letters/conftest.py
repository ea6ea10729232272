"""The people of the requests' tests."""

from tests.privacy.requests.conftest import _quiet, alice, bob, kept_order, old_order, outbox  # noqa: F401

"""The scenarios use what the tests of requests use: alice who asks, bob the stranger, a folder for copies, no broker."""

from tests.privacy.requests.conftest import _quiet as _quiet
from tests.privacy.requests.conftest import alice as alice
from tests.privacy.requests.conftest import bob as bob
from tests.privacy.requests.conftest import outbox as outbox

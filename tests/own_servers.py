"""A plugin of pytest's: each process of `./test -n 2` has servers of its own, so that no test
waits for another's transactions.

The first process uses those that `./test` has started. The settings read their variables once: this runs before they
do.
"""

from __future__ import annotations

import atexit
import os
from contextlib import ExitStack

from ilt_site.launcher import throwaway

SERVED = "ILT_TEST_PROCESS"  # for which process of xdist the servers in the variables are; what it starts uses them too
_until_the_end = ExitStack()

process = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
if process != os.environ.get(SERVED, "gw0"):
    atexit.register(_until_the_end.close)
    made = _until_the_end.enter_context(throwaway.servers(throwaway.migrated))
    os.environ.update(throwaway.environment(made), **{SERVED: process})

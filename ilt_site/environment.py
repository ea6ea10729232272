"""The environment as settings read it: a value that is none stops the start with one sentence that names it."""

from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

FALSE = ("false", "off", "n", "no", "0", "")
EXPECTED = {int: "a whole number", float: "a number", bool: "true or false"}


class Environment(environ.Env):
    """django-environ, which takes any word for "false", and ends with a traceback where a number is none."""

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: bool = False
    ) -> Any:
        """Return the value. Raises ImproperlyConfigured for one that is missing or not of its kind; never repeats
        it."""
        given = self.ENVIRON.get(var)
        known = (*self.BOOLEAN_TRUE_STRINGS, *FALSE)
        if cast is bool and given is not None and given.strip().lower() not in known:
            raise ImproperlyConfigured(f"{var} has to be {EXPECTED[bool]}.")
        try:
            return super().get_value(var, cast=cast, default=default, parse_default=parse_default)
        except ValueError:
            raise ImproperlyConfigured(f"{var} has to be {EXPECTED.get(cast, 'something else')}.") from None

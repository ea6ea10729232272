"""Static files: WhiteNoise, without the list of all files that Django keeps among them."""

from __future__ import annotations

from typing import Any

from whitenoise.middleware import WhiteNoiseMiddleware

MANIFEST = "/staticfiles.json"


class StaticMiddleware(WhiteNoiseMiddleware):
    """Serves what collectstatic gathered; its manifest is Django's own and no page's."""

    def add_file_to_dictionary(self, url: str, path: str, stat_cache: Any = None) -> None:
        if not url.endswith(MANIFEST):
            super().add_file_to_dictionary(url, path, stat_cache=stat_cache)

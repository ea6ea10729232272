"""One-time links."""

from __future__ import annotations

from datetime import timedelta

import pytest

from privacy.requests import links
from privacy.requests.models import OneTimeLink
from tests.asked import NOW, filed


def test_a_link_works_once(alice) -> None:
    request = filed(alice)
    token = links.make_link(request, OneTimeLink.Purpose.RESULT, to="", now=NOW)
    assert token not in str(OneTimeLink.objects.values())
    assert links.look(token, now=NOW).request == request
    assert links.look(token, now=NOW).request == request, "looking does not use it up"
    assert links.use(token, now=NOW).request == request
    with pytest.raises(links.LinkRefused):
        links.use(token, now=NOW)
    with pytest.raises(links.LinkRefused):
        links.look(token, now=NOW)


def test_a_link_expires(alice) -> None:
    token = links.make_link(filed(alice), OneTimeLink.Purpose.IDENTITY, to="", now=NOW)
    later = NOW + links.LINK_LIVES + timedelta(seconds=1)
    with pytest.raises(links.LinkRefused):
        links.use(token, now=later)


def test_an_unknown_token_is_refused(db) -> None:
    with pytest.raises(links.LinkRefused):
        links.use("made-up", now=NOW)

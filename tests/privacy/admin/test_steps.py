"""Steps of the back office: what a page does not know it does not do."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.http import Http404

from privacy.admin.work import WorkAdmin
from tests.asked import NOW, PRIVACY


def test_a_step_that_a_page_does_not_know_is_taken_as_none_of_its_others() -> None:
    """No database: a page that took it as the last of its own would ask for one."""
    pages = [one for one in admin.site._registry.values() if isinstance(one, WorkAdmin)]
    taking = [one for one in pages if type(one).take is not WorkAdmin.take]
    assert len(taking) > 8, "the walk sees the pages"
    for page in taking:
        with pytest.raises(Http404):
            page.take("unheard_of", page.model(), {}, actor=PRIVACY, now=NOW)

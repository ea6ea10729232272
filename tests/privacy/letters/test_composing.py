"""A letter of any app goes through the outbox by one call, and the outbox asks nothing about requests."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from privacy import letters, vault
from privacy.gate.system import system
from privacy.letters.models import Letter
from tests import factories
from tests.factories import NOW
from tests.imports import imports, modules

ROOT = Path(__file__).resolve().parents[3]
ADDRESS = "alice@example.com"


@pytest.fixture
def shipped(settings: Any, tmp_path: Path) -> str:
    """The template of an app of its own: a letter that says an order was shipped."""
    folder = tmp_path / "orders" / "email"
    folder.mkdir(parents=True)
    (folder / "shipped.html").write_text("<h1>Order {{ number }} was shipped</h1><p>Follow it\nhere: {{ link }}</p>\n")
    first, *others = settings.TEMPLATES
    settings.TEMPLATES = [{**first, "DIRS": [*first["DIRS"], tmp_path]}, *others]
    return "orders/email"


def test_an_apps_own_letter_goes_through_by_one_call(db: None, shipped: str, mailoutbox: list[Any]) -> None:
    alice = factories.customer("Alice", "Archer", email=ADDRESS)
    letter = letters.queue(
        "shipped",
        to=ADDRESS,
        context={"number": "SO-2026-000003"},
        key="shipped:1",
        now=NOW,
        subject=alice.subject_id,
        folder=shipped,
        credentials={"link": "https://carrier.example/7f3a91c0"},
    )
    assert letter.request is None and letter.subject_id == alice.subject_id
    with system("letter"):
        went = letters.send_due(now=NOW)
    assert went == [letter.pk], "what went out is returned: whoever wrote it may go on"
    (sent,) = mailoutbox
    assert (sent.to, sent.subject) == ([ADDRESS], "Order SO-2026-000003 was shipped")
    assert sent.body == "Follow it here: https://carrier.example/7f3a91c0\n"
    letter.refresh_from_db()
    assert letter.sent_at == NOW and letter.sealed_credentials is None  # type: ignore[attr-defined]
    with vault.internal():
        assert letters.placeholder("link") in letter.text, "what is stored opens nothing"
    assert letters.send_due(now=NOW + timedelta(days=1)) == []


def test_a_letter_for_the_post_takes_the_address_that_its_app_gives(db: None, shipped: str) -> None:
    lines = ["Alice Archer", "17 Quince Row", "Gloucester"]
    letters.queue("shipped", to="", context={"number": "SO-1"}, key="shipped:2", now=NOW, postal=lines, folder=shipped)
    letter = Letter.objects.get()
    with vault.internal():
        assert letters.on_paper(letter.text)[0] == "\n".join(lines)
    assert letter.by == Letter.By.POST and letters.send_due(now=NOW) == []


def test_of_two_that_write_the_same_letter_at_one_moment_one_does(db: None, shipped: str) -> None:
    def written(number: Any) -> Letter:
        return letters.queue(
            "shipped", to=ADDRESS, context={"number": number}, key="shipped:3", now=NOW, folder=shipped
        )

    class Meanwhile:
        """What another worker does while this letter is put together."""

        def __str__(self) -> str:
            return f"not {written('SO-1').pk}"

    letter = written(Meanwhile())
    assert letter == Letter.objects.get() == written("SO-2")
    with vault.internal():
        assert letter.headline == "Order SO-1 was shipped"


def test_the_outbox_knows_no_requests() -> None:
    found = {one.of for one in imports(modules(ROOT, "privacy")) if one.by.startswith("privacy.letters")}
    assert "privacy.people" in found, "the walk sees imports"
    assert not {one for one in found if one.startswith(("privacy.requests", "privacy.sweep", "privacy.restore"))}

"""The databases that tests start from are kept for the next run, and never those of other code."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ilt_site.launcher import prepared, throwaway
from ilt_site.launcher.servers import Servers

MIGRATION = "privacy/migrations/0001_initial.py"


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with one migration, which uses a function of ours, and a page that no table comes from."""
    texts = {
        MIGRATION: "from accounts import validators\nimport privacy.vault.ids\n",
        "accounts/validators.py": "",
        "privacy/vault/ids.py": "",
        "privacy/views.py": "",
        "ilt_site/routers.py": "",
        "requirements/test.txt": "django==5.2.19",
        "postgres": "the program",
    }
    for name, text in texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(prepared, "ROOT", tmp_path)
    monkeypatch.setattr(prepared, "OWN", (tmp_path / "ilt_site/routers.py",))
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        MIGRATION,
        "accounts/validators.py",
        "privacy/vault/ids.py",
        "ilt_site/routers.py",
        "requirements/test.txt",
        "postgres",
    ],
)
def test_whatever_makes_the_tables_makes_new_databases(clone: Path, name: str) -> None:
    before = prepared.key(clone / "postgres")
    path = clone / name
    path.write_text(path.read_text() + "# changed\n")
    assert prepared.key(clone / "postgres") != before


def test_a_new_migration_makes_new_databases(clone: Path) -> None:
    before = prepared.key(clone / "postgres")
    (clone / MIGRATION).with_name("0002_more.py").touch()
    assert prepared.key(clone / "postgres") != before


def test_a_page_makes_none(clone: Path) -> None:
    before = prepared.key(clone / "postgres")
    (clone / "privacy/views.py").write_text("changed")
    assert prepared.key(clone / "postgres") == before


class Kept:
    """Servers started with a table of our own in the place of the migrations, and how often it was made."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.made = folder, 0
        monkeypatch.setattr(prepared, "KEPT", folder)

    def fill(self, made: Servers) -> None:
        self.made += 1
        with made.connect("postgres") as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE prepared AS SELECT generate_series(1, 3)")

    def start(self, *, anew: bool = False) -> int:
        """Return how many rows the table has on servers that were started now."""
        with (
            throwaway.servers(self.fill, anew=anew) as made,
            made.connect("postgres") as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT count(*) FROM prepared")
            return int(cursor.fetchone()[0])

    def only(self) -> Path:
        """Return the one folder that is kept."""
        (one,) = self.folder.iterdir()
        return one


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    return Kept(tmp_path / "prepared", monkeypatch)


def test_the_second_start_takes_what_the_first_one_kept_and_what_was_kept_by_half_is_made_anew(kept: Kept) -> None:
    """One row of starts: each takes most of a second."""
    assert [kept.start(), kept.start()] == [3, 3]
    assert kept.made == 1
    assert kept.only().stat().st_mode & 0o777 == 0o700

    (kept.only() / "password").unlink()
    assert [kept.start(), kept.start()] == [3, 3]
    assert kept.made == 2

    # No more than the newest are kept, and anew is anew.
    for age in range(prepared.NEWEST + 2):
        old = kept.folder / f"old-{age}"
        old.mkdir()
        os.utime(old, (1_000_000 - age, 1_000_000 - age))
    assert (kept.start(anew=True), kept.made) == (3, 3)
    assert len(list(kept.folder.iterdir())) == prepared.NEWEST
    assert not (kept.folder / f"old-{prepared.NEWEST}").exists() and (kept.folder / "old-0").exists()

"""The ring of key-encryption keys: who may read it, what opens under it, how it changes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from privacy.vault import BlobDamaged, open_blob, ring, seal_blob


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secret" / "ring.json"
    ring.write(path, ring.new(), new_file=True)
    return path


def test_a_new_ring_is_written_with_mode_0600_and_read_again(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    assert ring.read(file).versions == (1,)
    assert os.listdir(file.parent) == ["ring.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o610])
def test_a_ring_that_others_can_touch_is_refused_in_words(mode: int, file: Path) -> None:
    file.chmod(mode)
    with pytest.raises(ring.RingRefused, match="0600"):
        ring.read(file)


def test_a_missing_ring_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ring.RingRefused, match="cannot be read"):
        ring.read(tmp_path / "none")


def test_an_existing_ring_is_never_overwritten(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(ring.RingRefused, match="never overwritten"):
        ring.write(file, ring.new(), new_file=True)
    assert file.read_bytes() == before


def test_a_ring_that_comes_or_changes_while_this_process_looks_is_seen(file: Path, tmp_path: Path) -> None:
    class Late(type(Path())):  # type: ignore[misc]  # another process is faster by a moment
        def stat(self, **how: bool) -> os.stat_result:
            if not written.exists():
                written.touch()
                ring.write(Path(self), newer)
            return Path(self).stat(**how)

        def exists(self) -> bool:
            return False

    newer, written = ring.read(file).added(), tmp_path / "written"
    assert ring.read(Late(file)) == newer
    with pytest.raises(ring.RingRefused, match="never overwritten"):
        ring.write(Late(file), ring.new(), new_file=True)
    assert ring.read(file) == newer


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": 1}', "\x00"])
def test_what_is_no_ring_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(ring.RingRefused):
        ring.parse(text)


def test_a_ring_with_a_short_key_or_without_its_current_one_is_damaged() -> None:
    content = json.loads(ring.new().as_json())
    for change in ({"current": 2}, {"keys": {"1": "AAAA"}}, {"root": "AAAA"}):
        with pytest.raises(ring.RingRefused, match="damaged"):
            ring.parse(json.dumps(content | change))


def test_an_added_version_wraps_and_the_old_one_still_opens() -> None:
    old = ring.new()
    kek, wrapped = old.wrap(bytes(32), b"where")
    newer = old.added()
    assert (kek, newer.wrap(bytes(32), b"where")[0]) == (1, 2)
    assert newer.unwrap(1, wrapped, b"where") == bytes(32)
    assert newer.derive("index:x") == old.derive("index:x")
    with pytest.raises(ring.VersionUnknown):
        newer.without(1).unwrap(1, wrapped, b"where")
    with pytest.raises(ring.RingRefused):
        newer.without(2)


def test_a_wrapped_key_opens_in_its_own_context_and_version_only() -> None:
    two = ring.new().added()
    _, wrapped = two.wrap(bytes(32), b"where")
    for version, context, data in (
        (2, b"elsewhere", wrapped),
        (1, b"where", wrapped),
        (2, b"where", wrapped[:-1] + b"!"),
    ):
        with pytest.raises(ring.WrapBroken):
            two.unwrap(version, data, context)


def test_a_changed_file_is_read_again_and_its_repr_holds_no_key(file: Path, settings) -> None:
    settings.KEY_RING_FILE = str(file)
    assert ring.current().versions == (1,)
    ring.write(file, ring.read(file).added())
    assert ring.current().versions == (1, 2)
    assert "keys" not in repr(ring.current())
    ring.write(file, ring.new())
    with pytest.raises(ring.RingRefused, match="exchanged for that of another installation"):
        ring.current()


def test_what_a_killed_writer_left_is_overwritten_and_gone(file: Path) -> None:
    """A ring that lay there would open what has ended."""
    draft = file.with_name(".ring.json.draft")
    draft.write_bytes(file.read_bytes())
    with draft.open("rb") as held:
        ring.write(file, ring.read(file).added())
        assert set(held.read()) == {0}
    assert os.listdir(file.parent) == ["ring.json"]


def test_a_ring_in_the_environment_is_for_demos_only(settings) -> None:
    settings.KEY_RING_FILE, settings.KEY_RING, settings.DEMO = "", ring.new().as_json(), True
    assert ring.current().current == 1
    settings.DEMO, settings.KEY_RING = False, ring.new().as_json()
    with pytest.raises(ring.RingRefused, match="demos only"):
        ring.current()
    settings.KEY_RING = ""
    with pytest.raises(ring.RingRefused, match="no key ring"):
        ring.current()


def test_a_blob_opens_for_its_purpose_and_row_only() -> None:
    sealed = seal_blob("session", b"alice", of="1")
    assert b"alice" not in sealed
    assert open_blob("session", sealed, of="1") == b"alice"
    assert seal_blob("session", b"alice", of="1") != sealed
    assert open_blob("session", seal_blob("session", b"alice", of=None), of=None) == b"alice"
    for purpose, data, of in (
        ("totp", sealed, "1"),
        ("session", sealed, "2"),
        ("session", sealed, None),
        ("session", seal_blob("session", b"alice", of=None), "1"),
        ("session", sealed[:-1] + b"!", "1"),
        ("session", b"short", "1"),
        ("session", b"\x01" + sealed[1:], None),
    ):
        with pytest.raises(BlobDamaged):
            open_blob(purpose, data, of=of)

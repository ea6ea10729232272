"""What stops a renewal of the ring before anything is taken away; the rest is in `tests/faults/test_renewal.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from privacy.vault import renewal, ring
from privacy.vault.renewal import RenewalRefused
from tests import factories


def test_no_ring_is_renewed_that_does_not_belong_here(tmp_path: Path, settings: Any) -> None:
    settings.KEY_RING_FILE = settings.KEY_RING = ""
    with pytest.raises(RenewalRefused, match="There is no key ring"):
        renewal.renew(
            file=tmp_path / "ring.json", copy=tmp_path / "copy.json", backup=["false"], now=factories.NOW, settle=0
        )
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_takes_no_ring_and_one_that_gives_back_another_are_refused(tmp_path: Path) -> None:
    one, other = ring.new(), ring.new()
    (tmp_path / "full").write_text("a file where a folder should be")
    with pytest.raises(RenewalRefused, match=r"cannot be written to .*full/ring\.json: "):
        renewal._put(one, tmp_path / "full" / "ring.json")

    renewal._put(one, tmp_path / "ring.json", tmp_path / "copy.json")
    renewal._same(one, tmp_path / "ring.json", tmp_path / "copy.json")
    renewal._put(other, tmp_path / "copy.json")
    with pytest.raises(RenewalRefused, match=r"copy\.json is not what was read back"):
        renewal._same(one, tmp_path / "ring.json", tmp_path / "copy.json")

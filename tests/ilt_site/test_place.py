"""The data folder, when two launchers want it in the same moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ilt_site.launcher import Problem
from ilt_site.launcher.place import Place


def test_a_launcher_that_began_a_moment_ago_is_no_stranger(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "logs").mkdir(parents=True)  # so far another launcher has come
    lock = threading.Timer(0.2, (folder / "lock").touch)
    lock.start()
    Place(folder).make()
    lock.join()


def test_a_folder_of_somebody_else_stays_one(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    with pytest.raises(Problem, match="holds other files"):
        Place(tmp_path).make()


def test_many_at_once_make_one_folder_and_one_of_them_holds_it(tmp_path: Path) -> None:
    place = Place(tmp_path / "data")
    together, told = threading.Barrier(8), threading.Barrier(8)

    def begin(_: int) -> str:
        together.wait(60)
        try:
            place.make()
            with place.locked("site"):
                told.wait(60)
                return "serves"
        except Problem as problem:
            told.wait(60)
            return str(problem)

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(begin, range(8)))
    assert said.count("serves") == 1
    assert sum("is running already" in one for one in said) == 7

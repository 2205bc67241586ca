"""Folders that are written whole or not at all."""

import pytest

from mnist_course.files import atomic_folder


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_a_folder_is_replaced_whole_or_stays(tmp_path):
    target = tmp_path / "dist" / "learner"
    with atomic_folder(target) as part:
        (part / "old").touch()
    with pytest.raises(ZeroDivisionError), atomic_folder(target) as part:
        (part / "half").touch()
        raise ZeroDivisionError
    assert names(target) == ["old"]
    with atomic_folder(target) as part:
        (part / "new").touch()
    assert names(target) == ["new"]
    # Nothing temporary is left beside it.
    assert names(target.parent) == ["learner"]

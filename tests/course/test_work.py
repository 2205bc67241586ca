"""Your own copies of the notebooks: they can be written, and are never overwritten."""

import os
import stat
from pathlib import Path

import pytest

from mnist_course.work import copy_notebooks, main, set_aside


@pytest.fixture
def source(tmp_path):
    """Return a folder of notebooks from which nobody may take writing for granted."""
    source = tmp_path / "notebooks"
    source.mkdir()
    for name in ("01 a.ipynb", "02_b.ipynb"):
        (source / name).write_text("new")
        (source / name).chmod(0o444)
    source.chmod(0o555)
    yield source
    source.chmod(0o755)


def test_copies_of_what_is_read_only_can_be_written(source, tmp_path):
    copy_notebooks(source, tmp_path / "work")
    assert (tmp_path / "work").stat().st_mode & stat.S_IWUSR
    for copy in (tmp_path / "work").iterdir():
        assert copy.stat().st_mode & stat.S_IWUSR
        assert copy.stat().st_mode & stat.S_IXUSR == 0


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077, 0o277, 0o777])
def test_a_copy_is_its_owners_whatever_the_mask(source, tmp_path, umask):
    (tmp_path / "work").mkdir()
    before = os.umask(umask)
    try:
        copy_notebooks(source, tmp_path / "work")
    finally:
        os.umask(before)
    mode = stat.S_IMODE((tmp_path / "work" / "02_b.ipynb").stat().st_mode)
    assert mode == (0o666 & ~umask) | 0o600


def test_a_copy_that_was_stopped_is_not_there(source, tmp_path, monkeypatch):
    def copy_half(path, part):
        Path(part).write_text("n")
        raise OSError(28, "No space left on device", str(part))

    monkeypatch.setattr("shutil.copyfile", copy_half)
    with pytest.raises(OSError, match="No space"):
        copy_notebooks(source, tmp_path / "work")
    assert list((tmp_path / "work").iterdir()) == []


def test_what_is_there_is_never_touched(source, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (work / "01 a.ipynb").write_text("mine")
    # A link that leads nowhere is somebody's, too.
    (work / "02_b.ipynb").symlink_to("elsewhere")
    copy_notebooks(source, work)
    assert (work / "01 a.ipynb").read_text() == "mine"
    assert not (work / "02_b.ipynb").exists()


def test_a_folder_set_aside_gets_a_name_of_its_own(tmp_path):
    names = set()
    for _ in range(3):  # all within one second or two
        (tmp_path / "work").mkdir()
        names.add(set_aside(tmp_path / "work").name)
    assert len(names) == 3 and not (tmp_path / "work").exists()


@pytest.mark.parametrize("arguments", [[], ["--reset"]])
def test_where_nothing_can_be_written_it_says_so_in_one_line(
    tmp_path, monkeypatch, capsys, arguments
):
    monkeypatch.chdir(tmp_path)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "work")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("make: work cannot be written (Permission denied): copy the whole")

"""Files that anybody may have made are opened without waiting, or refused."""

import io
import os
import socket
import zipfile

import pytest

from mnist_helpers import foreign_files
from mnist_helpers.foreign_files import ForeignFileError, check_zip_list, open_plain


def test_a_plain_file_and_a_link_to_one_are_opened(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"content")
    link = tmp_path / "link"
    link.symlink_to(file)
    for path in (file, link):
        with open_plain(path) as opened:
            assert opened.read() == b"content"


def test_what_is_no_plain_file_is_refused_without_waiting(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for path in ("pipe", "socket", "/dev/zero"):
            with pytest.raises(ForeignFileError, match="^a pipe, a socket or a device$"):
                open_plain(path)
    with pytest.raises(ForeignFileError, match="^a folder$"):
        open_plain(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_plain("missing")


def test_a_pipe_that_comes_in_between_is_refused_and_closed(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    real_stat = os.stat

    def stat_and_swap(path):
        status = real_stat(path)
        file.unlink()
        os.mkfifo(file)
        return status

    monkeypatch.setattr(foreign_files.os, "stat", stat_and_swap)
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(ForeignFileError, match="a pipe"):
        open_plain(file)
    assert len(os.listdir("/dev/fd")) == before


def zip_of(n_members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(n_members):
            archive.writestr(f"{number}", b"")
    return stream


def test_a_zip_with_a_list_of_more_than_64_kb_is_refused():
    check_zip_list(zip_of(1000))
    with pytest.raises(ForeignFileError, match="made for more files"):
        check_zip_list(zip_of(1500))

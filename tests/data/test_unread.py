"""Files that nothing reads are counted and named in one line; clutter is not."""

from pathlib import Path

import pytest

from fsslib.data.images import photo_suffixes
from fsslib.data.pool import PoolSource, unread_in_pool
from fsslib.data.unread import describe_unread, unread_files
from fsslib.errors import FsslibError
from fsslib.prediction.prediction_files import find_photographs
from tests.support.fakes import write

CLUTTER = (".DS_Store", "._a.jpg", "Thumbs.db", "THUMBS.DB", "desktop.ini", "Desktop.ini")


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        write(folder / name, b"x")
    return folder


def test_only_visible_files_that_are_no_photographs_are_listed(tmp_path: Path) -> None:
    photographs = [f"a{suffix}" for suffix in photo_suffixes()] + ["B.JPG"]
    fill(tmp_path, *photographs, *CLUTTER, "notes.txt", "clip.GIF", "none", "in/other.txt")
    (tmp_path / "to_nothing.txt").symlink_to(tmp_path / "gone")
    assert unread_files(tmp_path) == ("clip.GIF", "none", "notes.txt")


def test_suffixes_that_are_read_otherwise_are_left_out(tmp_path: Path) -> None:
    fill(tmp_path, "a.json", "b.JSON", "c.txt")
    assert unread_files(tmp_path, (".json",)) == ("c.txt",)


def test_a_folder_without_such_files_or_no_folder_at_all_has_none(tmp_path: Path) -> None:
    assert unread_files(fill(tmp_path, "a.jpg")) == ()
    assert unread_files(tmp_path / "gone") == ()


def test_a_pool_is_searched_with_its_sub_folders(tmp_path: Path) -> None:
    fill(tmp_path / "pool", "a.jpg", "b.gif", "deep/c.txt", ".git/config")
    fill(tmp_path / "clean", "a.jpg")
    sources = [PoolSource("train"), PoolSource("pool"), PoolSource("clean")]
    assert unread_in_pool(sources, tmp_path) == {tmp_path / "pool": ("b.gif", "deep/c.txt")}


@pytest.mark.parametrize(("names", "expected"), [
    (["a.txt"], "1 file was not read: a.txt"),
    (["a.gif", "b.txt"], "2 files were not read: a.gif, b.txt"),
    (["clip.gif", "IMG_1.heic", "notes.txt"],
     "3 files were not read: IMG_1.heic (pip install 'fsslib[heic]'), clip.gif, notes.txt"),
    (["a", "b", "c", "d", "e.HEIC", "f.heif", "g"],
     "7 files were not read: e.HEIC, f.heif (pip install 'fsslib[heic]'), a and 4 more"),
    (["1.heic", "2.heic", "3.heic", "4.heic"],
     "4 files were not read: 1.heic, 2.heic, 3.heic (pip install 'fsslib[heic]') and 1 more"),
    (["a\nb.txt", "\x1b[31m"], r"2 files were not read: 'a\nb.txt', '\x1b[31m'"),
])  # fmt: skip
def test_the_line_counts_all_and_names_three(names: list[str], expected: str) -> None:
    assert describe_unread(names) == expected


def test_a_folder_without_photographs_says_what_it_holds(tmp_path: Path) -> None:
    fill(tmp_path, "a.txt")
    with pytest.raises(FsslibError, match=r"\.webp.*\); 1 file was not read: a\.txt: name another"):
        find_photographs([tmp_path])

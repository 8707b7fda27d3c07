"""The listing of a folder of photographs is what pathlib finds, in its order."""

from pathlib import Path

from fsslib.data.images import photo_suffixes
from fsslib.data.listing import photographs_below
from tests.support.fakes import write

FILES = (
    "b.jpg", "a.JPEG", "a.b.png", "a/z.jpg", "a-/y.jpg", "a/b/c.tif", "a b/ä.webp", "notes.txt",
    "jpg", ".hidden.jpg", "._b.jpg", ".folder/x.jpg", "a/.inner/x.jpg", "x.jpg.txt", "A.bmp",
)  # fmt: skip


def oracle(folder: Path) -> list[str]:
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in photo_suffixes())
    inside = [p.relative_to(folder) for p in found if p.is_file()]
    return [p.as_posix() for p in inside if not any(part[0] == "." for part in p.parts)]


def test_it_is_that_of_pathlib(tmp_path):
    for name in FILES:
        write(tmp_path / "photos" / name, b"x")
    (tmp_path / "photos" / "folder.jpg").mkdir()
    (tmp_path / "photos" / "link.jpg").symlink_to("b.jpg")
    (tmp_path / "photos" / "broken.jpg").symlink_to("nowhere")
    (tmp_path / "photos" / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "photos" / "again").symlink_to("a")
    found = photographs_below(tmp_path / "photos")
    assert found == oracle(tmp_path / "photos")
    assert len(found) == 9
    (tmp_path / "link").symlink_to("photos")
    assert photographs_below(tmp_path / "link") == found


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert photographs_below(tmp_path / "nowhere") == []

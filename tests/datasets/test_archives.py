"""Archives are read without trusting them."""

import io
import random
import tarfile
from pathlib import Path

import pytest

from fsslib.datasets.sources import archives
from fsslib.datasets.sources.archives import iter_members
from fsslib.errors import FsslibError
from fsslib.files.tar_headers import MAX_HEADER_BYTES


def make_tar(path: Path, members: list[tarfile.TarInfo], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(name: str, size: int = 3, kind: bytes = tarfile.REGTYPE, link: str = ""):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


def names(source: Path, ending: str = "") -> list[str]:
    return [m.name for m in iter_members(source, lambda n: n.endswith(ending))]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_wanted_members_of_every_compression_are_read(tmp_path: Path, mode: str) -> None:
    members = [member("a/1.png"), member("./a/2.png", 5), member("a/3.txt")]
    path = make_tar(tmp_path / "x.tar", members, mode)
    found = {m.name: m.read() for m in iter_members(path, lambda n: n.endswith(".png"))}
    assert found == {"a/1.png": b"xxx", "a/2.png": b"xxxxx"}


def test_folder_gives_the_same_names_as_the_archive_of_it(tmp_path: Path) -> None:
    for name in ("b/2.png", "a/1.png", "a/c/3.png"):
        path = tmp_path / "f" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / "f", ".")
    assert sorted(names(tmp_path / "f")) == sorted(names(tmp_path / "x.tar"))
    assert {m.read() for m in iter_members(tmp_path / "f", lambda n: n == "a/1.png")} == {
        b"a/1.png"
    }


@pytest.mark.parametrize("name", [
    "../evil", "a/../../evil", "/etc/passwd", "a\\..\\..\\evil", "C:\\evil", "..",
])  # fmt: skip
def test_members_that_point_outside_are_refused_even_when_unwanted(
    tmp_path: Path, name: str
) -> None:
    path = make_tar(tmp_path / "x.tar", [member("a/1.png"), member(name)])
    with pytest.raises(FsslibError, match="points outside the archive"):
        names(path, ".png")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize(("name", "target"), [
    ("a/link.txt", "/etc/passwd"),
    ("a/link.txt", "../../outside"),
    ("a/1.png", "2.png"),
])  # fmt: skip
def test_links_out_of_the_archive_or_in_place_of_a_file_are_refused(
    tmp_path: Path, kind: bytes, name: str, target: str
) -> None:
    path = make_tar(tmp_path / "x.tar", [member(name, 0, kind, target)])
    with pytest.raises(FsslibError, match="is a link to"):
        names(path, ".png")


def test_an_unwanted_link_inside_the_archive_is_ignored(tmp_path: Path) -> None:
    link = member("a/README", 0, tarfile.SYMTYPE, "readme.txt")
    assert names(make_tar(tmp_path / "x.tar", [link, member("a/1.png")]), ".png") == ["a/1.png"]


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(FsslibError, match="is a device or pipe"):
        names(make_tar(tmp_path / "x.tar", [member("a/1.png", 0, kind)]))


def test_absurd_sizes_are_refused_before_reading(tmp_path: Path) -> None:
    header = member("a/1.png", archives.MAX_MEMBER_BYTES + 1).tobuf()
    (tmp_path / "x.tar").write_bytes(header + bytes(1024))
    with pytest.raises(FsslibError, match=r"'a/1\.png' has \d+ bytes, above"):
        names(tmp_path / "x.tar")


def test_absurd_extended_headers_are_refused_before_reading(tmp_path: Path) -> None:
    header = member("long", MAX_HEADER_BYTES + 1, tarfile.XHDTYPE).tobuf()
    (tmp_path / "x.tar").write_bytes(header + bytes(4096))
    with pytest.raises(FsslibError, match=r"is damaged .*header \S+ claims \d+ bytes"):
        names(tmp_path / "x.tar")


def test_doubles_are_refused(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "x.tar", [member("a/1.png"), member("a/1.png", 4)])
    with pytest.raises(FsslibError, match="is there twice"):
        names(path)


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    path = make_tar(tmp_path / "x.tar", [member(f"{i}.txt") for i in range(4)])
    with pytest.raises(FsslibError, match="more than 3 members"):
        names(path, ".png")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_cut_archive_is_told(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, mode) as tar:
        content = random.Random(0).randbytes(50_000)
        info = member("a.png", len(content))
        tar.addfile(info, io.BytesIO(content))
    path.write_bytes(path.read_bytes()[:30_000])
    with pytest.raises(FsslibError, match=r"x\.tar is damaged or cut off .*download it again"):
        [m.read() for m in iter_members(path, lambda n: True)]


@pytest.mark.parametrize("content", [b"", b"<html>Not Found</html>" * 100, b"\x1f\x8b broken"])
def test_what_is_no_archive_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(content)
    with pytest.raises(FsslibError, match=r"x\.tar is damaged or cut off") as caught:
        names(path)
    assert "\n" not in str(caught.value)


def test_missing_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(FsslibError, match=r"gone\.tar does not exist"):
        names(tmp_path / "gone.tar")

"""Tar files as a pool: read where they lie, and hostile ones refused in one line."""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fsslib.data.pool import PoolSource, build_pool, unread_in_pool
from fsslib.data.tar_shards import expand_braces, list_tars
from tests.support.helpers import one_line


def picture(value, size=(12, 9)):
    buffer = io.BytesIO()
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def pack(path, members):
    """Members are (name, content), or a `TarInfo` alone."""
    with tarfile.open(path, "w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def pool(manifest, base_dir, *sources, cache=None):
    return build_pool(manifest, 0, [PoolSource(s) for s in sources], 0, base_dir, cache)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.tar", ["a.tar"]),
        ("a-{08..11}.tar", ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]),
        ("a-{8..10}.tar", ["a-8.tar", "a-9.tar", "a-10.tar"]),
        ("{x,y}/{0..1}.tar", ["x/0.tar", "x/1.tar", "y/0.tar", "y/1.tar"]),
    ],
)
def test_braces_are_those_of_a_shell(pattern, names):
    assert expand_braces(pattern) == names


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("a{1..2.tar", "has a brace without its partner"),
        ("a{{1..2}}.tar", "has a brace without its partner"),
        ("a{}.tar", "neither a range"),
        ("a{5..2}.tar", "neither a range"),
        ("a{x..z}.tar", "neither a range"),
        ("a{0..99999999999}.tar", "neither a range"),
        ("{0..9999}{0..9999}.tar", "names 100000000 files"),
    ],
)
def test_wrong_braces_are_one_line(pattern, says):
    assert says in one_line(expand_braces, pattern)


def test_photographs_are_read_in_place(discs, tmp_path):
    for shard in range(3):
        pack(
            tmp_path / f"pool-{shard:06d}.tar",
            [(f"./{shard}{n}.png", picture(40 * shard + n, (9 + n, 7))) for n in range(4)]
            + [(f"{shard}0.json", b"{}"), ("._00.png", b"of a Mac"), special("d", tarfile.DIRTYPE)],
        )
    found = pool(discs, tmp_path, "pool-{000000..000002}.tar")
    assert [i.id for i in found][:5] == [
        *(f"@0/pool-000000.tar/0{n}.png" for n in range(4)),
        "@0/pool-000001.tar/10.png",
    ]
    assert len(found) == 12
    for image in reversed(found):  # in any order
        shard, number = (int(c) for c in image.path.stem)
        values = image.read()
        assert values.shape == (9 + number, 7, 3)
        assert (values == 40 * shard + number).all()
        assert image.path == tmp_path / f"pool-{shard:06d}.tar" / f"{shard}{number}.png"
    assert unread_in_pool([PoolSource("pool-{000000..000002}.tar")], tmp_path) == {}
    both = pool(discs, tmp_path, "train", "pool-000001.tar")
    assert sum(i.id.startswith("@1/pool-000001.tar/") for i in both) == 4
    assert build_pool(
        discs, 0, [PoolSource("pool-{000000..000002}.tar", 5)], 0, tmp_path
    ) == build_pool(discs, 0, [PoolSource("pool-{000000..000002}.tar", 5)], 0, tmp_path)


def test_equal_names_in_two_folders_stay_apart(discs, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        pack(tmp_path / name / "0.tar", [("x.png", picture(ord(name)))])
    found = pool(discs, tmp_path, "{a,b}/0.tar")
    assert [i.id for i in found] == ["@0/a/0.tar/x.png", "@0/b/0.tar/x.png"]
    assert [i.read()[0, 0, 0] for i in found] == [97, 98]


def test_headers_are_read_once_and_again_when_the_file_changed(discs, tmp_path, monkeypatch):
    path, cache = pack(tmp_path / "p.tar", [("a.png", picture(1))]), tmp_path / "cache"
    first = pool(discs, tmp_path, "p.tar", cache=cache)
    with monkeypatch.context() as patch:
        patch.setattr(tarfile, "open", None)
        assert pool(discs, tmp_path, "p.tar", cache=cache) == first
    pack(path, [("b.png", picture(2)), ("c.png", picture(3))])
    assert [i.path.name for i in pool(discs, tmp_path, "p.tar", cache=cache)] == ["b.png", "c.png"]
    for kept in cache.iterdir():
        kept.write_text("{not a list")
    assert len(pool(discs, tmp_path, "p.tar", cache=cache)) == 2


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([("/etc/a.png", b"x")], "'/etc/a.png' points outside"),
        ([("../a.png", b"x")], "'../a.png' points outside"),
        ([("a\\..\\b.png", b"x")], "points outside"),
        ([("C:/a.png", b"x")], "'C:/a.png' points outside"),
        ([special("a.png", tarfile.SYMTYPE, "/etc/passwd")], "'a.png' is a link"),
        ([special("a.png", tarfile.LNKTYPE, "b.png")], "'a.png' is a link"),
        ([special("a.png", tarfile.FIFOTYPE)], "'a.png' is no plain file"),
        ([special("a.png", tarfile.CHRTYPE)], "'a.png' is no plain file"),
        ([("a\n.png", b"x")], "control characters"),
        ([("a.png", picture(1)), ("./a.png", picture(2))], "'a.png' is there twice"),
        ([("a.json", b"{}")], "holds no image"),
        ([], "holds no image"),
    ],
)
def test_hostile_members_are_one_line(tmp_path, members, says):
    pack(tmp_path / "p.tar", members)
    message = one_line(list_tars, "p.tar", tmp_path, None)
    assert says in message
    assert "p.tar" in message


def test_damaged_compressed_and_missing_files_are_one_line(tmp_path):
    whole = pack(tmp_path / "p.tar", [("a.png", picture(1)), ("b.png", picture(2) * 40)])
    content = whole.read_bytes()
    (tmp_path / "cut.tar").write_bytes(content[: content.index(b"b.png") + 900])
    (tmp_path / "noise.tar").write_bytes(b"x" * 3000)
    (tmp_path / "packed.tar").write_bytes(gzip.compress(content))
    for name in ("cut.tar", "noise.tar"):
        assert f"{name}: it is damaged or cut off" in one_line(list_tars, name, tmp_path, None)
    assert "it is compressed: unpack" in one_line(list_tars, "packed.tar", tmp_path, None)
    message = one_line(list_tars, "p{,1,2}.tar", tmp_path, None)
    assert "p1.tar does not exist (and 1 more)" in message


def test_what_is_no_image_is_named_when_it_is_read(discs, tmp_path):
    pack(tmp_path / "p.tar", [("a.png", b"no photograph"), ("b.png", picture(5)[:40])])
    a, b = pool(discs, tmp_path, "p.tar")
    assert "p.tar/a.png cannot be read (not an image file)" in one_line(a.read)
    assert "p.tar/b.png cannot be read" in one_line(b.read)
    (tmp_path / "p.tar").write_bytes(b"")
    assert "p.tar/a.png is cut off: copy p.tar again" in one_line(a.read)
    (tmp_path / "p.tar").unlink()
    assert "put p.tar back" in one_line(a.read)


def test_a_folder_may_be_called_like_a_tar_file(discs, tmp_path):
    folder = Path(tmp_path / "x.tar")
    folder.mkdir()
    (folder / "a.png").write_bytes(picture(3))
    assert [i.id for i in pool(discs, tmp_path, "x.tar")] == ["@0/a.png"]

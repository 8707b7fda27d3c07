"""Hashes of files: right, remembered while a file stays as it was, one line on failure."""

import hashlib
import os

import pytest

from fsslib.files import fingerprints
from fsslib.files.fingerprints import Hashed, changes, hash_file, hash_files, listing, read_listing
from tests.support.fakes import write
from tests.support.helpers import one_line

NAMES = ["a.jpg", "b.jpg", "sub/c.png"]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def root(tmp_path):
    for name in NAMES:
        write(tmp_path / "photos" / name, name.encode() * 1000)
    return tmp_path / "photos"


@pytest.fixture
def settled(monkeypatch):
    """Files count as old enough to be remembered at once."""
    monkeypatch.setattr(fingerprints, "RECENT_NS", -(10**12))


@pytest.fixture
def read(monkeypatch):
    """Names of the files that are read."""
    names, real = [], fingerprints._hash

    def spy(path):
        names.append(path.rpartition("/")[2])
        return real(path)

    monkeypatch.setattr(fingerprints, "_hash", spy)
    return names


def hashes(root, memory=None, names=NAMES):
    return [h.sha256 for h in hash_files(root, names, memory)]


def test_a_hash_is_sha256_of_the_content(root):
    expected = [sha256(name.encode() * 1000) for name in NAMES]
    assert hashes(root) == expected
    assert hash_file(root / "b.jpg") == expected[1]


def test_many_files_come_in_order_and_large_ones_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(fingerprints, "PART", 7)
    names = [f"{n}.jpg" for n in range(300)]
    for name in names:
        write(tmp_path / name, name.encode() * 5)
    assert hashes(tmp_path, None, names) == [sha256(n.encode() * 5) for n in names]


def test_links_to_a_file_share_its_key(root):
    os.link(root / "a.jpg", root / "hard.jpg")
    (root / "soft.jpg").symlink_to("a.jpg")
    found = hash_files(root, ["a.jpg", "hard.jpg", "soft.jpg", "b.jpg"])
    assert len({h.key for h in found}) == 2
    assert found[0] == found[1] == found[2]


def test_nothing_is_read_again_while_nothing_changes(root, tmp_path, settled, read):
    first = hashes(root, tmp_path / "memory.txt")
    assert sorted(read) == ["a.jpg", "b.jpg", "c.png"]
    read.clear()
    assert hashes(root, tmp_path / "memory.txt") == first
    assert read == []


def edit_and_restore_the_time(path):
    status = path.stat()
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace_by_a_file_of_the_same_size_and_time(path):
    status, other = path.stat(), path.with_name("other")
    other.write_bytes(b"x" * status.st_size)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"longer" * 2000),
        edit_and_restore_the_time,
        replace_by_a_file_of_the_same_size_and_time,
    ],
)
def test_a_changed_file_is_read_again_and_no_other(root, tmp_path, settled, read, change):
    before = hashes(root, tmp_path / "memory.txt")
    read.clear()
    change(root / "b.jpg")
    after = hashes(root, tmp_path / "memory.txt")
    assert read == ["b.jpg"]
    assert after == [before[0], sha256((root / "b.jpg").read_bytes()), before[2]]


def test_a_file_that_just_changed_is_not_remembered(root, tmp_path, read):
    hashes(root, tmp_path / "memory.txt")
    read.clear()
    hashes(root, tmp_path / "memory.txt")
    assert len(read) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"",
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw.replace(b"\t", b" "),
        lambda raw: raw.replace(sha256(b"a.jpg" * 1000)[:8].encode(), b"00000000"),
        lambda raw: b"\xff\x00" + raw,
        lambda raw: b"fsslib-hashes 0" + raw[15:],
    ],
)
def test_a_damaged_memory_is_made_anew(root, tmp_path, settled, read, damage):
    memory = tmp_path / "memory.txt"
    first = hashes(root, memory)
    whole = memory.read_bytes()
    memory.write_bytes(damage(whole))
    read.clear()
    assert hashes(root, memory) == first
    assert len(read) == 3
    assert memory.read_bytes() == whole


def test_what_was_hashed_before_an_error_is_kept(tmp_path, settled, read, monkeypatch):
    names = [f"{n:03d}.jpg" for n in range(100)]
    for name in names:
        write(tmp_path / "photos" / name, name.encode())
    spy, last = fingerprints._hash, names[-1]

    def fail_at_the_last(path):
        return 1 / 0 if path.endswith(last) else spy(path)

    monkeypatch.setattr(fingerprints, "_hash", fail_at_the_last)
    with pytest.raises(ZeroDivisionError):
        hash_files(tmp_path / "photos", names, tmp_path / "memory.txt")
    monkeypatch.setattr(fingerprints, "_hash", spy)
    read.clear()
    hashes(tmp_path / "photos", tmp_path / "memory.txt", names)
    assert last in read
    assert len(read) <= 32  # threads take up to 32 files at a time


def test_a_memory_that_cannot_be_written_is_no_error_and_nothing_is_left(root, tmp_path, settled):
    write(tmp_path / "file", b"")
    assert len(hashes(root, tmp_path / "file" / "memory.txt")) == 3
    hashes(root, tmp_path / "memory.txt")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "memory.txt", "photos"]


def test_what_a_killed_process_left_is_removed_after_an_hour(root, tmp_path, settled):
    old, young = tmp_path / ".memory.txt.1.part", tmp_path / ".memory.txt.2.part"
    for path in (old, young):
        write(path, b"half")
    os.utime(old, (0, 0))
    hashes(root, tmp_path / "memory.txt")
    assert (old.exists(), young.exists()) == (False, True)


def test_names_of_any_bytes(tmp_path, settled, read):
    names = ["two\nlines.jpg", "tab\t.jpg", "\x85.jpg", os.fsdecode(b"caf\xe9.jpg")]
    for name in names:
        write(tmp_path / "photos" / name, b"x")
    memory = tmp_path / "memory.txt"
    first = hashes(tmp_path / "photos", memory, names)
    read.clear()
    assert hashes(tmp_path / "photos", memory, names) == first
    assert read == ["two\nlines.jpg"]  # a line each: it is hashed again every time


def test_progress_counts_what_is_hashed_alone(root, tmp_path, settled):
    seen = []
    hash_files(root, NAMES[:1], tmp_path / "memory.txt")
    hash_files(root, NAMES, tmp_path / "memory.txt", lambda *counts: seen.append(counts))
    assert seen == [(1, 2), (2, 2)]


def test_missing_unreadable_and_endless_files_are_one_line(root):
    assert one_line(hash_files, root, ["gone.jpg"]).endswith(
        "gone.jpg does not exist (any more): run the same command again"
    )
    os.mkfifo(root / "pipe.jpg")
    assert "pipe.jpg is not a regular file" in one_line(hash_files, root, ["pipe.jpg"])
    (root / "loop.jpg").symlink_to("loop.jpg")
    assert "loop.jpg cannot be read (Too many" in one_line(hash_files, root, ["loop.jpg"])
    assert "rename it" in one_line(hash_files, root, ["a\0b.jpg"])


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (FileNotFoundError(2, "No such file"), "does not exist (any more): run the same command"),
        (PermissionError(13, "Permission denied"), "cannot be read (Permission denied): replace"),
    ],
)
def test_a_file_that_vanishes_or_fails_while_it_is_read_is_one_line(root, monkeypatch, error, says):
    def fail(*given, **named):
        raise error

    monkeypatch.setattr(fingerprints, "open", fail, raising=False)
    assert says in one_line(hash_files, root, NAMES)


def test_a_listing_is_read_back(root):
    text = "# a comment\n" + listing(NAMES, hash_files(root, NAMES))
    assert read_listing(text) == {n: sha256(n.encode() * 1000) for n in NAMES}
    assert listing(["a b.jpg"], [Hashed("00", (0, 0))]) == "00  a b.jpg\n"


def test_changes_name_what_is_gone_new_or_other():
    then = {"a": "1", "b": "2", "c": "3", "d": "4"}
    now = {"b": "2", "c": "5", "d": None, "e": "6"}
    assert changes(then, now) == ["a is gone", "c changed", "e is new"]
    assert changes(then, then) == []

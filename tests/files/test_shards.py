"""Work in shards: what was interrupted goes on and ends in the same bytes."""

import pytest

from fsslib.files.shards import file_digest, scratch_key, shard_files, split_shards, write_shards
from fsslib.files.storage import write_bytes

ITEMS = list(range(23))


class Writer:
    """Writes the sum of squares of each shard, and dies in shard `fails_at`."""

    def __init__(self, fails_at=None):
        self.fails_at, self.written = fails_at, []

    def __call__(self, path, items):
        if int(path.stem) == self.fails_at:
            # As a killed writer leaves it: no clean-up ran.
            path.with_name(f".{path.name}.part").write_bytes(b"half")
            raise KeyboardInterrupt
        self.written.append(int(path.stem))
        write_bytes(path, str(sum(i * i for i in items)).encode())


def content(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def run(base, writer, skipped=None):
    shards = split_shards(ITEMS, 5)
    write_shards(shards, base / "scratch", base / "new" / "out", ".bin", writer, skipped)
    return content(base / "new" / "out")


def test_shards_are_consecutive_and_hold_every_item_once():
    shards = split_shards(ITEMS, 5)
    assert [len(s) for s in shards] == [5, 5, 5, 5, 3]
    assert [i for shard in shards for i in shard] == ITEMS
    assert split_shards([], 5) == []


def test_a_run_interrupted_in_shard_2_resumes_to_the_same_bytes(tmp_path):
    whole = run(tmp_path / "a", Writer())
    assert list(whole) == [f"{n:05d}.bin" for n in range(5)]

    skipped = []
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", Writer(fails_at=2))
    assert not (tmp_path / "b" / "new").exists()
    second = Writer()
    resumed = run(tmp_path / "b", second, skipped.append)
    assert resumed == whole
    assert second.written == [2, 3, 4]
    assert skipped == [5, 5]


def test_nothing_temporary_remains(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Writer(fails_at=1))
    # Another process, killed over a shard that this one has finished since.
    (tmp_path / "scratch" / ".00000.bin.part").write_bytes(b"half")
    run(tmp_path, Writer())
    assert [p.name for p in tmp_path.iterdir()] == ["new"]
    assert [p.name for p in tmp_path.rglob("*") if ".part" in p.name] == []


def test_an_older_output_stays_until_all_is_there_and_is_replaced_whole(tmp_path):
    stale = tmp_path / "new" / "out" / "00009.bin"
    write_bytes(stale, b"from a larger run")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Writer(fails_at=4))
    assert stale.exists()
    assert "00009.bin" not in run(tmp_path, Writer())


def test_interrupted_while_replacing_the_output_loses_nothing(tmp_path, monkeypatch):
    whole = run(tmp_path / "a", Writer())
    with monkeypatch.context() as patch:
        patch.setattr("fsslib.files.shards.shutil.move", lambda *_: exec("raise KeyboardInterrupt"))
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "b", Writer())
    again = Writer()
    assert run(tmp_path / "b", again) == whole
    assert again.written == []


def test_files_of_a_folder_come_in_the_order_of_their_numbers(tmp_path):
    for name in ("00010.h5", "00002.h5", "00001.zip", ".00003.h5.part", "notes.h5"):
        (tmp_path / name).touch()
    assert [p.name for p in shard_files(tmp_path, ".h5")] == ["00002.h5", "00010.h5"]
    assert shard_files(tmp_path / "absent", ".h5") == []


def test_scratch_key_follows_every_part_and_not_the_order_of_keys():
    key = scratch_key("extract", {"a": 1, "b": 2}, None)
    assert key == scratch_key("extract", {"b": 2, "a": 1}, None)
    others = [
        scratch_key("extract", {"a": 1, "b": 3}, None),
        scratch_key("annotate", {"a": 1, "b": 2}, None),
        scratch_key("extract", {"a": 1, "b": 2}),
        scratch_key("extract", {"a": 1, "b": 2}, 0),
        scratch_key("extract", {"a": 1, "b": "2"}, None),
    ]
    assert len({key, *others}) == 6


def test_file_digest_is_sha256_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_digest(tmp_path / "a") == expected

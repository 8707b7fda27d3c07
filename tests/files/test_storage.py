"""Files that are whole or absent, and HDF5 files that say so."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from fsslib.files import storage
from fsslib.files.storage import (
    atomic_path,
    create_hdf5,
    open_hdf5,
    read_hdf5,
    read_json,
    read_text,
    write_bytes,
    write_json,
)
from tests.support.helpers import one_line

REMEDY = "run the stage 'x' again"
KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from fsslib.files.storage import create_hdf5
with create_hdf5(Path(sys.argv[1]), "rows", 1) as file:
    file.put("values", np.arange(2.0))
    file._file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def make(path, kind="rows", version=1):
    with create_hdf5(path, kind, version) as file:
        file.put("values", np.arange(100.0))
    return path


def read(path):
    with read_hdf5(path, "rows", 1, REMEDY) as file:
        return file["values"][:]


def test_written_bytes_replace_the_former_content_and_leave_nothing_else(tmp_path):
    path = tmp_path / "new" / "folder" / "a.txt"
    write_bytes(path, b"one")
    write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_keeps_the_former_content_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_bytes(path, b"former")

    def fail():
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == b"former"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_keeps_the_former_content(tmp_path):
    path = make(tmp_path / "a.h5")

    def interrupt():
        with create_hdf5(path, "rows", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert read(path).sum() == 4950
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_write_shows_no_file_and_the_next_one_clears_up(tmp_path):
    path = tmp_path / "a.h5"
    root = Path(__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", KILLED, path], cwd=root, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not path.exists()
    assert list(tmp_path.iterdir()) == [tmp_path / ".a.h5.part"]
    left = (tmp_path / ".a.h5.part").rename(tmp_path / "b.h5")
    assert one_line(open_hdf5, left, "rows", 1, REMEDY).endswith(f": {REMEDY}")
    (tmp_path / "b.h5").rename(tmp_path / ".a.h5.part")
    make(path)
    assert list(tmp_path.iterdir()) == [path]


def test_json_keeps_the_order_of_keys_and_ends_in_a_newline(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"b": 1, "a": "é"})
    assert path.read_text(encoding="utf-8") == '{\n  "b": 1,\n  "a": "é"\n}\n'
    assert read_json(path, REMEDY) == {"b": 1, "a": "é"}


def test_json_refuses_not_a_number_and_keeps_the_former_file(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, [1])
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, [float("nan")])
    assert json.loads(path.read_text()) == [1]


@pytest.mark.parametrize("content", [None, b"", b'{"a": ', b"\xff\xfe", b"[1] 2"])
def test_unreadable_json_is_one_line_with_the_remedy(tmp_path, content):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    message = one_line(read_json, path, REMEDY)
    assert message.startswith(str(path))
    assert message.endswith(REMEDY)


def test_the_same_content_gives_the_same_bytes(tmp_path):
    first = make(tmp_path / "a.h5").read_bytes()
    os.utime(tmp_path, (0, 0))
    assert make(tmp_path / "b.h5").read_bytes() == first


def without_complete(path):
    with h5py.File(path, "r+") as file:
        del file.attrs["complete"]


def foreign(path):
    path.unlink()
    make(path, kind="other")


def older(path):
    path.unlink()
    make(path, version=0)


def no_marks(path):
    with h5py.File(path, "w") as file:
        file["values"] = [1.0]


def truncated(path):
    path.write_bytes(path.read_bytes()[:-50])


def garbage(path):
    path.write_bytes(b"not HDF5 at all")


def empty(path):
    path.write_bytes(b"")


def absent(path):
    path.unlink()


def flipped(path):
    content = bytearray(path.read_bytes())
    content[content.index(np.float64(50).tobytes())] ^= 1
    path.write_bytes(content)


def flipped_kind(path):
    content = bytearray(path.read_bytes())
    assert content.count(b"rows") == 1  # in the attribute itself, not in a heap
    content[content.index(b"rows")] ^= 1
    path.write_bytes(content)


def another_layout(path):
    with create_hdf5(path, "rows", 1) as file:
        file.put("other", np.ones(1))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (without_complete, "is incomplete, its writer was interrupted"),
        (foreign, "holds 'other', expected 'rows'"),
        (older, "has layout 0, this code reads 1"),
        (no_marks, "is incomplete"),
        (truncated, "is not a readable HDF5 file"),
        (garbage, "is not a readable HDF5 file"),
        (empty, "is not a readable HDF5 file"),
        (absent, "does not exist"),
        (flipped, "is damaged"),
        (flipped_kind, "is damaged"),
        (another_layout, "is damaged"),
    ],
)
def test_bad_hdf5_is_refused_in_one_line_with_the_remedy(tmp_path, damage, says):
    path = make(tmp_path / "a.h5")
    assert read(path).tolist() == list(range(100))
    damage(path)
    message = one_line(read, path)
    assert message.startswith(f"{path} {says}")
    assert message.endswith(f": {REMEDY}")


def test_a_refused_file_is_closed_again(tmp_path):
    path = make(tmp_path / "a.h5", kind="other")
    one_line(read, path)
    with h5py.File(path, "r+") as file:  # fails while another handle is open
        file.attrs["kind"] = "rows"
    assert len(read(path)) == 100


def test_text_is_kept_at_fixed_length_and_older_text_is_read(tmp_path):
    path = tmp_path / "a.h5"
    with create_hdf5(path, "rows", 1) as file:
        file.text("unit", "\u00b5m")
    with h5py.File(path, "r+") as file:
        file.attrs["older"] = "variable"
    with open_hdf5(path, "rows", 1, REMEDY) as file:
        assert file.attrs.get_id("kind").dtype.kind == "S"
        found = [read_text(file, name) for name in ("kind", "unit", "older", "absent")]
    assert found == ["rows", "\u00b5m", "variable", ""]


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from fsslib.files.storage import create_hdf5
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
rows = np.ones((1000, 64))
steps = 0
try:
    with create_hdf5(Path(sys.argv[1]), "rows", 1) as file:
        for steps in range(100):
            file.append("values", rows, 512)
except OSError as error:
    print(error.errno, error.filename, steps < 20)
"""


def test_a_disk_that_refuses_stops_the_writer_soon_with_one_error(tmp_path):
    path = make(tmp_path / "a.h5")
    root = Path(__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, path], cwd=root, check=True, capture_output=True, text=True
    )
    assert ended.stdout == f"{errno.EFBIG} {tmp_path}/.a.h5.part True\n"
    assert ended.stderr == ""
    assert list(tmp_path.iterdir()) == [path]
    assert read(path).sum() == 4950


def test_a_write_that_fails_names_the_file(tmp_path):
    def fill(path):
        with atomic_path(path):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space") as caught:
        fill(tmp_path / "a.txt")
    assert caught.value.filename == str(tmp_path / "a.txt")


def test_large_arrays_are_cut_into_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "CHUNK_BYTES", 240)
    values = np.arange(100.0).reshape(50, 2)
    with create_hdf5(tmp_path / "a.h5", "rows", 1) as file:
        file.put("values", values)
        file.put("wide", np.ones((3, 100)))
        file.put("empty", np.ones((0, 4)))
    with read_hdf5(tmp_path / "a.h5", "rows", 1, REMEDY) as file:
        assert (file["values"].chunks, file["wide"].chunks) == ((15, 2), (1, 100))
        assert np.array_equal(file["values"][:], values)
        assert file["empty"].shape == (0, 4)


def test_appended_rows_are_those_of_one_array(tmp_path):
    parts = [np.arange(n * 3.0).reshape(n, 3) for n in (1, 7, 2)]
    with create_hdf5(tmp_path / "a.h5", "rows", 1) as file:
        for part in parts:
            file.append("values", part, 4)
    with read_hdf5(tmp_path / "a.h5", "rows", 1, REMEDY) as file:
        assert np.array_equal(file["values"][:], np.concatenate(parts))
        assert file["values"].fletcher32

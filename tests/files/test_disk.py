"""Room on the disk, asked for before a long write."""

import shutil
from collections import namedtuple

import pytest

from fsslib.files.disk import folder_bytes, require_space
from tests.support.helpers import one_line

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def free(monkeypatch):
    """Set what is free; remembers which folder was asked about."""
    asked = []

    def put(number):
        monkeypatch.setattr(
            shutil, "disk_usage", lambda path: asked.append(path) or Usage(0, 0, number)
        )
        return asked

    return put


def test_a_write_that_fits_is_told(tmp_path, free):
    asked = free(25 * 10**9)
    said = require_space(tmp_path / "not" / "yet", 1_234_000_000, "lower k")
    assert said == f"writing about 1.23 GB to {tmp_path}/not/yet, 25 GB are free"
    assert asked == [tmp_path]


def test_a_write_that_does_not_fit_is_refused_with_the_parameter_that_helps(tmp_path, free):
    free(999)
    message = one_line(require_space, tmp_path, 402 * 10**9, "set dense_features to false")
    assert message == (
        f"{tmp_path} needs about 402 GB, 0.0 MB are free: free space, or set dense_features to "
        "false"
    )


def test_the_last_byte_still_fits(tmp_path, free):
    free(1000)
    require_space(tmp_path, 1000, "lower k")
    one_line(require_space, tmp_path, 1001, "lower k")


def test_folder_bytes_are_those_of_its_files(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").write_bytes(b"12")
    (tmp_path / "deeper").mkdir()
    assert folder_bytes(tmp_path) == 7
    assert folder_bytes(tmp_path / "absent") == 0

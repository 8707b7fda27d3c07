"""The budget of evaluation: what is asked for, else half of what machine and container leave."""

from pathlib import Path

import pytest

from stages.support import memory
from stages.support.memory import _left_in_groups, memory_budget
from stages.support.params import (
    Runtime,
)

GB = 2**30


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(f"{text}\n")


@pytest.fixture
def membership(tmp_path):
    def write(text):
        path = tmp_path / "cgroup"
        path.write_text(text)
        return path

    return write


def test_version_2_takes_the_cache_of_files_as_free(tmp_path, membership):
    group(
        tmp_path / "g/user/job", memory_max=str(3 * GB), memory_current=str(2 * GB),
        memory_stat=f"anon 5\ninactive_file {GB}",
    )  # fmt: skip
    assert list(_left_in_groups(membership("0::/user/job\n"), tmp_path / "g")) == [2 * GB]


def test_version_1(tmp_path, membership):
    group(
        tmp_path / "g/memory/job", memory_limit_in_bytes=str(2 * GB),
        memory_usage_in_bytes=str(GB), memory_stat="inactive_file 7\ntotal_inactive_file 0",
    )  # fmt: skip
    found = membership("4:cpu,cpuacct:/\n3:memory:/job\n0::/\n")
    assert list(_left_in_groups(found, tmp_path / "g")) == [GB]


def test_no_limit_no_group_and_no_linux(tmp_path, membership):
    group(tmp_path / "g/a", memory_max="max", memory_current="5", memory_stat="inactive_file 0")
    assert list(_left_in_groups(membership("0::/a\n"), tmp_path / "g")) == []
    assert list(_left_in_groups(membership("0::/b\n"), tmp_path / "g")) == []
    assert list(_left_in_groups(tmp_path / "absent", tmp_path / "g")) == []


def test_the_smaller_of_machine_and_container_halved(monkeypatch):
    runtime = Runtime(device="cpu", workers=0, memory_gb=None)
    monkeypatch.setattr(memory, "_available", lambda: 8 * GB)
    monkeypatch.setattr(memory, "_left_in_groups", lambda: iter([6 * GB, 2 * GB]))
    assert memory_budget(runtime) == GB
    monkeypatch.setattr(memory, "_left_in_groups", lambda: iter([]))
    assert memory_budget(runtime) == 4 * GB
    assert memory_budget(runtime.model_copy(update={"memory_gb": 0.5})) == GB // 2

"""What `auto` becomes, and the warning where bfloat16 is slow."""

import pytest

from fsslib.encoders import running as encoding
from stages.support.params import (
    Runtime,
)
from stages.support.precision import run_precision

CPU = Runtime(device="cpu", workers=0, memory_gb=None)


@pytest.fixture
def flags(tmp_path, monkeypatch):
    """Let the CPU have these flags."""

    def put(text):
        (tmp_path / "cpuinfo").write_text(text)
        monkeypatch.setattr(encoding, "CPU_FLAGS", tmp_path / "cpuinfo")

    return put


FAST, SLOW = "flags : fpu avx512f avx512_bf16\n", "flags : fpu avx2 avx512f avx512bw\n"


@pytest.mark.parametrize(
    ("flag_line", "name", "expected"),
    [
        (FAST, "auto", "bfloat16"),
        (SLOW, "auto", "float32"),
        (FAST, "float32", "float32"),
        (SLOW, "float32", "float32"),
        (FAST, "bfloat16", "bfloat16"),
    ],
)
def test_the_precision_is_resolved_in_silence(flags, capsys, flag_line, name, expected):
    flags(flag_line)
    assert run_precision(name, CPU) == expected
    assert capsys.readouterr() == ("", "")


def test_bfloat16_where_it_is_slow_is_done_with_one_line_of_warning(flags, capsys, monkeypatch):
    flags(SLOW)
    assert run_precision("bfloat16", CPU, "training.precision") == "bfloat16"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("training.precision: bfloat16 is not computed by this CPU and takes")
    assert line.endswith("about 15 times as long as float32: set training.precision to auto")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    run_precision("bfloat16", CPU)
    assert capsys.readouterr().err == ""


def test_float32_asks_for_no_device():
    """`annotate` may need none: the features are kept."""
    gone = Runtime(device="cuda", workers=0, memory_gb=None)
    assert run_precision("float32", gone) == "float32"

"""Commands say which files of a folder of photographs they do not read."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from stages.support.inputs import say_unread_in_pool
from stages.support.params import PoolParams
from stages.tools import predict
from tests.support.fakes import jpeg_bytes, write


def test_predict_says_it_once_for_each_folder(tmp_path: Path) -> None:
    for folder in ("one", "two", "clean"):
        write(tmp_path / folder / "a.jpg", jpeg_bytes(1))
    write(tmp_path / "one/notes.txt", b"x")
    write(tmp_path / "two/clip.gif", b"x")
    folders = [str(tmp_path / f) for f in ("one", "two", "one", "clean")]
    given = ["--classes", str(tmp_path / "c"), "--model", str(tmp_path / "none"), "--out",
             str(tmp_path / "out"), "--query", *folders]  # fmt: skip
    said = CliRunner().invoke(predict.app, given).stderr.splitlines()
    assert said[:2] == [
        f"{tmp_path}/one: 1 file was not read: notes.txt",
        f"{tmp_path}/two: 1 file was not read: clip.gif",
    ]
    assert [line.startswith("error: ") for line in said[2:]] == [True]  # there is no such model


def test_folders_of_the_pool_are_told_with_their_sub_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "pool/deep/notes.txt", b"x")
    say_unread_in_pool(PoolParams(unlabeled=["train", "pool"], seed=0))
    assert capsys.readouterr().err == f"{tmp_path}/pool: 1 file was not read: deep/notes.txt\n"

"""The wheel and the source distribution: what is in them, and `fss` outside of any checkout.

The wheel is built from the unpacked source distribution, and installed into an empty environment
that sees this one's other packages. `test_an_empty_environment...` installs them, too (nightly).
"""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from functools import cache
from pathlib import Path

import pytest

import fsslib
from tests.support.fakes import png_bytes, write
from tests.support.project import ROOT
from tests.support.scenes import scene

NAME = f"fsslib-{fsslib.__version__}"
SECRETS = (".dvc/config.local", ".env", "data/mine/a.jpg", "docs/.DS_Store", "results/report.html")
PROBE = """
import sys
from pathlib import Path
from typer.testing import CliRunner
import fsslib
from fsslib.commands.tools.fss import app
assert Path(fsslib.__file__).is_relative_to(sys.prefix), fsslib.__file__
try:
    import stages
    raise SystemExit(f"stages is {stages}")
except ModuleNotFoundError:
    pass
def fss(*words):
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, (words, shown.output, shown.exception)
    return shown.output
ask = "--support ant.png mask.png --query ant.png --out found --save-classes ants.safetensors"
assert "found/predictions.json" in fss("predict", *ask.split())
assert "calibrated, the default" in fss("models")
assert 'names: ["object"]' in fss("info", "ants.safetensors")
assert "--labels" in fss("data", "folder", "--help")
"""


@cache
def tracked() -> tuple[str, ...]:
    """Files of the project: what git tracks, and code that is not added yet."""
    found = ""
    for words in (["--cached"], ["--others", "--exclude-standard", "--", "fsslib", "stages"]):
        command = ["git", "ls-files", *words]
        found += subprocess.run(
            command, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
    return tuple(name for name in found.splitlines() if (ROOT / name).is_file())


def build(kind, folder):
    """Path of what setuptools builds in a folder, without network."""
    code = f"from setuptools import build_meta; build_meta.build_{kind}('dist')"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (made,) = (folder / "dist").glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    for name in (*tracked(), *SECRETS):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name in SECRETS:
            (folder / name).write_text("nobody else's")
        else:
            shutil.copy(ROOT / name, folder / name)
    return build("sdist", folder)


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as file:
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # since 3.11.4
        file.extractall(folder, **safe)
    return build("wheel", folder / NAME)


def test_the_source_distribution_holds_the_project_and_nothing_else(sdist):
    with tarfile.open(sdist) as file:
        held = {m.name.removeprefix(f"{NAME}/") for m in file.getmembers() if m.isfile()}
    written = {"PKG-INFO", "setup.cfg"} | {n for n in held if n.startswith("fsslib.egg-info/")}
    folders = {name for name in tracked() if name.startswith("data/") and name.count("/") > 1}
    assert held - written == set(tracked()) - folders  # .gitignore files that DVC writes itself
    assert not held & set(SECRETS)


def test_a_wheel_installs_one_name_with_all_code_and_its_data(wheel):
    with zipfile.ZipFile(wheel) as file:
        held = {name for name in file.namelist() if not name.startswith(f"{NAME}.dist-info/")}
        told = file.read(f"{NAME}.dist-info/entry_points.txt").decode()
        assert file.read(f"{NAME}.dist-info/top_level.txt").decode().split() == ["fsslib"]
    ours = [name for name in tracked() if name.startswith(("fsslib/", "stages/"))]
    assert held == {name.replace("stages/", "fsslib/commands/", 1) for name in ours}
    assert "fss = fsslib.commands.tools.fss:main" in told


def environment_of(folder, *pip):
    """An environment in a folder; `run` starts a program of it elsewhere."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    install = [sys.executable, "-m", "pip", "--python", str(folder / "bin/python"), "install"]
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, *quiet, *map(str, pip)], env=clean, check=True)

    def run(program, *words, cwd, code=0):
        done = subprocess.run(
            [str(folder / "bin" / program), *words],
            cwd=cwd, env=clean, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def put_photograph(folder):
    image, mask = scene(3, (1,), (72, 96))
    write(folder / "ant.png", png_bytes(image, palette=False))
    write(folder / "mask.png", png_bytes((mask == 1).astype("uint8")))


@pytest.mark.slow
def test_the_installed_commands_work_outside_of_a_checkout(wheel, tmp_path):
    run = environment_of(tmp_path / "env", "--no-deps", "--no-index", wheel)
    (packages,) = (tmp_path / "env/lib").glob("python*/site-packages")
    # A path in a .pth file is searched, but its own .pth files, the editable fsslib, are not read.
    (packages / "others.pth").write_text(str(Path(pytest.__file__).parents[1]))
    put_photograph(tmp_path)
    assert run("fss", "--version", cwd=tmp_path).stdout == f"fsslib {fsslib.__version__}\n"
    said = run("fss", "sweep", "table3", cwd=tmp_path, code=1).stderr
    assert said.startswith(f"error: no params.yaml and no dvc.yaml in {tmp_path}: 'fss sweep' runs")
    assert said.count("\n") == 1
    run("python", "-c", PROBE, cwd=tmp_path)


@pytest.mark.nightly
def test_an_empty_environment_gets_all_that_predict_needs(wheel, tmp_path):
    run = environment_of(tmp_path / "env", wheel)
    put_photograph(tmp_path)
    run("python", "-c", PROBE, cwd=tmp_path)

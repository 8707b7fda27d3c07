"""A copy of the project with tiny scenes, whose stages run in seconds."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
TINY = {
    "folds": [0, 1],
    "seeds": [0, 1],
    "episodes": 6,
    "shots": [1, 2],
    "min_pixels": 64,
    "k": 2,
    "scenes": {"train": 40, "val": 40, "size": 64, "seed": 0},
}
TINY_TRAINING = {
    "iterations": 2,
    "pairs": 1,
    "pool_images": 2,
    "crop": 48,
    "min_pixels": 16,
    "precision": "float32",
}


class Project:
    """A copy of the project in its own git repository."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, Path(os.devnull)
        folder.mkdir(parents=True, exist_ok=True)
        names = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        for name in names:
            if name.startswith(("tests/", "docs/", "results/", "dvc.lock")):
                continue
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        self.put(**TINY)
        self.set_training(**TINY_TRAINING)
        self.run("git", "init", "-q")
        self.commit()

    def fake_stages(self) -> Path:
        """Replace all stages but `fingerprint` by `fake_stage.py`; returns the file of what ran."""
        shutil.copy(ROOT / "tests/support/fake_stage.py", self.folder)
        path = self.folder / "dvc.yaml"
        real = r"python -m stages\.(?!fingerprint)(\w+)( --fold)?"
        path.write_text(re.sub(real, r"python fake_stage.py \1", path.read_text()))
        self.log = self.folder.parent / "fake.log"
        self.log.touch()
        self.commit()
        return self.log

    def finish_with_fakes(self) -> None:
        """Run the whole pipeline once, its stages faked, and commit what it made."""
        self.fake_stages()
        self.run("dvc", "repro", "--quiet")
        self.commit()

    def commit(self) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "--allow-empty", "-m", "state")

    def _edit(self, change) -> None:
        yaml, path = YAML(), self.folder / "params.yaml"
        content = yaml.load(path.read_text(encoding="utf-8"))
        change(content)
        with path.open("w", encoding="utf-8") as stream:
            yaml.dump(content, stream)

    def put(self, **values) -> None:
        self._edit(lambda content: content.update(values))

    def set_training(self, **values) -> None:
        self._edit(lambda content: content["training"].update(values))

    def environment(self) -> dict[str, str]:
        """Of every command in the project: this interpreter's programs, one thread, an author."""
        binaries = Path(sys.executable).parent
        environment = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}"}
        environment.pop("PYTHONPATH", None)  # the copy's own code
        for role in ("AUTHOR", "COMMITTER"):
            environment |= {f"GIT_{role}_NAME": "t", f"GIT_{role}_EMAIL": "t@example.org"}
        return {**environment, "OMP_NUM_THREADS": "1", "FAKE_LOG": str(self.log)}

    def enter(self, monkeypatch) -> None:
        """Make this test's process one that runs in the project."""
        monkeypatch.chdir(self.folder)
        for name, value in self.environment().items():
            monkeypatch.setenv(name, value)

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            capture_output=True,
            text=True,
            env=self.environment(),
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def repro(self, *arguments: str) -> "set[str]":
        """Run `dvc repro`; the names of the stages that ran or came from the run cache.

        `fingerprint` is left out, since it always runs.
        """
        text = self.run("dvc", "repro", *arguments)
        names = re.findall(r"Running stage '([^']+)'|Stage '([^']+)' is cached", text)
        return {(ran or cached).split("@")[0] for ran, cached in names} - {"fingerprint"}

    def metrics(self) -> dict:
        return json.loads((self.folder / "results/metrics.json").read_text(encoding="utf-8"))

"""Killing a stage, or a whole `dvc repro`, at random times and seeing what it leaves behind."""

import contextlib
import hashlib
import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support.project import Project

FOLD = 0
SHARD_IMAGES = 8
OUTPUTS = {
    "extract": ["data/extract"],
    "cluster": [f"data/cluster/{FOLD}", f"results/folds/{FOLD}/clusters.png"],
    "annotate": [f"data/annotate/{FOLD}", f"results/folds/{FOLD}/pseudo.png"],
    "train": [
        f"data/train/{FOLD}/model.safetensors",
        f"data/train/{FOLD}/live/plots/metrics",
        f"results/folds/{FOLD}/training.png",
    ],
    "index": [f"data/index/{FOLD}"],
}
"""What each stage that is killed writes."""
ORDER = ("prepare", "extract", "collect", "cluster", "annotate", "train", "index")
"""Stages up to the last of them."""
ALL_FOLDS = ("prepare", "extract", "collect")
GROWING = (f"data/train/{FOLD}/live/", f"results/folds/{FOLD}/training.png")
"""Curves, which grow row by row, and the picture, drawn anew: whole when the training is."""
TRAINING = {"iterations": 10, "checkpoint": 4, "pairs": 2}
REPRO = "repro"
"""In place of a stage: `dvc repro`."""
TIMES = "timing.json"
"""The one file of a run that two undisturbed runs do not write alike."""
KILL_WITHIN = 0.5
"""Of the time of an undisturbed `dvc repro`: a kill comes at most that late after each start."""
TICK = 0.002
"""Seconds between looks at the folder while waiting for the first file."""


@dataclass
class Tally:
    """What became of one stage's kills.

    Attributes:
        kills: processes that were killed.
        reruns: undisturbed runs after them; there may be several kills before one.
        completed: reruns that ended with exit code 0.
        same_bytes: completed reruns after which every file is what it was without any kill.
        left_behind: files that are there after a rerun and should not be.
        torn: files found under their final name after a kill that were not whole.
        writing: kills while work lay in `.scratch` or outputs were there, the others came earlier;
            of `dvc repro`, kills while a stage was running.
        locks: kills of `dvc repro` that left DVC's own record of locks empty, which DVC does not
            read; `make repro` deletes it (docs/reliability.md).
    """

    kills: int = 0
    reruns: int = 0
    completed: int = 0
    same_bytes: int = 0
    left_behind: int = 0
    torn: int = 0
    writing: int = 0
    locks: int = 0

    @property
    def passed(self) -> bool:
        """Whether nothing was lost, changed or left behind."""
        kept = self.reruns == self.completed == self.same_bytes
        return kept and not self.left_behind and not self.torn


@dataclass
class Victim:
    """A tiny project whose stages are killed.

    Attributes:
        project: a copy of this project with tiny scenes.
        temporary: folder for temporary files of the stages (TMPDIR), else empty.
        truth: path -> digest of every file, as undisturbed runs left them.
        seconds: until the first file was written and until the end, of each stage.
    """

    project: Project
    temporary: Path
    truth: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, last: str = "index") -> "Victim":
        """Make the project and run its stages up to `last`, or `REPRO`, without disturbing them."""
        temporary = folder / "tmp"
        temporary.mkdir(parents=True)
        victim = cls(Project(folder / "project"), temporary)
        victim.project.put(shard_images=SHARD_IMAGES, folds=[FOLD])
        victim.project.set_training(**TRAINING)
        victim.project.commit()
        for stage in [REPRO] if last == REPRO else ORDER[: ORDER.index(last) + 1]:
            victim.run(stage)
        victim.truth = victim.digests()
        return victim

    def run(self, stage: str) -> None:
        """Run a stage undisturbed and remember its times."""
        started = time.monotonic()
        process = self.start(stage)
        first = self.wait_for_file(process, stage)
        assert process.wait() == 0, f"{stage} failed without being killed"
        end = time.monotonic() - started
        self.seconds[stage] = (end if first is None else first - started, end)

    def start(self, stage: str) -> "subprocess.Popen[bytes]":
        """Start a stage in a process group of its own."""
        command = ["dvc", "repro"] if stage == REPRO else ["python", "-m", f"stages.{stage}"]
        if stage not in (*ALL_FOLDS, REPRO):
            command += ["--fold", str(FOLD)]
        environment = {**self.project.environment(), "TMPDIR": str(self.temporary)}
        return subprocess.Popen(
            command,
            cwd=self.project.folder,
            env=environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def wait_for_file(self, process: "subprocess.Popen[bytes]", stage: str) -> float | None:
        """The time at which the stage first writes; None when it ended before that was seen."""
        while process.poll() is None:
            if self.is_writing(stage):
                return time.monotonic()
            time.sleep(TICK)
        return None

    def is_writing(self, stage: str) -> bool:
        """Whether files of the stage are there, unfinished or not."""
        folder = self.project.folder
        places = [folder / ".scratch", *(folder / out for out in OUTPUTS.get(stage, []))]
        return any(p.is_file() or any(f.is_file() for f in p.rglob("*")) for p in places)

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file under data and results, by path; of times, none."""
        folder = self.project.folder
        files = [p for top in ("data", "results") for p in (folder / top).rglob("*")]
        return {
            str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in files
            if p.is_file() and p.name != TIMES
        }

    def forget(self) -> None:
        """As freshly cloned: without outputs, cache and lock file of DVC's."""
        self.project.run("git", "clean", "-dffxq")

    def mend_lock(self) -> bool:
        """Do what `make repro` does first: delete DVC's record of locks if a kill emptied it."""
        record = self.project.folder / ".dvc/tmp/rwlock"
        torn = record.exists() and record.stat().st_size == 0
        if torn:
            record.unlink()
        return torn

    def remove_outputs(self, stage: str) -> None:
        """Delete what a stage wrote, as DVC does before it runs one."""
        for out in OUTPUTS[stage]:
            path = self.project.folder / out
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def kill(self, stage: str, rng: random.Random, tally: Tally) -> None:
        """Start a stage and kill it at a random time of its life, or of its writing."""
        start_up, end = self.seconds[stage]
        process = self.start(stage)
        if rng.random() < 0.5:
            time.sleep(rng.uniform(0, end))
        else:
            self.wait_for_file(process, stage)
            time.sleep(rng.uniform(0, end - start_up))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            tally.kills += 1
            tally.writing += self.is_writing(stage)
        process.wait()
        tally.torn += sum(
            digest != self.truth.get(name)
            for name, digest in self.digests().items()
            if not name.endswith(".part") and not name.startswith(GROWING)
        )

    def rerun(self, stage: str, tally: Tally) -> None:
        """Run a killed stage to its end and look at everything that is there."""
        tally.reruns += 1
        if self.start(stage).wait() != 0:
            return
        tally.completed += 1
        found = self.digests()
        tally.same_bytes += found == self.truth
        tally.left_behind += len(self.strays()) + len(found.keys() - self.truth.keys())

    def strays(self) -> list[Path]:
        """Temporary files anywhere, and unfinished work."""
        folder = self.project.folder
        parts = [p for p in folder.rglob("*.part") if ".git" not in p.parts]
        scratch = [*(folder / ".scratch").glob("*")]
        # Files only: torch makes an empty folder there whenever it is imported.
        temporary = [p for p in self.temporary.rglob("*") if p.is_file()]
        return [*parts, *scratch, *temporary]


def kill_all(process: "subprocess.Popen[bytes]") -> int:
    """Kill a process and all that it started, as a machine that loses power; how many."""
    try:
        family = psutil.Process(process.pid)
        processes = [family, *family.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait()
    psutil.wait_procs(processes[1:])
    return len(processes)


def kill_repro(victim: Victim, kills: int, seed: int) -> Tally:
    """Kill `dvc repro` from nothing `kills` times; after one to five, let it complete."""
    rng, tally = random.Random(f"{REPRO} {seed}"), Tally()
    end = victim.seconds[REPRO][1]
    while tally.kills < kills:
        victim.forget()
        goal = min(kills, tally.kills + rng.randint(1, 5))
        while tally.kills < goal:
            process = victim.start(REPRO)
            time.sleep(rng.uniform(0, KILL_WITHIN * end))
            killed = kill_all(process)
            tally.kills += killed > 0
            tally.writing += killed > 1  # a stage was running
            tally.locks += victim.mend_lock()
            if not killed:  # it completed
                break
        victim.rerun(REPRO, tally)
    return tally


def kill_stage(victim: Victim, stage: str, kills: int, seed: int) -> Tally:
    """Kill a stage `kills` times, one to three times before each rerun."""
    # The hash of a string differs between runs of Python; a string as a seed does not.
    rng, tally = random.Random(f"{stage} {seed}"), Tally()
    while tally.kills < kills:
        victim.remove_outputs(stage)
        goal = min(kills, tally.kills + rng.randint(1, 3))
        while tally.kills < goal:
            victim.kill(stage, rng, tally)
        victim.rerun(stage, tally)
    return tally

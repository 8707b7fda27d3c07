"""A tiny project whose every stage has run, and what a table of bad inputs is made of."""

import importlib
import io
import json
import shlex
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML
from typer.testing import CliRunner

from fsslib.datasets.description import Description, write_description
from stages.tools.fss import COMMANDS
from tests.support.fakes import png_bytes, write
from tests.support.scenes import scene

ROOT = Path(__file__).parents[2]
CLASSES = {1: "ant", 2: "bee", 3: "cow", 4: "dog"}
TRAIN = [(1, 3), (2, 4), (3,), (4,), (3, 4), (1, 4), (2, 3), (4, 3)]
VAL = [(1,), (2,), (1, 2), (1,), (2,), (3,), (3, 4), (4,), (1, 2)]
STEPS = ("prepare", "extract", "collect", "cluster", "annotate", "train", "index", "episodes",
         "evaluate", "summarize")  # fmt: skip
ALL_FOLDS = ("fingerprint", "prepare", "extract", "collect", "summarize")
PARAMS = {
    "dataset": "folder",
    "data_root": "photos",
    "folds": [0],
    "shots": [1],
    "seeds": [0],
    "episodes": 3,
    "min_pixels": 64,
    "k": 2,
    "weights": "random",
    "training.iterations": 1,
    "training.pairs": 1,
    "training.pool_images": 2,
    "training.crop": 48,
    "training.min_pixels": 16,
    "training.precision": "float32",
    "training.picture_every": 0,
    "runtime.device": "cpu",
    "runtime.workers": 0,
}

IMAGE, MASK = "photos/JPEGImages/t00.png", "photos/SegmentationClass/t00.png"
VAL_IMAGE, VAL_MASK = "photos/JPEGImages/v00.png", "photos/SegmentationClass/v00.png"
TRAIN_LIST, VAL_LIST = "photos/ImageSets/train.txt", "photos/ImageSets/val.txt"
MANIFEST, FEATURES = "data/prepare/manifest.json", "data/extract/00000.h5"
PROTOTYPES, CLUSTERS = "data/collect/prototypes.h5", "data/cluster/0/clusters.h5"
PSEUDO, MODEL = "data/annotate/0/00000.zip", "data/train/0/model.safetensors"
INDEX, EPISODES = "data/index/0/00000.h5", "data/episodes/0/episodes.json"
FOLD_METRICS = "results/folds/0/metrics.json"

Damage = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        name: of the case.
        command: what is run, as `cluster --fold 0`.
        damage: what is done to the project first.
        says: part of the one line that is expected; of an accepted input, of standard error.
        code: expected exit code.
    """

    name: str
    command: str
    damage: Damage
    says: str
    code: int = 1

    def __str__(self) -> str:
        return f"{self.command.split()[0]}: {self.name}"


def make_photographs(root: Path) -> None:
    """A dataset of `fss data folder`'s layout with 8 training and 9 validation images."""
    for split, layout in (("train", TRAIN), ("val", VAL)):
        ids = [f"{split[0]}{i:02d}" for i in range(len(layout))]
        for number, (image_id, class_ids) in enumerate(zip(ids, layout, strict=True)):
            image, mask = scene(10 * (split == "val") + number, class_ids, (60, 76))
            write(root / f"JPEGImages/{image_id}.png", png_bytes(image, palette=False))
            write(root / f"SegmentationClass/{image_id}.png", png_bytes(mask))
        write(root / f"ImageSets/{split}.txt", "".join(f"{i}\n" for i in ids).encode())
    write_description(root, Description("folder", CLASSES, ((1, 2), (3, 4)), "listed"))


def make_world(folder: Path) -> Path:
    """The project: photographs, params and what every stage makes of them, fold 0."""
    make_photographs(folder / "photos")
    shutil.copy(ROOT / "params.yaml", folder)
    set_params(**PARAMS)(folder)
    return folder


def run(command: str):
    """Run `stages.<first word>` in this process and folder."""
    stage, *arguments = shlex.split(command)
    app = importlib.import_module(COMMANDS[stage]).app
    return CliRunner().invoke(app, arguments)


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a project; stages that run in this process leave a handler of SIGTERM behind."""
    former = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield
    signal.signal(signal.SIGTERM, former)


def run_steps(*steps: str) -> None:
    for step in steps:
        result = run(step if step in ALL_FOLDS else f"{step} --fold 0")
        assert result.exit_code == 0, f"{step}: {result.stderr} {result.exception!r}"


# ---- Damage -------------------------------------------------------------------------------------


def nothing(project: Path) -> None:
    """The project as it is."""


def rewrite(path: Path, content: bytes) -> None:
    """Write a new file in a file's place; the old one may be shared by a link."""
    path.unlink(missing_ok=True)
    write(path, content)


def put(name: str, content: bytes) -> Damage:
    """Write a file."""
    return lambda project: rewrite(project / name, content)


def gone(name: str) -> Damage:
    """Remove a file or folder."""

    def damage(project: Path) -> None:
        path = project / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return damage


def cut(name: str, share: float) -> Damage:
    """Keep the first share of a file's bytes."""

    def damage(project: Path) -> None:
        content = (project / name).read_bytes()
        rewrite(project / name, content[: int(len(content) * share)])

    return damage


def swap(name: str, other: str) -> Damage:
    """Put another file of the project in a file's place."""
    return lambda project: rewrite(project / name, (project / other).read_bytes())


def link(name: str, target: str) -> Damage:
    """Put a symbolic link in a file's place."""

    def damage(project: Path) -> None:
        if (project / name).exists():
            gone(name)(project)
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).symlink_to(target)

    return damage


def all_of(*damages: Damage) -> Damage:
    """One after the other."""
    return lambda project: [damage(project) for damage in damages]


def every(names: str, damage: Callable[..., Damage], *arguments: object) -> Damage:
    """The same to all files of a split: `names` is their folder and `t` or `v`."""
    count = len(TRAIN) if names.endswith("t") else len(VAL)
    return all_of(*(damage(f"photos/{names}{i:02d}.png", *arguments) for i in range(count)))


def after(*steps: str) -> Damage:
    """Run stages, which must succeed."""
    return lambda project: run_steps(*steps)


def set_params(**values: object) -> Damage:
    """Set keys of params.yaml; `a.b` is a key of a section."""

    def damage(project: Path) -> None:
        yaml, path = YAML(), project / "params.yaml"
        content = yaml.load(path.read_text(encoding="utf-8"))
        for key, value in values.items():
            *sections, last = key.split(".")
            section = content
            for part in sections:
                section = section[part]
            section[last] = value
        with path.open("w", encoding="utf-8") as stream:
            yaml.dump(content, stream)

    return damage


def param_line(key: str, line: str) -> Damage:
    """Replace a line of params.yaml by text that a YAML writer would not write."""

    def damage(project: Path) -> None:
        path = project / "params.yaml"
        rows = path.read_text(encoding="utf-8").splitlines()
        (at,) = [n for n, row in enumerate(rows) if row.startswith(f"{key}:")]
        rows[at] = line
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")

    return damage


def edit_json(name: str, change: Callable[[dict], object]) -> Damage:
    """Change a JSON file's content."""

    def damage(project: Path) -> None:
        content = json.loads((project / name).read_text(encoding="utf-8"))
        change(content)
        (project / name).write_text(json.dumps(content), encoding="utf-8")

    return damage


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def picture(mode: str, kind: str, size=(76, 60), **options: object) -> bytes:
    """A picture of noise in some mode and format."""
    rng = np.random.default_rng(5)
    noise = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    if mode == "I;16":
        values = rng.integers(0, 65536, (size[1], size[0]), dtype=np.uint16)
        return encoded(Image.fromarray(values), kind, **options)
    return encoded(noise.convert(mode), kind, **options)

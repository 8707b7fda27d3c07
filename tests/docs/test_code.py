"""The code in the documentation: Python runs, commands and their options exist, YAML is read."""

import re

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from fsslib.encoders.resnet import ResNet
from fsslib.encoders.weights import load_weights
from tests.support.annotations import labelme
from tests.support.docs_commands import check, params, split
from tests.support.docs_markdown import PAGES, blocks, name_of, prose_code
from tests.support.docs_parsers import WrongCommand
from tests.support.fakes import write
from tests.support.helpers import save_trained
from tests.support.scenes import scene

BLOCKS = [block for path in PAGES for block in blocks(path)]


def of(*languages):
    return [pytest.param(b, id=b.where) for b in BLOCKS if b.language in languages]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A folder with a tiny trained model and the photographs that the documentation names."""
    folder = tmp_path_factory.mktemp("photographs")
    encoder = ResNet("resnet18")
    load_weights(encoder, "random", 0)
    model = folder / "data/train/0/model.safetensors"
    model.parent.mkdir(parents=True)
    save_trained(encoder, model, None)
    for number, name in enumerate(("cat", "garden", "mill")):
        image, mask = scene(number, (1,), (72, 96))
        Image.fromarray(image).save(folder / f"{name}.jpg")
        Image.fromarray((mask == 1).astype(np.uint8)).save(folder / f"{name}_mask.png")
    height, width = image.shape[:2]
    write(folder / "photos/a.jpg", (folder / "cat.jpg").read_bytes())
    square = [{"label": "cat", "points": [[10, 10], [40, 10], [40, 40], [10, 40]]}]
    labelme(folder / "photos/a.json", square, "a.jpg", (height, width))
    return folder


@pytest.mark.parametrize("block", of("python"))
def test_python_runs(block, photographs, monkeypatch, capsys):
    compiled = compile(block.code, block.where, "exec")
    monkeypatch.chdir(photographs)
    if not block.needs_data and not block.where.startswith("docs/tutorials/"):  # run as a whole
        exec(compiled, {"__name__": "__main__"})


@pytest.mark.parametrize("block", of("sh", "bash", "shell", "console"))
def test_commands_and_options_exist(block):
    commands = split(block.code)
    assert commands
    for words in commands:
        check(words)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_that_are_mentioned_exist(path):
    for code in prose_code(path):
        if re.match(r"(fss|make|dvc|python -m) [a-z]", code) and not re.search(
            r"[<>|…]|\.\.\.", code
        ):
            for words in split(code):
                check(words, whole=False)


@pytest.mark.parametrize("block", of("yaml"))
def test_yaml_is_read_and_its_params_exist(block):
    content = YAML(typ="safe").load(block.code)
    if block.where.startswith("docs/method.md"):
        assert set(content) <= set(params())
        assert set(content["training"]) <= set(params()["training"])


def test_every_block_has_a_language_or_is_a_drawing():
    drawings = [
        b.where for b in BLOCKS if not b.language and re.search(r"^\s*(fss|dvc|make) ", b.code)
    ]
    assert drawings == []
    assert len(of("sh")) > 15
    assert len(of("python")) >= 2


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("fss predict --suport a.jpg a.png --query b --out c", "NoSuchOption"),
        ("fss cluster --fold two", "BadParameter"),
        ("fss info", "Missing"),
        ("fss data folders --out x", "no command fss data folders"),
        ("fss clusters", "no command fss clusters"),
        ("fss sweep table2", "no table2"),
        ("python -m stages.nothing", "no module stages.nothing"),
        ("torchrun --nproc-per-node 4 -m stages.extract --floats", "NoSuchOption"),
        ("python -m benchmarks.effect --out /tmp/e --rooot x", "unrecognized arguments: --rooot"),
        ("python -m benchmarks.effect", "required: --out"),
        ("dvc exp run -S bta=0.3", "-S bta"),
        ("dvc exp run -S training.steps=3 && fss cluster", "-S training.steps"),
        ("dvc repro evaluate", "no such stage"),
        ("dvc repro evaluation@2", "no such stage"),
        ("dvc exp show --changed-only", "unrecognized arguments"),
        ("CUDA_VISIBLE_DEVICES=0 make tests", "make tests"),
        ("pip install 'fsslib[gpu]'", "no such extra"),
        ("fsss cluster", "does not know"),
    ],
)
def test_wrong_commands_are_refused(line, complaint):
    with pytest.raises(WrongCommand, match=re.escape(complaint)):
        all(check(words) is None for words in split(line))

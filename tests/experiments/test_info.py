"""What a file is, told from the file alone."""

import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fsslib.data.manifest import save_manifest
from fsslib.evaluation.episode_files import save_episodes
from fsslib.evaluation.episodes import draw_episode_set
from fsslib.experiments.info import describe_file
from fsslib.files.storage import create_hdf5
from fsslib.mining.pseudo_masks import encode_png, write_masks
from fsslib.training.checkpoint import save_checkpoint
from tests.support.helpers import one_line
from tests.support.toy import CLASSES, make_trainer


def test_hdf5_tells_kind_layout_attributes_and_shapes(tmp_path):
    path = tmp_path / "rows.h5"
    with create_hdf5(path, "rows", 3) as file:
        file.text("dense", "int8")
        file.put("values", np.zeros((4, 2), np.float32))
    assert describe_file(path) == [
        "rows: layout 3, complete",
        "dense: int8",
        "values: (4, 2) float32",
    ]


def test_a_model_tells_whose_it_is_its_parts_and_params(tmp_path):
    path = tmp_path / "model.safetensors"
    training = {"iterations": 200, "lr": 0.001, "precision": "float32"}
    about = {"fold": 2, "backbone": "resnet18", "m": 0.999, "training": training}
    about["unlabeled"] = [{"source": "train", "cap": None}]
    head = json.dumps({"kind": "model", "version": 1, "backbone": "resnet18", "about": about})
    tensors = {
        "online.bn.weight": torch.zeros(3),
        "online.bn.running_mean": torch.zeros(3),
        "head.0.weight": torch.zeros(2, 5),
        "head.6.bias": torch.zeros(6),
        "background": torch.zeros(4),
    }
    save_file(tensors, path, metadata={"fsslib": head})
    assert describe_file(path) == [
        "model: 5 tensors",
        "fold: 2",
        "backbone: resnet18",
        "step: 200 of 200",
        "precision: float32",
        "k: 5",
        "background: 4 values, the global background prototype",
        "head: 16 parameters, the auxiliary head",
        "online: 3 parameters, the encoder's last weights",
        "m: 0.999",
        "training.iterations: 200",
        "training.lr: 0.001",
        "training.precision: float32",
        "unlabeled.0.cap: null",
        "unlabeled.0.source: train",
        "version: 1",
    ]


@pytest.mark.parametrize(
    ("classes", "mined", "k"),
    [
        (CLASSES, {"mine": True, "miner": "clusters"}, CLASSES - 1),
        (None, {"mine": True, "miner": "cct"}, "none, trained by cct, not on clusters"),
        (None, {"mine": False, "miner": "cct"}, "none, trained without mining"),
        (None, {}, "none, trained without mining"),
    ],
)
def test_a_checkpoint_tells_its_step_and_the_losses_there(tmp_path, classes, mined, k):
    trainer = make_trainer(classes)
    trainer.step_number = 50
    path = tmp_path / "c.safetensors"
    about = {"fold": 1, "training": {"iterations": 200, "precision": "bfloat16"}, **mined}
    save_checkpoint(trainer, [{"loss": 9.0}, {"loss": 1.23456, "lr": 0.001}], path, about)
    lines = describe_file(path)
    assert lines[0].startswith("checkpoint: ")
    assert lines[1:7] == [
        "fold: 1",
        "backbone: resnet18",
        "step: 50 of 200",
        "precision: bfloat16",
        f"k: {k}",
        "last step: loss 1.23, lr 0.001",
    ]
    count = sum(p.numel() for p in trainer.encoder.parameters())
    assert f"online: {count} parameters, the encoder's last weights" in lines
    assert f"average: {count} parameters, the encoder's moving average" in lines
    assert any(line.startswith("head: ") for line in lines) == (classes is not None)
    assert not any("history" in line for line in lines)


@pytest.mark.parametrize("head", [{"about": 3}, {"history": [7]}, {"history": "x", "step": [1]}])
def test_an_odd_header_is_told_as_it_is(tmp_path, head):
    path = tmp_path / "odd.safetensors"
    save_file({"online.a": torch.zeros(2)}, path, metadata={"fsslib": json.dumps(head)})
    assert describe_file(path)[0] == "weights: 1 tensors"


def test_weights_of_others_are_counted(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"a.weight": torch.zeros(2, 2), "b.weight": torch.zeros(3)}, path)
    assert describe_file(path) == ["weights: 2 tensors", "weights: 7 parameters"]


def test_masks_are_counted(tmp_path):
    path = tmp_path / "00000.zip"
    png = encode_png(np.zeros((4, 4), np.uint8))
    write_masks(path, [("a", png), ("b", png)])
    assert describe_file(path) == ["masks: 2 PNGs, a to b"]


def test_manifest_and_episodes(tmp_path, discs):
    save_manifest(discs, tmp_path / "manifest.json", None)
    lines = describe_file(tmp_path / "manifest.json")
    assert lines[0] == f"manifest: {discs.dataset}, {len(discs.train)} train and 0 val images"
    val = discs.__class__(**{**discs.__dict__, "val": discs.train})
    save_episodes(draw_episode_set(val, 0, (0, 1), 3, (1,), min_pixels=50), tmp_path / "e.json")
    lines = describe_file(tmp_path / "e.json")
    assert lines[:2] == ["episodes: 6 of fold 0 of discs", "protocol: paper, at least 50 px"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("absent.h5", None),
        ("a.safetensors", b"no weights"),
        ("a.safetensors", pickle.dumps({"a": 1})),
        ("a.json", b"{}"),
        ("a.json", b"["),
        ("a.h5", b"no HDF5"),
        ("a.h5", b"\x89HDF\r\n\x1a\n and no more"),
        ("a.zip", b"PK\x05\x06 and no more"),
        ("a.txt", b""),
    ],
)
def test_anything_else_is_one_line(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    message = one_line(describe_file, tmp_path / name)
    assert message.startswith(str(tmp_path / name))
    assert message.endswith(": name a whole file that a stage wrote")

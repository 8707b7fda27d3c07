"""Interrupted training ends in the same weights, and models load whole or not at all."""

import json
import pickle

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fsslib.training.checkpoint import (
    restore_checkpoint,
    save_checkpoint,
    save_model,
)
from fsslib.training.trained_model import load_model
from tests.support.helpers import one_line
from tests.support.toy import CLASSES, differing, make_batches, make_trainer, state_of

STEPS, CUT = 4, 2


@pytest.fixture(scope="module")
def batches(discs):
    found = make_batches(discs, steps=STEPS)
    return [found[i] for i in range(STEPS)]


@pytest.mark.parametrize(
    ("classes", "changes"),
    [
        (CLASSES, {"precision": "float32"}),
        (CLASSES, {"precision": "bfloat16"}),
        (CLASSES, {"background_share": 0.8, "iterations": 4}),
        (None, {}),
        (CLASSES, {"momentum": 0.0}),
    ],
    ids=["float32", "bfloat16", "fused, rate drops after the cut", "baseline", "no momentum"],
)
def test_interrupted_and_restored_ends_in_the_same_bits(batches, tmp_path, classes, changes):
    whole = make_trainer(classes, **changes)
    rows = [whole.step(b) for b in batches]

    first = make_trainer(classes, **changes)
    history = [first.step(b) for b in batches[:CUT]]
    save_checkpoint(first, history, tmp_path / "c.safetensors")
    second = make_trainer(classes, **changes)
    with torch.no_grad():  # nothing of a fresh start may survive
        for parameter in second.encoder.parameters():
            parameter.add_(1)
    restored = restore_checkpoint(second, tmp_path / "c.safetensors")
    assert restored == history
    assert differing(state_of(first), state_of(second)) == []
    assert restored + [second.step(b) for b in batches[CUT:]] == rows
    assert differing(state_of(whole), state_of(second)) == []
    for buffer in (v for k, v in state_of(second).items() if k.startswith("momentum")):
        # As in the run that was never interrupted: another layout rounds its sums differently.
        assert buffer.ndim < 4 or buffer.is_contiguous(memory_format=torch.channels_last)
    for name, trainer in (("a", whole), ("b", second)):
        save_model(trainer, tmp_path / name, {"fold": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.fixture(scope="module")
def trained(batches):
    trainer = make_trainer()
    trainer.step(batches[0])
    return trainer


def assert_state(encoder, expected):
    for key, value in encoder.state_dict().items():
        if "tracked" not in key:
            assert torch.equal(value, expected.state_dict()[key]), key


def test_a_model_reads_back_with_both_encoders_head_and_background(trained, tmp_path):
    path = tmp_path / "new" / "model.safetensors"
    save_model(trained, path, {"fold": 1, "k": 3})
    for ema, expected in ((False, trained.encoder), (True, trained.average.model)):
        model = load_model(path, ema)
        assert_state(model.encoder, expected)
        assert not model.encoder.training
        assert torch.equal(model.background, trained.memory.value())
        assert set(model.head) == {k for k in trained.head.state_dict() if "tracked" not in k}
        assert torch.equal(model.head["6.weight"], trained.head[6].weight)
        assert model.about == {"fold": 1, "k": 3}
    assert list(path.parent.iterdir()) == [path]


def test_baseline_that_never_remembered_has_neither_head_nor_background(tmp_path):
    save_model(make_trainer(None, m=1.0), tmp_path / "a", {})
    model = load_model(tmp_path / "a", True)
    assert model.background is None
    assert model.head == {}


def test_parameters_can_be_read_without_the_weights(trained, tmp_path):
    save_model(trained, tmp_path / "a", {"fold": 1})
    with safe_open(tmp_path / "a", "pt") as file:
        head = json.loads(file.metadata()["fsslib"])
    assert len(head.pop("sha256")) == 64
    assert head == {"about": {"fold": 1}, "backbone": "resnet18", "kind": "model", "version": 2}


def rewrite(path, change):
    """Save `path` again with its tensors and header changed, as the layout without a hash."""
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        head = json.loads(file.metadata()["fsslib"])
    del head["sha256"]
    head["version"] = 1
    change(tensors, head)
    save_file(tensors, path, metadata={"fsslib": json.dumps(head)})


def other_backbone(tensors, head):
    head["backbone"] = "resnet34"


def unknown_backbone(tensors, head):
    head["backbone"] = "vgg16"


def lost_tensor(tensors, head):
    del tensors["average.layer3.1.conv2.weight"]


def other_shape(tensors, head):
    tensors["average.conv1.weight"] = torch.zeros(64, 3, 3, 3)


def older(tensors, head):
    head["version"] = 0


def checkpoint(tensors, head):
    head["kind"] = "checkpoint"


def no_about(tensors, head):
    del head["about"]


def odd_about(tensors, head):
    head["about"] = "fold 1"


def odd_backbone(tensors, head):
    head["backbone"] = 18


def extra_tensor(tensors, head):
    tensors["online.fc.weight"] = torch.zeros(2)


def half_precision(tensors, head):
    tensors["average.conv1.weight"] = tensors["average.conv1.weight"].half()


def not_a_number(tensors, head):
    tensors["online.layer1.0.bn1.running_var"][3] = float("nan")  # of the encoder not asked for


def infinite(tensors, head):
    tensors["average.conv1.weight"][0] = float("inf")


def lost_head(tensors, head):
    del tensors["head.4.running_mean"]


def other_head(tensors, head):
    tensors["head.6.bias"] = torch.zeros(9)


def no_classes(tensors, head):
    del tensors["head.6.bias"]


def odd_background(tensors, head):
    tensors["background"] = torch.zeros(3)


def truncated(path):
    path.write_bytes(path.read_bytes()[:-10])


def cut_short(path):
    path.write_bytes(path.read_bytes()[:30])


def empty(path):
    path.write_bytes(b"")


def garbage(path):
    path.write_bytes(b"\x80\x04not safetensors" * 9)


def pickled(path):
    torch.save({"online.conv1.weight": torch.zeros(3)}, path)


def plainly_pickled(path):
    path.write_bytes(pickle.dumps(Trap()))


class Trap:
    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def plain_weights(path):
    save_file({"a": torch.zeros(3)}, path)


def odd_header(path):
    save_file({"a": torch.zeros(3)}, path, metadata={"fsslib": "[1]"})


def absent(path):
    path.unlink()


CHANGES = {
    other_backbone: "lacks average.layer1.2",
    unknown_backbone: "unknown backbone 'vgg16'",
    lost_tensor: "lacks average.layer3.1.conv2.weight: ",
    other_shape: "average.conv1.weight as float32 (64, 3, 3, 3), expected float32 (64, 3, 7, 7): ",
    older: "has layout 0, this code reads 2: ",
    checkpoint: "holds 'checkpoint', expected 'model': ",
    no_about: "does not say its about: ",
    odd_about: "says about 'fold 1', no dict: ",
    odd_backbone: "says backbone 18, no str: ",
    extra_tensor: "has online.fc.weight, which nothing reads: ",
    half_precision: "as float16 (64, 3, 7, 7), expected float32 (64, 3, 7, 7): ",
    not_a_number: "values in online.layer1.0.bn1.running_var that are not finite: ",
    infinite: "values in average.conv1.weight that are not finite: ",
    lost_head: "lacks head.4.running_mean: ",
    other_head: "head.6.weight as float32 (4, 256, 1, 1), expected float32 (9, 256, 1, 1): ",
    no_classes: "lacks head.6.bias: ",
    odd_background: "background as float32 (3,), expected float32 (256,): ",
}
DAMAGES = {
    truncated: "is damaged (",
    cut_short: "is damaged (",
    empty: "is damaged (",
    garbage: "is damaged (",
    pickled: "is damaged (",
    plainly_pickled: "is damaged (",
    plain_weights: "holds None, expected 'model': ",
    odd_header: "is damaged (its header is no mapping): ",
    absent: "does not exist: ",
}


@pytest.mark.parametrize("damage", [*CHANGES, *DAMAGES])
def test_bad_model_is_one_line_that_names_the_file_and_the_fault(trained, tmp_path, damage):
    path = tmp_path / "model.safetensors"
    save_model(trained, path, {})
    if damage in CHANGES:
        rewrite(path, damage)
    else:
        damage(path)
    message = one_line(load_model, path, True)
    assert message.startswith(str(path))
    assert (CHANGES | DAMAGES)[damage] in message
    assert message.endswith("run the stage 'train' again")


@pytest.mark.parametrize("damage", DAMAGES)
def test_bad_checkpoint_is_one_line_that_says_to_delete_it(trained, tmp_path, damage):
    path = tmp_path / "c.safetensors"
    save_checkpoint(trained, [], path)
    damage(path)
    message = one_line(restore_checkpoint, trained, path)
    assert message.startswith(str(path))
    assert message.endswith("delete it")


def no_memory(tensors, head):
    del tensors["memory.weight"]


def single_memory(tensors, head):
    tensors["memory.weight"] = tensors["memory.weight"].float()


def no_momentum(tensors, head):
    del tensors["momentum.3"]


def unknown_momentum(tensors, head):
    tensors["momentum.999"] = torch.zeros(2)


def infinite_momentum(tensors, head):
    tensors["momentum.0"][0] = float("-inf")


def no_step(tensors, head):
    del head["step"]


def odd_step(tensors, head):
    head["step"] = "second"


def odd_history(tensors, head):
    head["history"] = {}


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (no_memory, "lacks memory.weight: "),
        (single_memory, "memory.weight as float32 (), expected float64 (): "),
        (no_momentum, "lacks momentum.3: "),
        (unknown_momentum, "has momentum.999, which nothing reads: "),
        (infinite_momentum, "values in momentum.0 that are not finite: "),
        (no_step, "does not say its step: "),
        (odd_step, "says step 'second', no int: "),
        (odd_history, "says history {}, no list: "),
        (not_a_number, "values in online.layer1.0.bn1.running_var that are not finite: "),
        (lost_tensor, "lacks average.layer3.1.conv2.weight: "),
        (extra_tensor, "has online.fc.weight, which nothing reads: "),
        (half_precision, "expected float32 (64, 3, 7, 7): "),
    ],
)
def test_a_refused_checkpoint_names_the_fault_and_leaves_the_trainer_alone(
    trained, tmp_path, damage, fault
):
    path = tmp_path / "c.safetensors"
    save_checkpoint(trained, [], path)
    rewrite(path, damage)
    fresh = make_trainer()
    before = state_of(fresh)
    message = one_line(restore_checkpoint, fresh, path)
    assert message.startswith(str(path))
    assert fault in message
    assert message.endswith("delete it")
    assert differing(before, state_of(fresh)) == []


def test_checkpoint_of_another_k_or_of_a_mining_run_is_refused(trained, tmp_path):
    path = tmp_path / "c.safetensors"
    save_checkpoint(trained, [], path)
    assert "head.6.weight" in one_line(restore_checkpoint, make_trainer(CLASSES + 1), path)
    assert "has head.0.weight, " in one_line(restore_checkpoint, make_trainer(None), path)


def test_a_model_is_no_checkpoint(trained, tmp_path):
    save_model(trained, tmp_path / "a", {})
    message = one_line(restore_checkpoint, make_trainer(), tmp_path / "a")
    assert "holds 'model', expected 'checkpoint'" in message
